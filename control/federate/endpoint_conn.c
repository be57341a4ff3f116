/* One connection to the bundle endpoint. */
#include "base/core/check.h"
#include "base/core/log.h"
#include "base/core/mem.h"
#include "base/http/http_date.h"
#include "base/net/fd.h"
#include "base/net/socket.h"
#include "control/federate/bundle_jwks.h"
#include "control/federate/endpoint_private.h"
#include "control/report/control_metrics.h"
#include <stdio.h>
#include <sys/socket.h>

enum { HEADING_MAX = 512, READ_LEN = 4096, LINGER_MS = 1000 };

void endpoint_conn_free(struct endpoint_conn *conn)
{
	CHECK(conn->endpoint->num_conns > 0);
	list_remove(&conn->link);
	conn->endpoint->num_conns--;
	shares_give(&conn->place);
	loop_io_stop(&conn->io);
	loop_timer_stop(&conn->deadline);
	loop_task_cancel(&conn->step);
	transport_free(conn->transport);
	http_head_free(conn->head);
	buf_done(&conn->out);
	mem_free(conn);
}

static void on_deadline(struct loop_timer *timer)
{
	endpoint_conn_free(container_of(timer, struct endpoint_conn, deadline));
}

static void on_failure(struct endpoint_conn *conn)
{
	if (conn->phase == ENDPOINT_HANDSHAKE && transport_why(conn->transport)->err != ERR_NONE &&
		limited_log_allows_source(conn->endpoint->lines, &conn->from.ip, "handshake"))
		log_why(LOG_LEVEL_NOTICE, "federate", "a TLS handshake at the bundle endpoint failed",
			transport_why(conn->transport));
	endpoint_conn_free(conn);
}

/* --- the answer --- */

static void answer(struct endpoint_conn *conn, unsigned status, const char *text, const char *type, struct span body)
{
	char date[HTTP_DATE_TEXT];
	const struct clock *clock = loop_clock(conn->endpoint->options.loop);
	http_date_format(clock->wall_ms(clock) / 1000, date);
	buf_init(&conn->out, HEADING_MAX + body.len);
	CHECK(buf_printf(&conn->out,
		      "HTTP/1.1 %u %s\r\nDate: %s\r\nContent-Type: %s\r\nContent-Length: %zu\r\nConnection: close\r\n"
		      "Cache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\n%s\r\n",
		      status, text, date, type, body.len, status == 405 ? "Allow: GET, HEAD\r\n" : "") == ERR_NONE);
	if (status != 200 || !http_head_is_head(conn->head))
		CHECK(buf_append(&conn->out, body) == ERR_NONE);
	conn->phase = ENDPOINT_WRITING;
}

static void answer_text(struct endpoint_conn *conn, unsigned status, const char *text)
{
	char body[128];
	int len = snprintf(body, sizeof body, "%.120s\n", text);
	answer(conn, status, http_status_text(status), "text/plain; charset=utf-8", span_of(body, (size_t)len));
}

static void answer_page(struct endpoint_conn *conn)
{
	struct span page = buf_span(conn->endpoint->options.page);
	if (strcmp(http_head_path(conn->head), "/") != 0) {
		answer_text(conn, 404, "the bundle is at /");
	} else if (page.len == 0) {
		answer_text(conn, 503, "the bundle is not stored yet");
	} else {
		metric_add(conn->endpoint->options.metrics, CONTROL_FEDERATION_SERVED, 1);
		answer(conn, 200, "OK", "application/json", page);
	}
}

/* --- reading and writing --- */

static void take(struct endpoint_conn *conn, struct span bytes)
{
	switch (http_head_feed(conn->head, bytes)) {
	case HTTP_HEAD_MORE:
		return;
	case HTTP_HEAD_OK:
		answer_page(conn);
		return;
	case HTTP_HEAD_BAD: {
		struct http_fault fault = http_head_fault(conn->head);
		answer_text(conn, fault.status, fault.text);
		return;
	}
	}
	CHECK_UNREACHABLE();
}

