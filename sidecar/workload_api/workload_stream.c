/* The calls of the SPIFFE Workload API. */
#include "base/core/check.h"
#include "base/core/log.h"
#include "base/core/mem.h"
#include "sidecar/workload_api/sds_messages.h"
#include "sidecar/workload_api/sds_stream.h"
#include "sidecar/workload_api/workload_messages.h"
#include "sidecar/workload_api/workload_private.h"
#include <stdio.h>

enum { REQUEST_MAX = 16384 };

/* --- streams of any kind --- */

static void on_wait_over(struct loop_timer *timer)
{
	struct workload_stream *stream = container_of(timer, struct workload_stream, wait);
	CHECK(stream->api->credentials == NULL);
	workload_stream_end(stream, RPC_PERMISSION_DENIED,
		"the sidecar has no valid identity yet; expected: an SVID of the control plane; fix: run `handfast "
		"why`");
}

void *workload_stream_new(
	struct workload_api *api, struct rpc_call *call, const struct workload_stream_kind *kind, size_t size)
{
	CHECK(size >= sizeof(struct workload_stream));
	if (api->num_streams >= WORKLOAD_STREAMS_MAX) {
		rpc_call_set_arg(call, NULL);
		rpc_call_finish(call, RPC_RESOURCE_EXHAUSTED,
			"too many calls; expected: at most 256 at a time; fix: keep one stream per program", 0);
		return NULL;
	}
	struct workload_stream *stream = mem_zalloc(size);
	stream->kind = kind;
	stream->api = api;
	stream->call = call;
	list_push_back(&api->streams, &stream->link);
	api->num_streams++;
	rpc_call_set_arg(call, stream);
	return stream;
}

void workload_stream_free(struct workload_stream *stream)
{
	CHECK(stream->api->num_streams > 0);
	stream->api->num_streams--;
	list_remove(&stream->link);
	loop_timer_stop(&stream->wait);
	mem_free(stream);
}

/* Whatever is pushed, also nothing: the wait for credentials is over. */
void workload_stream_push(struct workload_stream *stream)
{
	CHECK(stream->api->credentials != NULL && stream->has_request && stream->call != NULL);
	loop_timer_stop(&stream->wait);
	stream->kind->push(stream);
}

void workload_stream_begin(struct workload_stream *stream)
{
	stream->has_request = true;
	if (stream->api->credentials != NULL)
		workload_stream_push(stream);
	else
		loop_timer_start(stream->api->loop, &stream->wait, WORKLOAD_WAIT_MS, on_wait_over);
}

void workload_stream_end(struct workload_stream *stream, enum rpc_status status, const char *message)
{
	loop_timer_stop(&stream->wait);
	if (stream->call != NULL)
		rpc_call_finish(TAKE_PTR(stream->call), status, message, 0);
}

void workload_stream_send(struct workload_stream *stream, enum err encoded, const struct buf *message)
{
	if (stream->call == NULL)
		return;
	if (encoded != ERR_NONE) {
		struct why why = {0};
		char text[700], expected[64];
		(void)snprintf(expected, sizeof(expected), "at most %u bytes", WORKLOAD_MESSAGE_MAX);
		(void)why_set(&why, encoded, expected,
			"publish fewer roots, shorter revocation lists or fewer partners: this goes to every workload",
			"the answer with bundles and lists is larger");
		log_why(LOG_LEVEL_ERROR, WORKLOAD_COMPONENT, "the workload gets no answer", &why);
		workload_stream_end(stream, RPC_RESOURCE_EXHAUSTED, why_format(&why, text, sizeof(text)));
		return;
	}
	enum err err = rpc_call_send(stream->call, buf_span(message));
	if (err == ERR_LIMIT) /* a reader that is an answer behind would hold memory without bound */
		workload_stream_end(stream, RPC_RESOURCE_EXHAUSTED,
			"the former answer has not been read; expected: a client that reads; fix: call again");
}

void workload_stream_expire(struct workload_stream *stream)
{
	workload_stream_end(stream, RPC_PERMISSION_DENIED,
		"the SVID has expired; expected: a renewed SVID; fix: run `handfast why`");
}

/* --- SPIFFE Workload API --- */

