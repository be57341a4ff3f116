/* One connection to the webhook. */
#include "base/core/check.h"
#include "base/core/log.h"
#include "base/core/mem.h"
#include "base/net/fd.h"
#include "base/net/socket.h"
#include "control/kube/webhook_private.h"

enum {
	OPEN_TIMEOUT_MS = 5000, /* silent clients */
	KEEPALIVE_MS = 20000,   /* clients that are gone */
	HEADER_BYTES_MAX = 8192,
	STREAM_WINDOW = 128 * 1024, /* a pod is one round trip */
};

/* At the maximum the oldest connection of the source that has most gives way to a source with fewer. */
static bool take_place(struct webhook *webhook, const struct addr *from, struct share *out)
{
	struct share_key keys[SHARE_SOURCE_KEYS_MAX];
	size_t num_keys = share_keys_of_source(&from->ip, keys);
	if (shares_take(webhook->places, 0, keys, num_keys, 1, out) == SHARE_LIMIT_NONE)
		return true;
	struct share *heavy = shares_eviction_candidate(webhook->places, 0, keys, num_keys, 1);
	if (limited_log_allows_source(webhook->lines, &from->ip, "connections"))
		log_warning("webhook", "all %d connections of the webhook are in use", WEBHOOK_CONNECTIONS_MAX);
	if (heavy == NULL)
		return false;
	webhook_conn_free(container_of(heavy, struct webhook_conn, place));
	return shares_take(webhook->places, 0, keys, num_keys, 1, out) == SHARE_LIMIT_NONE;
}

static struct h2_link *start_h2(struct webhook_conn *conn, struct transport *transport)
{
	return h2_link_new(&(struct h2_link_options){.loop = conn->webhook->options.loop,
		.transport = transport,
		.role = H2_SERVER,
		.limits = {.max_streams = WEBHOOK_STREAMS_MAX,
			.header_bytes = HEADER_BYTES_MAX,
			.stream_window = STREAM_WINDOW},
		.open_timeout_ms = OPEN_TIMEOUT_MS,
		.keepalive_ms = KEEPALIVE_MS,
		.events = &webhook_events,
		.arg = conn});
}

/* --- the handshake --- */

void webhook_conn_dead(struct webhook_conn *conn, const struct why *why)
{
	if (why->err != ERR_CLOSED && limited_log_allows_source(conn->webhook->lines, &conn->from.ip, "connection"))
		log_why(LOG_LEVEL_NOTICE, "webhook", "a connection to the webhook ended", why);
	webhook_conn_free(conn);
}

static void stop_opening(struct webhook_conn *conn)
{
	loop_io_stop(&conn->io);
	loop_timer_stop(&conn->open_timeout);
}

static void on_open_timeout(struct loop_timer *timer)
{
	struct webhook_conn *conn = container_of(timer, struct webhook_conn, open_timeout);
	struct why why = {0};
	(void)why_set(&why, ERR_TIMEOUT, "a TLS handshake", "check that the client speaks TLS, and the network to it",
		"the handshake timed out");
	webhook_conn_dead(conn, &why);
}

static void speak(struct webhook_conn *conn)
{
	stop_opening(conn);
	struct transport *transport = TAKE_PTR(conn->opening);
	if (tls_session_has_protocol(transport_tls(transport), "h2"))
		conn->h2 = start_h2(conn, transport);
	else
		conn->http1 = webhook_http1_new(conn, transport);
}

static void on_handshake(struct loop_io *io, unsigned ready)
{
	struct webhook_conn *conn = container_of(io, struct webhook_conn, io);
	(void)ready;
	switch (transport_handshake(conn->opening)) {
	case IO_DONE:
		speak(conn);
		return;
	case IO_WANT_READ:
		loop_io_set_interest(io, LOOP_READ);
		return;
	case IO_WANT_WRITE:
		loop_io_set_interest(io, LOOP_WRITE);
		return;
	case IO_EOF:
	case IO_FAILED: {
		struct why why = *transport_why(conn->opening);
		webhook_conn_dead(conn, &why);
		return;
	}
	}
	CHECK_UNREACHABLE();
}

static bool start(struct webhook_conn *conn, int fd)
{
	struct webhook *webhook = conn->webhook;
	struct tls_session *session = NULL;
	struct why why = {0};
	const struct tls_session_options options = {.context = webhook->context,
		.scratch = webhook->scratch,
		.fd = fd,
		.web_identity = webhook_identity_get(webhook->options.identity)};
	if (tls_session_new(&options, &session, &why) == ERR_NONE) {
		conn->opening = transport_new_tls(session);
		loop_io_start(webhook->options.loop, &conn->io, fd, LOOP_READ, on_handshake);
		loop_timer_start(webhook->options.loop, &conn->open_timeout, OPEN_TIMEOUT_MS, on_open_timeout);
		return true;
	}
	if (limited_log_allows_source(webhook->lines, &conn->from.ip, "session"))
		log_why(LOG_LEVEL_ERROR, "webhook", "a connection cannot be accepted", &why);
	return false;
}

/* --- the life of a connection --- */

void webhook_on_accept(void *arg, int fd, const struct addr *from)
{
	struct webhook_conn *conn = mem_new(struct webhook_conn);
	conn->webhook = arg;
	conn->from = *from;
	if (!take_place(conn->webhook, from, &conn->place)) {
		fd_close(fd);
		mem_free(conn);
		return;
	}
	socket_set_nodelay(fd); /* else an answer waits for the ack of a WINDOW_UPDATE: 40 ms */
	list_push_back(&conn->webhook->conns, &conn->link);
	if (!start(conn, fd))
		webhook_conn_free(conn);
}

void webhook_conn_free(struct webhook_conn *conn)
{
	LIST_EACH_REMOVABLE(&conn->requests, struct webhook_request, request, link)
		webhook_request_free(request);
	list_remove(&conn->link);
	shares_give(&conn->place);
	stop_opening(conn);
	transport_free(conn->opening);
	h2_link_free(conn->h2);
	webhook_http1_free(conn->http1);
	mem_free(conn);
}

void webhook_conn_drain(struct webhook_conn *conn)
{
	struct h2_session *session = conn->h2 != NULL ? h2_link_session(conn->h2) : NULL;
	if (session != NULL)
		h2_session_shutdown(session);
	if (conn->http1 != NULL)
		webhook_http1_drain(conn->http1);
}
