#include "base/rpc/rpc_server_call.h"
#include "base/core/check.h"
#include "base/rpc/rpc_status.h"
#include "base/rpc/rpc_timeout.h"
#include <stdio.h>

enum {
	STATUS_TEXT_MAX = 512,
	LINGER_MS = 10000, /* for a client that does not read its trailers */
	H2_CANCEL = 8,
};

/* --- the response --- */

void rpc_server_call_respond(struct rpc_call *call)
{
	static const struct h2_header headers[] = {
		{SPAN_LITERAL(":status"), SPAN_LITERAL("200")},
		{SPAN_LITERAL("content-type"), SPAN_LITERAL("application/grpc")},
	};
	call->has_response = true;
	/* ERR_CLOSED: the client disconnected; on_call_closed follows. */
	(void)!h2_stream_respond(call->connection->h2, call->stream_id, headers, 2, false);
}

/* The trailers. A call that ends before the client has ended is reset after them. */
static void end_call(struct rpc_call *call)
{
	CHECK(!call->is_over); /* a call is answered once */
	call->is_over = true;
	call->send_closed = true;
	call->awaits_reset = !call->ended_remote;
	if (call->awaits_reset)
		call->connection->has_finished_calls = true;
	rpc_call_start_deadline(call, LINGER_MS);
	rpc_connection_flush(call->connection);
}

static void refuse_http(struct rpc_call *call, struct span http_status)
{
	const struct h2_header headers[] = {
		{SPAN_LITERAL(":status"), http_status},
		{SPAN_LITERAL("allow"), SPAN_LITERAL("POST")},
	};
	bool is_method = span_eq(http_status, SPAN_LITERAL("405"));
	(void)!h2_stream_respond(call->connection->h2, call->stream_id, headers, is_method ? 2 : 1, true);
	call->has_response = true;
	call->sent_all = true;
	end_call(call);
}

void rpc_call_finish(struct rpc_call *call, enum rpc_status status, const char *message, uint32_t retry_after_ms)
{
	if (call->is_over)
		return;
	CHECK(call->connection->role->h2_role == H2_SERVER && (unsigned)status <= RPC_UNAUTHENTICATED);
	char status_text[16], retry_text[16], message_text[STATUS_TEXT_MAX];
	(void)snprintf(status_text, sizeof(status_text), "%u", (unsigned)status);
	(void)snprintf(retry_text, sizeof(retry_text), "%u", retry_after_ms);
	struct h2_header headers[6] = {
		{SPAN_LITERAL(":status"), SPAN_LITERAL("200")},
		{SPAN_LITERAL("content-type"), SPAN_LITERAL("application/grpc")},
		{SPAN_LITERAL("grpc-status"), span_of_str(status_text)},
	};
	size_t num_headers = 3;
	if (message != NULL && rpc_message_encode(message, message_text, sizeof(message_text)) > 0)
		headers[num_headers++] = (struct h2_header){SPAN_LITERAL("grpc-message"), span_of_str(message_text)};
	if (retry_after_ms != 0)
		headers[num_headers++] =
			(struct h2_header){SPAN_LITERAL("grpc-retry-pushback-ms"), span_of_str(retry_text)};
	/* gRPC "Compression": a refusal lists the supported encodings. */
	if (status == RPC_UNIMPLEMENTED)
		headers[num_headers++] =
			(struct h2_header){SPAN_LITERAL("grpc-accept-encoding"), SPAN_LITERAL("identity")};
	CHECK(num_headers <= sizeof(headers) / sizeof(headers[0]));
	struct h2_session *h2 = call->connection->h2;
	if (call->has_response) {
		(void)!h2_stream_trailers(h2, call->stream_id, headers + 2, num_headers - 2);
	} else {
		(void)!h2_stream_respond(h2, call->stream_id, headers, num_headers, true);
		call->sent_all = true;
	}
	end_call(call);
	h2_stream_ready(h2, call->stream_id);
}

/* --- the request --- */

static bool is_grpc(struct span content_type)
{
	struct span name = SPAN_LITERAL("application/grpc");
	if (!span_starts_with(content_type, name))
		return false;
	struct span rest = span_from(content_type, name.len);
	return rest.len == 0 || rest.ptr[0] == '+' || rest.ptr[0] == ';';
}

static const struct rpc_method *find_method(const struct rpc_method *methods, size_t num_methods, struct span path)
{
	for (size_t i = 0; i < num_methods; i++)
		if (span_eq(path, span_of_str(methods[i].path)))
			return &methods[i];
	return NULL;
}

