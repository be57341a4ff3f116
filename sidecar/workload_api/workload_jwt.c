/* The calls of the Workload API about JWT-SVIDs: fetched from the control plane, validated here. */
#include "base/core/check.h"
#include "base/core/log.h"
#include "base/core/mem.h"
#include "base/rpc/rpc_client.h"
#include "sidecar/workload_api/jwt_messages.h"
#include "sidecar/workload_api/workload_messages.h"
#include "sidecar/workload_api/workload_private.h"

/* The control plane allows 4 calls per connection, of which the streams of identity and discovery are two. */
enum { CONTROL_CALLS_MAX = 2, CONTROL_MS = 5000, POLL_MS = 20, TEXT_MAX = 700 };

struct jwt_call {                      /* the argument of a call */
	struct workload_stream stream; /* first: allocated as one */
	bool is_validation;
	struct buf request;     /* to the control plane, or of a validation */
	struct rpc_call *up;    /* NULL: none under way */
	struct loop_timer poll; /* while others use the connection */
	struct spiffe_id id;    /* for which the token is */
};

static struct jwt_call *jwt_of(struct workload_stream *stream)
{
	return container_of(stream, struct jwt_call, stream);
}

/* --- bundles --- */

static void push_bundles(struct workload_stream *stream)
{
	_cleanup_(buf_done) struct buf message = BUF_INIT(WORKLOAD_MESSAGE_MAX);
	enum err err = jwt_bundles_encode(credentials_bundles(stream->api->credentials), &message);
	workload_stream_send(stream, err, &message);
}

const struct workload_stream_kind workload_jwt_bundles = {push_bundles, workload_stream_expire};

/* --- unary calls --- */

static void refuse(struct jwt_call *jwt, enum err err, const struct why *why)
{
	char text[TEXT_MAX];
	workload_stream_end(&jwt->stream,
		err == ERR_DENIED && !jwt->is_validation ? RPC_PERMISSION_DENIED : RPC_INVALID_ARGUMENT,
		why_format(why, text, sizeof(text)));
}

static void answer(struct jwt_call *jwt, enum err err, const struct buf *message, const struct why *why)
{
	if (err != ERR_NONE) {
		refuse(jwt, err, why);
		return;
	}
	workload_stream_send(&jwt->stream, ERR_NONE, message);
	workload_stream_end(&jwt->stream, RPC_OK, NULL);
}

static void on_up_message(void *arg, _unused_ struct rpc_call *call, struct span bytes)
{
	struct jwt_call *jwt = arg;
	_cleanup_(buf_wipe) struct buf message = BUF_INIT(WORKLOAD_MESSAGE_MAX);
	struct why why = {0};
	if (jwt->stream.call == NULL)
		return;
	enum err err = jwt_answer_translate(bytes, &jwt->id, &message, &why);
	answer(jwt, err, &message, &why);
}

static void on_up_done(void *arg, _unused_ struct rpc_call *call, enum rpc_status status, const char *message,
	_unused_ uint32_t retry_after_ms)
{
	struct jwt_call *jwt = arg;
	jwt->up = NULL;
	jwt->stream.api->num_control_calls--;
	/* Only what the caller can correct has its status; the rest is a reason to try again. */
	if (jwt->stream.call != NULL)
		workload_stream_end(&jwt->stream,
			status == RPC_INVALID_ARGUMENT || status == RPC_RESOURCE_EXHAUSTED ? status : RPC_UNAVAILABLE,
			message != NULL ? message : "the control plane did not answer");
}

static void fetch(struct jwt_call *jwt);

static void on_poll(struct loop_timer *timer)
{
	fetch(container_of(timer, struct jwt_call, poll));
}

