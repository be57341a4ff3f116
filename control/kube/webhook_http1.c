/* A connection with HTTP/1.1: one request at a time, each read whole, reviewed and answered before the next. */
#include "base/core/check.h"
#include "base/core/mem.h"
#include "base/http/http_post.h"
#include "control/kube/webhook_private.h"
#include <stdio.h>
#include <string.h>

enum {
	READ_LEN = 64 * 1024,
	READS_PER_STEP = 16, /* then others have their turn */
	HEAD_MS = 5000,      /* from the first byte of a request: slow clients */
	HEADING_MAX = 512,   /* bytes before the body of an answer */
};

struct webhook_http1 {
	struct webhook_conn *conn;
	struct transport *transport;
	struct loop_io io;
	struct loop_timer quiet;
	struct loop_task step_task;
	struct http_post *post;          /* NULL: a request is being answered */
	struct webhook_request *request; /* NULL: its head is not whole */
	struct buf out;
	bool has_byte;   /* of the next request */
	bool is_closing; /* after what is written */
};

static void step(struct webhook_http1 *http1);

static struct loop *loop_of(const struct webhook_http1 *http1)
{
	return http1->conn->webhook->options.loop;
}

static void on_step(struct loop_task *task)
{
	step(container_of(task, struct webhook_http1, step_task));
}

static void on_ready(struct loop_io *io, unsigned ready)
{
	(void)ready;
	step(container_of(io, struct webhook_http1, io));
}

static void on_quiet(struct loop_timer *timer)
{
	webhook_conn_free(container_of(timer, struct webhook_http1, quiet)->conn);
}

/* --- reading --- */

/* The request begins with its head; the path is known by then. */
static void take_head(struct webhook_http1 *http1)
{
	const char *path = http_post_path(http1->post);
	if (http1->request != NULL || path == NULL)
		return;
	loop_timer_stop(&http1->quiet);
	http1->request = webhook_request_new(http1->conn, 0);
	webhook_request_check(http1->request, span_of_str(path), true);
}

static void on_body(void *arg, struct span bytes)
{
	struct webhook_http1 *http1 = arg;
	take_head(http1);
	webhook_request_append(http1->request, bytes);
}

static void next_request(struct webhook_http1 *http1)
{
	http1->post = http_post_new(on_body, http1);
	http1->has_byte = false;
	loop_timer_start(loop_of(http1), &http1->quiet, WEBHOOK_IDLE_MS, on_quiet);
}

static void refuse(struct webhook_http1 *http1)
{
	struct http_fault fault = http_post_fault(http1->post);
	char status[8];
	http1->is_closing = true;
	if (http1->request == NULL)
		http1->request = webhook_request_new(http1->conn, 0);
	if (http1->request->is_answered)
		return;
	snprintf(status, sizeof(status), "%u", fault.status);
	webhook_request_answer_text(http1->request, status, fault.text);
}

static void take(struct webhook_http1 *http1, struct span bytes)
{
	if (!http1->has_byte)
		loop_timer_start(loop_of(http1), &http1->quiet, HEAD_MS, on_quiet);
	http1->has_byte = true;
	enum http_post_result result = http_post_feed(http1->post, bytes);
	take_head(http1);
	switch (result) {
	case HTTP_POST_MORE:
		return;
	case HTTP_POST_BAD:
		refuse(http1);
		break;
	case HTTP_POST_COMPLETE:
		http1->is_closing = http1->is_closing || !http_post_is_kept_alive(http1->post);
		CHECK(http1->request != NULL); /* take_head() made it */
		webhook_request_end(http1->request);
		break;
	}
	http_post_free(TAKE_PTR(http1->post));
}

/* --- writing --- */

static const char *reason_of(const char *status)
{
	return strcmp(status, "200") == 0 ? "OK" : strcmp(status, "503") == 0 ? "Service Unavailable" : "Bad Request";
}