/* The earlier of the client's and the method's deadline. */
static enum err choose_deadline(const struct rpc_call *call, const struct rpc_method *method, uint32_t *out_ms)
{
	uint32_t ms = method->deadline_ms != 0 ? method->deadline_ms : UINT32_MAX;
	struct span timeout = rpc_call_metadata(call, "grpc-timeout");
	if (timeout.ptr != NULL) {
		uint32_t client_ms = 0;
		RETURN_IF_ERR(rpc_timeout_parse(timeout, &client_ms));
		ms = client_ms < ms ? client_ms : ms;
	}
	*out_ms = ms;
	return ERR_NONE;
}

static bool has_known_encoding(const struct rpc_call *call)
{
	struct span encoding = rpc_call_metadata(call, "grpc-encoding");
	return encoding.ptr == NULL || span_eq(encoding, SPAN_LITERAL("identity"));
}

static void start_method(struct rpc_call *call, const struct rpc_method *method, void *arg, struct rpc_peer *peer)
{
	uint32_t deadline_ms = 0;
	const char *message = NULL;
	if (choose_deadline(call, method, &deadline_ms) != ERR_NONE) {
		rpc_call_finish(call, RPC_INVALID_ARGUMENT, "grpc-timeout is malformed", 0);
		return;
	}
	enum rpc_status status = method->on_authorize != NULL ? method->on_authorize(arg, peer, &message) : RPC_OK;
	if (status != RPC_OK) {
		rpc_call_finish(call, status, message, 0);
		return;
	}
	if (deadline_ms == 0) {
		rpc_call_finish(call, RPC_DEADLINE_EXCEEDED, "the deadline has passed", 0);
		return;
	}
	if (deadline_ms != UINT32_MAX)
		rpc_call_start_deadline(call, deadline_ms);
	call->method = method;
	call->arg = arg;
	method->on_start(arg, call, peer);
}

void rpc_server_call_start(struct rpc_connection *connection, const struct rpc_method *methods, size_t num_methods,
	void *arg, struct rpc_peer *peer, int32_t stream_id, const struct h2_header *headers, size_t num_headers)
{
	const struct rpc_method *method =
		find_method(methods, num_methods, h2_headers_find(headers, num_headers, ":path"));
	struct rpc_call *call = rpc_call_new(connection, method != NULL ? method->message_max : 0);
	call->stream_id = stream_id;
	h2_stream_attach(connection->h2, stream_id, call);
	if (!span_eq(h2_headers_find(headers, num_headers, ":method"), SPAN_LITERAL("POST"))) {
		refuse_http(call, SPAN_LITERAL("405"));
		return;
	}
	if (!is_grpc(h2_headers_find(headers, num_headers, "content-type"))) {
		refuse_http(call, SPAN_LITERAL("415"));
		return;
	}
	rpc_call_set_metadata(call, headers, num_headers);
	if (method == NULL)
		rpc_call_finish(call, RPC_UNIMPLEMENTED, "unknown method", 0);
	else if (!has_known_encoding(call))
		rpc_call_finish(call, RPC_UNIMPLEMENTED, "grpc-encoding: only identity is supported", 0);
	else
		start_method(call, method, arg, peer);
}

/* --- callbacks of the connection --- */

void rpc_server_call_on_message(struct rpc_call *call, struct span message)
{
	CHECK(call->method != NULL); /* a call without a method is over: it gets no messages */
	bool is_second = call->has_message;
	call->has_message = true;
	if (call->method->is_unary && is_second)
		rpc_call_finish(call, RPC_UNIMPLEMENTED, "the method takes one message; a second one was received", 0);
	else
		call->method->on_message(call->arg, call, message);
}

void rpc_server_call_on_bad_message(struct rpc_call *call, enum rpc_status status, const char *message)
{
	rpc_call_finish(call, status, message, 0);
}

void rpc_server_call_on_half_close(struct rpc_call *call)
{
	call->awaits_reset = false; /* finished already: the stream closes without a reset */
	if (call->is_over)
		return;
	if (call->method->is_unary && !call->has_message)
		rpc_call_finish(call, RPC_UNIMPLEMENTED, "the method takes one message; none was received", 0);
	else if (call->method->on_half_close != NULL)
		call->method->on_half_close(call->arg, call);
}

void rpc_server_call_on_closed(struct rpc_call *call, enum rpc_status status)
{
	(void)status;
	if (call->method == NULL || call->is_silent)
		return;
	call->is_silent = true;
	call->method->on_done(call->arg, call);
}

void rpc_server_call_on_deadline(struct rpc_call *call)
{
	if (!call->is_over) {
		rpc_call_finish(call, RPC_DEADLINE_EXCEEDED, "the deadline has passed", 0);
		return;
	}
	h2_stream_reset(call->connection->h2, call->stream_id, H2_CANCEL);
	rpc_connection_flush(call->connection);
}
