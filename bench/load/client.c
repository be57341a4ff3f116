#include "bench/load/client.h"
#include "base/core/check.h"
#include "base/net/fd.h"
#include "base/net/socket.h"
#include "bench/load/request.h"
#include <errno.h>
#include <string.h>
#include <time.h>

/* Shared by all clients: the received bytes are not inspected. */
static uint8_t block[512 * 1024];

uint64_t client_now_us(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000u + (uint64_t)now.tv_nsec / 1000u;
}

/* Once per readiness event, so that many connections take turns. */
static void receive(struct client *client)
{
	ssize_t len = recv(client->fd, block, sizeof(block), 0);
	if (len < 0 && errno == EAGAIN)
		return;
	if (len <= 0 || (uint64_t)len > client->answer_left) {
		client->on_event(client, CLIENT_FAILED);
		return;
	}
	client->num_bytes += (uint64_t)len;
	client->answer_left -= (uint64_t)len;
	if (client->answer_left == 0)
		client->on_event(client, CLIENT_ANSWERED);
}

static void on_ready(struct loop_io *io, _unused_ unsigned ready)
{
	struct client *client = container_of(io, struct client, io);
	if (client->is_connected) {
		receive(client);
		return;
	}
	if (socket_connect_result(client->fd) != ERR_NONE) {
		client->on_event(client, CLIENT_FAILED);
		return;
	}
	client->is_connected = true;
	loop_io_set_interest(io, LOOP_READ);
	client->on_event(client, CLIENT_CONNECTED);
}

void client_open(struct client *client, struct loop *loop, const struct addr *to, client_event_fn *on_event, void *arg)
{
	*client = (struct client){.fd = -1, .on_event = on_event, .arg = arg, .num_bytes = client->num_bytes};
	/* Ports or descriptors of this machine run out only if the run is configured beyond its limits. */
	CHECK(socket_connect(to, &(struct socket_connect_options){0}, &client->fd) == ERR_NONE);
	socket_set_nodelay(client->fd);
	loop_io_start(loop, &client->io, client->fd, LOOP_WRITE, on_ready);
}

void client_request(struct client *client, uint64_t request_len, uint64_t response_len)
{
	CHECK(client->is_connected && client->answer_left == 0 && response_len > 0);
	CHECK(request_len >= sizeof(struct request_header) && request_len <= REQUEST_LEN_MAX);
	uint8_t request[REQUEST_LEN_MAX] = {0};
	struct request_header header = {.request_len = request_len, .response_len = response_len};
	memcpy(request, &header, sizeof(header));
	client->answer_left = response_len;
	/* A socket with nothing in flight accepts 4 KiB at once; a read of a reset socket reports the reset. */
	(void)!send(client->fd, request, (size_t)request_len, MSG_NOSIGNAL);
}

void client_close(struct client *client)
{
	if (client->fd < 0)
		return;
	loop_io_stop(&client->io);
	fd_close(client->fd);
	client->fd = -1;
}