static enum io_result read_request(struct endpoint_conn *conn)
{
	uint8_t bytes[READ_LEN];
	while (conn->phase == ENDPOINT_READING || conn->phase == ENDPOINT_LINGERING) {
		size_t len = 0;
		enum io_result result = transport_read(conn->transport, bytes, sizeof bytes, &len);
		if (result != IO_DONE)
			return result;
		if (conn->phase == ENDPOINT_LINGERING)
			return IO_EOF; /* a second request is not answered */
		take(conn, span_of(bytes, len));
	}
	return IO_DONE;
}

static enum io_result write_answer(struct endpoint_conn *conn)
{
	enum io_result result = transport_write_all(conn->transport, &conn->out);
	if (result != IO_DONE)
		return result;
	transport_close_notify(conn->transport);
	return transport_flush(conn->transport);
}

/* Closing with unread bytes would reset the connection, and lose the answer. */
static void linger(struct endpoint_conn *conn)
{
	conn->phase = ENDPOINT_LINGERING;
	(void)shutdown(transport_fd(conn->transport), SHUT_WR);
	loop_timer_start(conn->endpoint->options.loop, &conn->deadline, LINGER_MS, on_deadline);
}

static enum io_result advance(struct endpoint_conn *conn)
{
	enum io_result result;
	if (conn->phase == ENDPOINT_HANDSHAKE) {
		result = transport_handshake(conn->transport);
		if (result != IO_DONE)
			return result;
		conn->phase = ENDPOINT_READING;
	}
	if (conn->phase == ENDPOINT_READING) {
		result = read_request(conn);
		if (conn->phase == ENDPOINT_READING)
			return result;
	}
	if (conn->phase == ENDPOINT_WRITING) {
		result = write_answer(conn);
		if (result != IO_DONE)
			return result;
		linger(conn);
	}
	return read_request(conn);
}

static void run(struct endpoint_conn *conn)
{
	switch (advance(conn)) {
	case IO_DONE:
	case IO_WANT_READ:
		loop_io_set_interest(&conn->io, LOOP_READ);
		return;
	case IO_WANT_WRITE:
		loop_io_set_interest(&conn->io, LOOP_WRITE);
		return;
	case IO_EOF:
		endpoint_conn_free(conn);
		return;
	case IO_FAILED:
		on_failure(conn);
		return;
	}
	CHECK_UNREACHABLE();
}

static void on_ready(struct loop_io *io, unsigned ready)
{
	(void)ready;
	run(container_of(io, struct endpoint_conn, io));
}

static void log_unable(struct endpoint *endpoint, const struct addr *from, const struct why *why)
{
	if (limited_log_allows_source(endpoint->lines, &from->ip, "session"))
		log_why(LOG_LEVEL_ERROR, "federate", "a connection to the bundle endpoint cannot be served", why);
}

struct endpoint_conn *endpoint_conn_new(struct endpoint *endpoint, int fd, const struct addr *from)
{
	struct tls_session_options options = {.context = endpoint->context, .scratch = endpoint->scratch, .fd = fd};
	struct tls_session *session;
	struct why why = {0};
	enum err err = endpoint_identity_fill(endpoint->options.identity, &options, &why);
	if (err != ERR_NONE)
		fd_close(fd);
	else
		err = tls_session_new(&options, &session, &why);
	if (err != ERR_NONE) {
		log_unable(endpoint, from, &why);
		return NULL;
	}
	struct endpoint_conn *conn = mem_new(struct endpoint_conn);
	conn->endpoint = endpoint;
	conn->from = *from;
	conn->transport = transport_new_tls(session);
	conn->head = http_head_new_any_host();
	loop_io_start(endpoint->options.loop, &conn->io, fd, LOOP_READ, on_ready);
	loop_timer_start(endpoint->options.loop, &conn->deadline, ENDPOINT_DEADLINE_MS, on_deadline);
	return conn;
}
