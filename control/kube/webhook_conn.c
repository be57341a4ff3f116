/* One connection to the webhook. */
#include "base/core/check.h"
#include "base/core/log.h"
#include "base/core/mem.h"
#include "base/net/fd.h"
#include "base/net/socket.h"
#include "control/kube/webhook_private.h"

enum {
	LEAVE_MS = 5000,        /* for the GOAWAY of an idle connection */
	OPEN_TIMEOUT_MS = 5000, /* silent clients */
	KEEPALIVE_MS = 20000,   /* clients that are gone */
	HEADER_BYTES_MAX = 8192,
	H2_NO_ERROR = 0,
	STREAM_WINDOW = 128 * 1024, /* a pod is one round trip */
};

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
	if (tls_session_has_protocol(transport_tls(transport), "h2")) {
		conn->h2 = start_h2(conn, transport);
		webhook_conn_watch_idle(conn);
	} else {
		conn->http1 = webhook_http1_new(conn, transport);
	}
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

/* --- idle connections --- */

bool webhook_conn_is_idle(const struct webhook_conn *conn)
{
	if (conn->http1 != NULL)
		return webhook_http1_is_idle(conn->http1);
	LIST_EACH(&conn->requests, struct webhook_request, request, link)
		if (!request->is_refused)
			return false;
	return conn->h2 != NULL;
}

/* GOAWAY first: the client makes a request that was under way on another connection. */
static void on_idle(struct loop_timer *timer)
{
	struct webhook_conn *conn = container_of(timer, struct webhook_conn, idle);
	if (conn->has_goaway || h2_link_session(conn->h2) == NULL) {
		webhook_conn_free(conn);
		return;
	}
	conn->has_goaway = true;
	h2_session_goaway(h2_link_session(conn->h2), H2_NO_ERROR);
	loop_timer_start(conn->webhook->options.loop, timer, LEAVE_MS, on_idle);
}

void webhook_conn_watch_idle(struct webhook_conn *conn)
{
	if (conn->h2 == NULL || conn->has_goaway)
		return;
	if (list_is_empty(&conn->requests))
		loop_timer_start(conn->webhook->options.loop, &conn->idle, WEBHOOK_IDLE_MS, on_idle);
	else
		loop_timer_stop(&conn->idle);
}

/* --- the life of a connection --- */

void webhook_on_accept(void *arg, int fd, const struct addr *from)
{
	struct webhook_conn *conn = mem_new(struct webhook_conn);
	conn->webhook = arg;
	conn->from = *from;
	if (!webhook_conn_take_place(conn)) {
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
	loop_timer_stop(&conn->idle);
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
