/* One request to the webhook: a stream. */
#include "base/core/check.h"
#include "base/core/log.h"
#include "base/core/mem.h"
#include "control/kube/webhook_private.h"
#include <stdio.h>

#define PATH "/inject"

enum { H2_CANCEL = 8, H2_NO_ERROR = 0 };

static struct h2_session *session_of(const struct webhook_request *request)
{
	return h2_link_session(request->conn->h2);
}

/* --- the answer --- */

void webhook_request_answer(struct webhook_request *request, const char *status, const char *content_type)
{
	CHECK(!request->is_answered);
	request->is_answered = true;
	buf_done(&request->body);
	if (list_is_linked(&request->review))
		list_remove(&request->review);
	webhook_request_lighten(request, buf_len(&request->answer));
	if (request->conn->http1 != NULL) {
		webhook_http1_answer(request, status, content_type);
		return;
	}
	char length[24];
	snprintf(length, sizeof(length), "%zu", buf_len(&request->answer));
	const struct h2_header headers[] = {{SPAN_LITERAL(":status"), span_of_str(status)},
		{SPAN_LITERAL("content-type"), span_of_str(content_type)},
		{SPAN_LITERAL("content-length"), span_of_str(length)}};
	if (h2_stream_respond(session_of(request), request->stream_id, headers, 3, false) == ERR_NONE)
		h2_stream_ready(session_of(request), request->stream_id);
	else
		h2_stream_reset(session_of(request), request->stream_id, H2_CANCEL);
	h2_link_flush(request->conn->h2);
}

void webhook_request_answer_text(struct webhook_request *request, const char *status, const char *text)
{
	buf_clear(&request->answer);
	CHECK(buf_printf(&request->answer, "%s\n", text) == ERR_NONE);
	webhook_request_answer(request, status, "text/plain; charset=utf-8");
}

void webhook_request_refuse(struct webhook_request *request)
{
	request->is_refused = true;
	webhook_request_answer_text(request, "503", "too many requests are under way");
}

static enum io_result pull(void *arg, void *stream, uint8_t *to, size_t cap, size_t *out_len)
{
	struct webhook_request *request = stream;
	struct span left = buf_span(&request->answer);
	size_t len = left.len < cap ? left.len : cap;
	(void)arg;
	if (len > 0)
		memcpy(to, left.ptr, len);
	buf_consume(&request->answer, len);
	*out_len = len;
	return buf_len(&request->answer) == 0 ? IO_EOF : IO_DONE;
}

/* --- the header --- */

/* "/inject?timeout=5s" */
static bool is_path(struct span path)
{
	const struct span wanted = SPAN_LITERAL(PATH);
	return span_starts_with(path, wanted) && (path.len == wanted.len || path.ptr[wanted.len] == '?');
}

static void on_deadline(struct loop_timer *timer)
{
	struct webhook_request *request = container_of(timer, struct webhook_request, deadline);
	if (request->conn->http1 != NULL) {
		webhook_conn_free(request->conn);
		return;
	}
	h2_stream_reset(session_of(request), request->stream_id, request->is_answered ? H2_NO_ERROR : H2_CANCEL);
	h2_link_flush(request->conn->h2);
}

struct webhook_request *webhook_request_new(struct webhook_conn *conn, int32_t stream_id)
{
	struct webhook_request *request = mem_new(struct webhook_request);
	request->conn = conn;
	request->stream_id = stream_id;
	buf_init(&request->body, ADMISSION_BODY_MAX);
	buf_init(&request->answer, ADMISSION_ANSWER_MAX);
	list_push_back(&conn->requests, &request->link);
	loop_timer_start(conn->webhook->options.loop, &request->deadline, WEBHOOK_REQUEST_MS, on_deadline);
	if (conn->h2 != NULL)
		h2_stream_attach(h2_link_session(conn->h2), stream_id, request);
	webhook_conn_watch_idle(conn);
	return request;
}

void webhook_request_free(struct webhook_request *request)
{
	struct webhook_conn *conn = request->conn;
	list_remove(&request->link);
	if (list_is_linked(&request->review))
		list_remove(&request->review);
	loop_timer_stop(&request->deadline);
	webhook_request_release(request);
	buf_done(&request->body);
	buf_done(&request->answer);
	mem_free(request);
	webhook_conn_watch_idle(conn);
}

void webhook_request_check(struct webhook_request *request, struct span path, bool is_post)
{
	if (!is_path(path))
		webhook_request_answer_text(request, "404", "the webhook serves " PATH " alone");
	else if (!is_post)
		webhook_request_answer_text(request, "405", PATH " takes POST");
}

static void on_headers(void *arg, int32_t stream_id, void *stream, const struct h2_header *headers, size_t num_headers,
	bool end_stream)
{
	(void)end_stream; /* an empty body is no review */
	if (stream != NULL)
		return; /* trailers */
	webhook_request_check(webhook_request_new(arg, stream_id), h2_headers_find(headers, num_headers, ":path"),
		span_eq(h2_headers_find(headers, num_headers, ":method"), SPAN_LITERAL("POST")));
}

/* --- the body --- */

void webhook_request_append(struct webhook_request *request, struct span bytes)
{
	if (request->is_answered || bytes.len == 0)
		return;
	if (buf_append(&request->body, bytes) != ERR_NONE)
		webhook_request_answer_text(request, "413", "a review has at most 3 MiB");
	else if (!webhook_request_weigh(request, false, buf_len(&request->body)))
		webhook_request_refuse(request);
}

void webhook_request_end(struct webhook_request *request)
{
	if (request->is_answered)
		return;
	if (webhook_request_weigh(request, true, buf_len(&request->body)))
		webhook_review_later(request->conn->webhook, request);
	else
		webhook_request_refuse(request);
}

static void on_data(void *arg, int32_t stream_id, void *stream, struct span bytes)
{
	struct webhook_conn *conn = arg;
	h2_stream_consumed(h2_link_session(conn->h2), stream_id, bytes.len);
	if (stream != NULL)
		webhook_request_append(stream, bytes);
}

static void on_end(void *arg, int32_t stream_id, void *stream)
{
	(void)arg, (void)stream_id;
	if (stream != NULL)
		webhook_request_end(stream);
}

static void on_close(void *arg, int32_t stream_id, void *stream, uint32_t error)
{
	(void)arg, (void)stream_id, (void)error;
	if (stream != NULL)
		webhook_request_free(stream);
}

/* --- the connection --- */

static void on_open(void *arg)
{
	const struct webhook_conn *conn = arg;
	if (conn->webhook->listener == NULL) /* it drains */
		h2_session_shutdown(h2_link_session(conn->h2));
}

static void on_dead(void *arg, const struct why *why)
{
	webhook_conn_dead(arg, why);
}

const struct h2_link_events webhook_events = {
	.on_open = on_open,
	.on_dead = on_dead,
	.on_headers = on_headers,
	.on_data = on_data,
	.on_end = on_end,
	.on_close = on_close,
	.pull = pull,
};
