/* The streams on a Unix socket: the same as on their port, for sidecars on this host. */
#include "base/core/random.h"
#include "base/net/fd.h"
#include "control/serve/serve_private.h"

#define PER_SECOND 5 /* connections of one user of this host: a flood is closed before its handshake */
#define BURST      40

/* A user of this host has a source of its own, so that all limits per source, which is a /64, are per user: an address
 * that no packet comes from (100::/8, RFC 4291 2.4), with the number of the user before the last 64 bits. */
static void on_unix_accept(void *arg, int fd, _unused_ const struct addr *peer)
{
	struct serve *serve = arg;
	struct addr from = {.ip = {.family = AF_INET6, .bytes = {0x01}}};
	uid_t uid;
	if (socket_peer_user(fd, &uid) != ERR_NONE) {
		fd_close(fd);
		return;
	}
	for (unsigned i = 0; i < 4; i++)
		from.ip.bytes[7 - i] = (uint8_t)(uid >> (8 * i));
	struct share_key key = share_key_of_ip(&from.ip);
	if (rates_take(serve->unix_rates, &key, loop_now_ms(serve->options.loop))) {
		serve_accept(serve, fd, &from);
		return;
	}
	limits_on_streams(serve, RPC_LIMIT_HANDSHAKES, &from);
	fd_close(fd);
}

void unix_accept_open(struct serve *serve)
{
	const struct serve_options *options = &serve->options;
	const struct rates_options rates = {.per_minute = PER_SECOND * 60, .burst = BURST, .seed = random_u64()};
	if (options->streams_unix_fd < 0)
		return;
	serve->unix_rates = rates_new(&rates);
	serve->unix_listener =
		listener_new(options->loop, options->streams_unix_fd, on_unix_accept, limits_on_pause, serve);
}

void unix_accept_close(struct serve *serve)
{
	if (serve->unix_listener == NULL)
		return;
	listener_free(TAKE_PTR(serve->unix_listener));
	rates_free(TAKE_PTR(serve->unix_rates));
}