static void fetch(struct jwt_call *jwt)
{
	static const struct rpc_call_handlers handlers = {on_up_message, on_up_done};
	struct workload_api *api = jwt->stream.api;
	if (api->control == NULL) {
		workload_stream_end(&jwt->stream, RPC_UNAVAILABLE,
			"the control plane, which makes JWT-SVIDs, cannot be reached; expected: a connection to it; "
			"fix: run `handfast why`");
		return;
	}
	if (api->num_control_calls >= CONTROL_CALLS_MAX) {
		loop_timer_start(api->loop, &jwt->poll, POLL_MS, on_poll);
		return;
	}
	enum err err = rpc_client_call(api->control, JWT_FETCH_PATH, CONTROL_MS, &handlers, jwt, &jwt->up);
	if (err != ERR_NONE) {
		workload_stream_end(&jwt->stream, RPC_UNAVAILABLE, "the connection to the control plane has ended");
		return;
	}
	api->num_control_calls++;
	if (rpc_call_send(jwt->up, buf_span(&jwt->request)) == ERR_NONE)
		rpc_call_close_send(jwt->up);
}

static void push_token(struct workload_stream *stream)
{
	struct jwt_call *jwt = jwt_of(stream);
	_cleanup_(buf_done) struct buf request = jwt->request;
	const struct spiffe_id *own = credentials_id(stream->api->credentials);
	struct why why = {0};
	stream->has_request = false; /* once: a new certificate does not fetch another token */
	jwt->request = BUF_INIT(WORKLOAD_MESSAGE_MAX);
	spiffe_id_copy(own, &jwt->id);
	enum err err = jwt_request_translate(buf_span(&request), own, &jwt->request, &why);
	if (err != ERR_NONE)
		refuse(jwt, err, &why);
	else
		fetch(jwt);
}

static void push_validation(struct workload_stream *stream)
{
	struct jwt_call *jwt = jwt_of(stream);
	_cleanup_(buf_done) struct buf message = BUF_INIT(WORKLOAD_MESSAGE_MAX);
	const struct clock *clock = loop_clock(stream->api->loop);
	struct why why = {0};
	stream->has_request = false;
	enum err err = jwt_validation_translate(buf_span(&jwt->request), credentials_bundles(stream->api->credentials),
		clock->wall_ms(clock) / 1000, &message, &why);
	answer(jwt, err, &message, &why);
}

static const struct workload_stream_kind fetching = {push_token, NULL}, validating = {push_validation, NULL};

void workload_jwt_detach(struct workload_api *api)
{
	api->num_control_calls = 0;
	LIST_EACH(&api->streams, struct workload_stream, stream, link) {
		struct jwt_call *jwt = stream->kind == &fetching ? jwt_of(stream) : NULL;
		if (jwt == NULL || jwt->up == NULL)
			continue;
		jwt->up = NULL; /* it ends without on_up_done() (rpc_client.h) */
		workload_stream_end(stream, RPC_UNAVAILABLE, "the connection to the control plane has ended");
	}
}

static void start(struct workload_api *api, struct rpc_call *call, const struct workload_stream_kind *kind)
{
	if (!workload_has_header(call))
		return;
	struct jwt_call *jwt = workload_stream_new(api, call, kind, sizeof(struct jwt_call));
	if (jwt == NULL)
		return;
	jwt->is_validation = kind == &validating;
	jwt->request = BUF_INIT(WORKLOAD_MESSAGE_MAX);
}

void workload_jwt_start_fetch(void *api, struct rpc_call *call, _unused_ struct rpc_peer *peer)
{
	start(api, call, &fetching);
}

void workload_jwt_start_validate(void *api, struct rpc_call *call, _unused_ struct rpc_peer *peer)
{
	start(api, call, &validating);
}

void workload_jwt_on_message(void *arg, _unused_ struct rpc_call *call, struct span message)
{
	struct jwt_call *jwt = arg;
	CHECK(buf_append(&jwt->request, message) == ERR_NONE); /* the method's maximum is smaller */
	workload_stream_begin(&jwt->stream);
}

void workload_jwt_on_done(void *arg, _unused_ struct rpc_call *call)
{
	struct jwt_call *jwt = arg;
	if (jwt == NULL)
		return;
	if (jwt->up != NULL) {
		jwt->stream.api->num_control_calls--;
		rpc_call_cancel(jwt->up);
	}
	loop_timer_stop(&jwt->poll);
	buf_done(&jwt->request);
	spiffe_id_done(&jwt->id);
	workload_stream_free(&jwt->stream);
}