static void push_x509_svid(struct workload_stream *stream)
{
	_cleanup_(buf_wipe) struct buf message = BUF_INIT(WORKLOAD_MESSAGE_MAX);
	enum err err = workload_x509_svid_encode(stream->api->credentials, &message);
	workload_stream_send(stream, err, &message);
}

static void push_x509_bundles(struct workload_stream *stream)
{
	_cleanup_(buf_done) struct buf message = BUF_INIT(WORKLOAD_MESSAGE_MAX);
	enum err err = workload_x509_bundles_encode(stream->api->credentials, &message);
	workload_stream_send(stream, err, &message);
}

static const struct workload_stream_kind x509_svid = {push_x509_svid, workload_stream_expire};
static const struct workload_stream_kind x509_bundles = {push_x509_bundles, workload_stream_expire};

/* SPIFFE Workload Endpoint 4: the header shows that the caller is no browser or proxy that was made to ask (W8). */
bool workload_has_header(struct rpc_call *call)
{
	if (span_eq(rpc_call_metadata(call, "workload.spiffe.io"), SPAN_LITERAL("true")))
		return true;
	rpc_call_set_arg(call, NULL);
	rpc_call_finish(call, RPC_INVALID_ARGUMENT,
		"the metadata workload.spiffe.io is missing; expected: workload.spiffe.io: true; fix: use a client of "
		"the SPIFFE Workload API",
		0);
	return false;
}

static void start(struct workload_api *api, struct rpc_call *call, const struct workload_stream_kind *kind)
{
	if (workload_has_header(call))
		(void)workload_stream_new(api, call, kind, sizeof(struct workload_stream));
}

static void start_x509_svid(void *api, struct rpc_call *call, _unused_ struct rpc_peer *peer)
{
	start(api, call, &x509_svid);
}

static void start_x509_bundles(void *api, struct rpc_call *call, _unused_ struct rpc_peer *peer)
{
	start(api, call, &x509_bundles);
}

static void start_jwt_bundles(void *api, struct rpc_call *call, _unused_ struct rpc_peer *peer)
{
	start(api, call, &workload_jwt_bundles);
}

/* The requests of the streams are empty messages; whatever stands in them is ignored (W2). */
static void on_request(void *arg, _unused_ struct rpc_call *call, _unused_ struct span message)
{
	workload_stream_begin(arg);
}

static void on_done(void *arg, _unused_ struct rpc_call *call)
{
	if (arg != NULL)
		workload_stream_free(arg);
}

#define SDS "/envoy.service.secret.v3.SecretDiscoveryService/"
#define STREAM(name, starter)                                                                                          \
	{                                                                                                              \
		.path = "/SpiffeWorkloadAPI/" name, .is_unary = true, .message_max = REQUEST_MAX,                      \
		.on_authorize = workload_authorize, .on_start = (starter), .on_message = on_request,                   \
		.on_done = on_done                                                                                     \
	}

const struct rpc_method workload_methods[] = {
	STREAM("FetchX509SVID", start_x509_svid),
	STREAM("FetchX509Bundles", start_x509_bundles),
	STREAM("FetchJWTBundles", start_jwt_bundles),
	{.path = "/SpiffeWorkloadAPI/FetchJWTSVID",
		.is_unary = true,
		.message_max = REQUEST_MAX,
		.on_authorize = workload_authorize,
		.on_start = workload_jwt_start_fetch,
		.on_message = workload_jwt_on_message,
		.on_done = workload_jwt_on_done},
	{.path = "/SpiffeWorkloadAPI/ValidateJWTSVID",
		.is_unary = true,
		.message_max = REQUEST_MAX,
		.on_authorize = workload_authorize,
		.on_start = workload_jwt_start_validate,
		.on_message = workload_jwt_on_message,
		.on_done = workload_jwt_on_done},
	{.path = SDS "StreamSecrets",
		.message_max = SDS_REQUEST_MAX,
		.on_authorize = workload_authorize,
		.on_start = sds_start_stream,
		.on_message = sds_on_message,
		.on_done = sds_on_done},
	{.path = SDS "FetchSecrets",
		.is_unary = true,
		.message_max = SDS_REQUEST_MAX,
		.on_authorize = workload_authorize,
		.on_start = sds_start_fetch,
		.on_message = sds_on_message,
		.on_done = sds_on_done},
};
const size_t num_workload_methods = sizeof(workload_methods) / sizeof(*workload_methods);