void webhook_http1_answer(struct webhook_request *request, const char *status, const char *content_type)
{
	struct webhook_http1 *http1 = request->conn->http1;
	/* What follows of a body that is not read to its end would be taken for the next request. */
	http1->is_closing = http1->is_closing || http1->post != NULL;
	buf_init(&http1->out, HEADING_MAX + buf_len(&request->answer));
	CHECK(buf_printf(&http1->out, "HTTP/1.1 %s %s\r\nContent-Type: %s\r\nContent-Length: %zu\r\n%s\r\n", status,
		      reason_of(status), content_type, buf_len(&request->answer),
		      http1->is_closing ? "Connection: close\r\n" : "") == ERR_NONE);
	CHECK(buf_append(&http1->out, buf_span(&request->answer)) == ERR_NONE);
	buf_done(&request->answer);
	loop_task_post(loop_of(http1), &http1->step_task, on_step);
}

/* IO_DONE: the answer has left, and the next request may come. */
static enum io_result write_answer(struct webhook_http1 *http1)
{
	enum io_result result = transport_write_all(http1->transport, &http1->out);
	if (result != IO_DONE)
		return result;
	buf_done(&http1->out);
	webhook_request_free(TAKE_PTR(http1->request));
	http_post_free(TAKE_PTR(http1->post));
	if (!http1->is_closing) {
		next_request(http1);
		return IO_DONE;
	}
	transport_close_notify(http1->transport);
	(void)!transport_flush(http1->transport);
	return IO_EOF;
}

/* --- both --- */

static bool awaits_review(const struct webhook_http1 *http1)
{
	return http1->post == NULL && !http1->request->is_answered;
}

static enum io_result advance(struct webhook_http1 *http1)
{
	if (http1->request != NULL && http1->request->is_answered)
		return write_answer(http1);
	uint8_t bytes[READ_LEN];
	size_t len = 0;
	enum io_result result = transport_read(http1->transport, bytes, sizeof(bytes), &len);
	if (result == IO_DONE)
		take(http1, span_of(bytes, len));
	return result;
}

static void end(struct webhook_http1 *http1, enum io_result result)
{
	struct why why = {.err = ERR_CLOSED};
	if (result == IO_FAILED)
		why = *transport_why(http1->transport);
	webhook_conn_dead(http1->conn, &why);
}

static void step(struct webhook_http1 *http1)
{
	for (int i = 0; i < READS_PER_STEP && !awaits_review(http1); i++) {
		enum io_result result = advance(http1);
		switch (result) {
		case IO_DONE:
			continue;
		case IO_WANT_READ:
			loop_io_set_interest(&http1->io, LOOP_READ);
			return;
		case IO_WANT_WRITE:
			loop_io_set_interest(&http1->io, LOOP_WRITE);
			return;
		case IO_EOF:
		case IO_FAILED:
			end(http1, result);
			return;
		}
	}
	loop_io_set_interest(&http1->io, 0);
	if (!awaits_review(http1))
		loop_task_post(loop_of(http1), &http1->step_task, on_step);
}

struct webhook_http1 *webhook_http1_new(struct webhook_conn *conn, struct transport *transport)
{
	struct webhook_http1 *http1 = mem_new(struct webhook_http1);
	http1->conn = conn;
	http1->transport = transport;
	loop_io_start(loop_of(http1), &http1->io, transport_fd(transport), LOOP_READ, on_ready);
	next_request(http1);
	loop_task_post(loop_of(http1), &http1->step_task, on_step); /* bytes may have come with the handshake */
	http1->is_closing = conn->webhook->listener == NULL;
	return http1;
}

void webhook_http1_free(struct webhook_http1 *http1)
{
	if (http1 == NULL)
		return;
	loop_io_stop(&http1->io);
	loop_timer_stop(&http1->quiet);
	loop_task_cancel(&http1->step_task);
	http_post_free(http1->post);
	transport_free(http1->transport);
	buf_done(&http1->out);
	mem_free(http1);
}

bool webhook_http1_is_idle(const struct webhook_http1 *http1)
{
	return http1->request == NULL && !http1->has_byte;
}

void webhook_http1_drain(struct webhook_http1 *http1)
{
	http1->is_closing = true;
	if (!http1->has_byte)
		webhook_conn_free(http1->conn);
}
