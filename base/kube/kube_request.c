#include "base/core/check.h"
#include "base/core/mem.h"
#include "base/kube/kube_stream.h"

enum { TIMEOUT_MS = 10000 };

struct kube_request {
	struct kube_stream *stream; /* NULL: it has ended */
	struct loop_timer deadline;
	struct loop *loop;
	kube_done_fn *on_done;
	void *arg;
	struct kube_head head;
	struct buf body;
};

static void request_free(struct kube_request *request)
{
	loop_timer_stop(&request->deadline);
	buf_wipe(&request->body); /* a Secret may be in it */
	mem_free(request);
}

static void finish(struct kube_request *request, enum err err, const struct why *why)
{
	struct kube_response response = {.status = request->head.status,
		.body = buf_span(&request->body),
		.retry_after_s = request->head.retry_after_s,
		.date_s = request->head.date_s};
	loop_timer_stop(&request->deadline);
	request->on_done(request->arg, err, err == ERR_NONE ? &response : NULL, why);
	request_free(request);
}

static void abandon(struct kube_request *request, enum err err, const struct why *why)
{
	kube_stream_cancel(TAKE_PTR(request->stream));
	finish(request, err, why);
}

static void on_head(void *arg, const struct kube_head *head)
{
	((struct kube_request *)arg)->head = *head;
}

static void on_bytes(void *arg, struct span bytes)
{
	struct kube_request *request = arg;
	kube_stream_consumed(request->stream, bytes.len);
	if (buf_append(&request->body, bytes) == ERR_NONE)
		return;
	struct why why = {0};
	(void)why_set(&why, ERR_TOO_LARGE, "an answer within the limit", "ask for less at once",
		"the API server's answer is longer than %zu bytes", request->body.max);
	abandon(request, ERR_TOO_LARGE, &why);
}

static void on_end(void *arg, enum err err, const struct why *why)
{
	struct kube_request *request = arg;
	request->stream = NULL;
	finish(request, err, why);
}

static void on_drop(void *arg)
{
	request_free(arg);
}

static void on_deadline(struct loop_timer *timer)
{
	struct kube_request *request = container_of(timer, struct kube_request, deadline);
	struct why why = {0};
	(void)why_set(&why, ERR_TIMEOUT, "an answer in time", "check the API server and the network to it",
		"the API server did not answer in time");
	abandon(request, ERR_TIMEOUT, &why);
}

struct kube_request *kube_request_start(
	struct kube_client *client, const struct kube_request_options *options, kube_done_fn *on_done, void *arg)
{
	static const struct kube_stream_events events = {on_head, on_bytes, on_end, NULL, on_drop};
	CHECK(on_done != NULL);
	struct kube_request *request = mem_new(struct kube_request);
	const char *content_type = options->content_type != NULL ? options->content_type : "application/json";
	const struct kube_stream_options stream = {.method = options->method,
		.path = options->path,
		.content_type = options->body.len > 0 ? content_type : NULL,
		.accept = options->accept,
		.body = options->body};
	request->loop = kube_client_loop(client);
	request->on_done = on_done;
	request->arg = arg;
	buf_init(&request->body, options->response_max != 0 ? options->response_max : KUBE_RESPONSE_MAX);
	request->stream = kube_stream_open(client, &stream, &events, request);
	loop_timer_start(request->loop, &request->deadline, options->timeout_ms != 0 ? options->timeout_ms : TIMEOUT_MS,
		on_deadline);
	return request;
}

void kube_request_cancel(struct kube_request *request)
{
	kube_stream_cancel(TAKE_PTR(request->stream));
	request_free(request);
}
