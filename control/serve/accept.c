/* New connections to the streams: each waits in the waiting room until a handshake may begin. */
#include "base/core/log.h"
#include "base/net/fd.h"
#include "base/tls/tls_session.h"
#include "control/serve/serve_private.h"
#include "control/serve/server_identity.h"

enum {
	BUSY_HANDSHAKES = 32,      /* under way at once while requests for certificates are deferred */
	STUCK_HANDSHAKE_MS = 1500, /* one that takes longer gives way to another source */
	PLACES_MIN = 64,           /* also where no further connection is allowed: one without an identity gives way */
};

static void log_cannot_serve(struct serve *serve, const struct addr *peer, const struct why *why)
{
	if (limited_log_allows_source(serve->lines, &peer->ip, "cannot be served"))
		log_why(LOG_LEVEL_ERROR, "serve", "a connection cannot be served", why);
}

/* While there is no room for further requests for certificates, some begin nevertheless: they have a certificate
 * already, or learn when to ask again. */
static enum waiting_answer may_begin(void *arg, const struct addr *from, bool is_patient)
{
	struct serve *serve = arg;
	unsigned num = rpc_server_num_handshakes(serve->streams);
	bool has_room = granter_has_room(serve->granter, num, is_patient);
	if (!server_identity_poll(serve->options.identity)) /* after a suspend: there is one within milliseconds */
		return WAITING_ON;
	if (num < (has_room ? serve->options.max_handshakes : BUSY_HANDSHAKES))
		return WAITING_BEGIN;
	if (!rpc_server_has_old_handshake(serve->streams, STUCK_HANDSHAKE_MS))
		return WAITING_ON;
	return rpc_server_end_handshake_for(serve->streams, from, STUCK_HANDSHAKE_MS) ? WAITING_BEGIN : WAITING_PASS;
}

static void on_turn(void *arg, int fd, const struct addr *from)
{
	struct serve *serve = arg;
	size_t num_above;
	const struct span *above = server_identity_above(serve->options.identity, &num_above);
	struct tls_session_options options = {.context = serve->tls,
		.scratch = serve->scratch,
		.fd = fd,
		.svid = server_identity_svid(serve->options.identity),
		.key = server_identity_key(serve->options.identity),
		.extra_chain = above,
		.num_extra_chain = num_above,
		.on_verify = connections_verify,
		.verify_arg = serve};
	struct tls_session *session;
	struct why why = {0};
	if (!rpc_server_makes_room(serve->streams, from)) {
		fd_close(fd);
		return;
	}
	socket_set_nodelay(fd);
	if (tls_session_new(&options, &session, &why) != ERR_NONE)
		log_cannot_serve(serve, from, &why);
	else
		rpc_server_adopt(serve->streams, transport_new_tls(session), from);
}

static void on_end(void *arg, enum waiting_end end, const struct addr *from)
{
	struct serve *serve = arg;
	char source[ADDR_TEXT_MAX];
	switch (end) {
	case WAITING_SILENT:
		serve_count(serve, CONTROL_HANDSHAKES_BROKEN);
		if (limited_log_allows_source(serve->lines, &from->ip, "silent"))
			log_warning("serve", "a connection from %s was closed: it has sent nothing",
				addr_format(from, source));
		return;
	case WAITING_LATE:
		serve_count(serve, CONTROL_CONNECTIONS_DEFERRED);
		return;
	case WAITING_FULL:
		limits_on_streams(serve, RPC_LIMIT_CONNECTIONS, from);
		return;
	}
}

void accept_open(struct serve *serve)
{
	const struct waiting_room_options options = {.loop = serve->options.loop,
		.places = serve->options.max_connections + PLACES_MIN,
		.may_begin = may_begin,
		.on_turn = on_turn,
		.on_end = on_end,
		.arg = serve};
	serve->waiting = waiting_room_new(&options);
}

void serve_accept(void *arg, int fd, const struct addr *peer)
{
	struct serve *serve = arg;
	uint32_t most = serve->options.max_connections, num = rpc_server_num_peers(serve->streams);
	uint32_t places = num + PLACES_MIN < most ? most - num : PLACES_MIN;
	waiting_room_enter(serve->waiting, fd, peer, places);
}
