#include "base/rpc/rpc_client.h"
#include "base/core/check.h"
#include "base/core/mem.h"
#include "base/core/number.h"
#include "base/rpc/rpc_call_private.h"
#include "base/rpc/rpc_status.h"
#include "base/rpc/rpc_timeout.h"

enum {
	CONNECT_TIMEOUT_MS = 5000,
	KEEPALIVE_MS = 10000,
	SEND_QUEUE_MAX = 1024 * 1024,
	MESSAGE_TEXT_MAX = 1024,
	H2_NO_ERROR = 0,
	H2_CANCEL = 8,
};

struct rpc_client {
	struct rpc_connection connection;
	struct rpc_client_options options;
	char *authority;
};

static struct rpc_client *client_of(struct rpc_connection *connection)
{
	return container_of(connection, struct rpc_client, connection);
}

/* --- the end of a call --- */

struct outcome {
	enum rpc_status status;
	uint32_t retry_after_ms;
	char message[MESSAGE_TEXT_MAX];
};

static void finish(struct rpc_call *call, const struct outcome *outcome)
{
	call->is_over = true;
	loop_timer_stop(&call->deadline);
	if (call->is_silent)
		return;
	CHECK(call->handlers != NULL);
	call->is_silent = true;
	call->handlers->on_done(call->arg, call, outcome->status, outcome->message, outcome->retry_after_ms);
}

static void finish_with(struct rpc_call *call, enum rpc_status status, const char *message)
{
	struct outcome outcome = {.status = status};
	(void)rpc_message_encode(message, outcome.message, sizeof(outcome.message));
	finish(call, &outcome);
}

static void abandon(struct rpc_call *call, enum rpc_status status, const char *message)
{
	h2_stream_reset(call->connection->h2, call->stream_id, H2_CANCEL);
	rpc_connection_flush(call->connection);
	finish_with(call, status, message);
}

static uint32_t read_pushback(struct span text)
{
	bool is_short = text.len <= 8;
	uint64_t ms = number_take(&text, UINT32_MAX);
	return is_short && text.len == 0 ? (uint32_t)ms : 0;
}

static void finish_by_trailers(struct rpc_call *call, const struct h2_header *headers, size_t num_headers)
{
	struct outcome outcome = {.status = call->http_status};
	struct span status = h2_headers_find(headers, num_headers, "grpc-status");
	if (status.ptr == NULL || rpc_status_parse(status, &outcome.status) != ERR_NONE) {
		finish_with(call, call->http_status != RPC_OK ? call->http_status : RPC_UNKNOWN,
			"the response has no grpc-status");
		return;
	}
	(void)rpc_message_decode(
		h2_headers_find(headers, num_headers, "grpc-message"), outcome.message, sizeof(outcome.message));
	outcome.retry_after_ms = read_pushback(h2_headers_find(headers, num_headers, "grpc-retry-pushback-ms"));
	if (outcome.status == RPC_OK && !rpc_frame_is_between(&call->reader))
		finish_with(call, RPC_INTERNAL, "the stream ended within a message");
	else
		finish(call, &outcome);
}

/* --- callbacks of the connection --- */

static void take_response(struct rpc_call *call, const struct h2_header *headers, size_t num_headers)
{
	struct span http_status = h2_headers_find(headers, num_headers, ":status");
	if (http_status.len == 3 && http_status.ptr[0] == '1')
		return; /* an interim response */
	call->has_response = true;
	rpc_call_set_metadata(call, headers, num_headers);
	call->http_status = span_eq(http_status, SPAN_LITERAL("200")) ? RPC_OK : rpc_status_of_http(http_status);
	if (call->http_status == RPC_OK && !span_starts_with(h2_headers_find(headers, num_headers, "content-type"),
						   SPAN_LITERAL("application/grpc")))
		call->http_status = RPC_UNKNOWN;
}

static void on_headers(struct rpc_connection *connection, int32_t stream_id, struct rpc_call *call,
	const struct h2_header *headers, size_t num_headers, bool end_stream)
{
	(void)connection;
	(void)stream_id;
	if (call == NULL || call->is_over)
		return;
	if (!call->has_response)
		take_response(call, headers, num_headers);
	if (end_stream)
		finish_by_trailers(call, headers, num_headers);
}

static void on_message(struct rpc_call *call, struct span message)
{
	if (call->http_status == RPC_OK)
		call->handlers->on_message(call->arg, call, message);
}

static void on_bad_message(struct rpc_call *call, enum rpc_status status, const char *message)
{
	abandon(call, call->http_status != RPC_OK ? call->http_status : status, message);
}

/* The server ended the stream; without trailers it is not a gRPC response. */
static void on_half_close(struct rpc_call *call)
{
	if (!call->is_over)
		finish_by_trailers(call, NULL, 0);
	if (!call->sent_all) {
		h2_stream_reset(call->connection->h2, call->stream_id, H2_NO_ERROR);
		rpc_connection_flush(call->connection);
	}
}

static void on_call_closed(struct rpc_call *call, enum rpc_status status)
{
	bool is_connection = h2_link_is_dead(call->connection->link);
	finish_with(call, status, is_connection ? "the connection ended" : "the server reset the stream");
}

static void on_deadline(struct rpc_call *call)
{
	abandon(call, RPC_DEADLINE_EXCEEDED, "the deadline has passed");
}

static void on_settings(struct rpc_connection *connection)
{
	struct rpc_client *client = client_of(connection);
	if (client->options.on_ready != NULL)
		client->options.on_ready(client->options.arg, client);
}

static void on_dead(struct rpc_connection *connection, const struct why *why)
{
	struct rpc_client *client = client_of(connection);
	if (client->options.on_close != NULL)
		client->options.on_close(client->options.arg, client, why);
}

static const struct rpc_connection_role client_role = {
	.h2_role = H2_CLIENT,
	.on_settings = on_settings,
	.on_headers = on_headers,
	.on_message = on_message,
	.on_bad_message = on_bad_message,
	.on_half_close = on_half_close,
	.on_call_closed = on_call_closed,
	.on_deadline = on_deadline,
	.on_dead = on_dead,
};

/* --- public functions --- */

static uint32_t or_default(uint32_t value, uint32_t fallback)
{
	return value != 0 ? value : fallback;
}

struct rpc_client *rpc_client_new(const struct rpc_client_options *options)
{
	CHECK(options->loop != NULL && options->transport != NULL && options->authority != NULL);
	struct rpc_client *client = mem_new(struct rpc_client);
	client->options = *options;
	client->authority = mem_strdup(options->authority);
	rpc_connection_init(&client->connection,
		&(struct rpc_connection_options){
			.role = &client_role,
			.loop = options->loop,
			.transport = options->transport,
			.settings_timeout_ms = or_default(options->connect_timeout_ms, CONNECT_TIMEOUT_MS),
			.patience_ms = options->patience_ms,
			.keepalive_ms = or_default(options->keepalive_ms, KEEPALIVE_MS),
			.send_queue_max = or_default(options->send_queue_max, SEND_QUEUE_MAX),
		});
	return client;
}

void rpc_client_free(struct rpc_client *client)
{
	if (client == NULL)
		return;
	rpc_connection_done(&client->connection);
	mem_free(client->authority);
	mem_free(client);
}

void rpc_client_probe(struct rpc_client *client, uint32_t within_ms)
{
	rpc_connection_probe(&client->connection, within_ms);
}

void rpc_client_set_metadata(struct rpc_client *client, const char *name, const char *value)
{
	client->options.metadata[0] = (struct rpc_client_metadata){name, value};
}

struct tls_session *rpc_client_tls(const struct rpc_client *client)
{
	return transport_tls(h2_link_transport(client->connection.link));
}

static enum err open_stream(struct rpc_client *client, struct rpc_call *call, const char *path, uint32_t deadline_ms)
{
	char timeout[RPC_TIMEOUT_TEXT_MAX];
	struct span scheme = rpc_client_tls(client) != NULL ? SPAN_LITERAL("https") : SPAN_LITERAL("http");
	struct h2_header headers[7 + RPC_CLIENT_METADATA_MAX] = {
		{SPAN_LITERAL(":method"), SPAN_LITERAL("POST")},
		{SPAN_LITERAL(":scheme"), scheme},
		{SPAN_LITERAL(":path"), span_of_str(path)},
		{SPAN_LITERAL(":authority"), span_of_str(client->authority)},
		{SPAN_LITERAL("te"), SPAN_LITERAL("trailers")},
		{SPAN_LITERAL("content-type"), SPAN_LITERAL("application/grpc")},
	};
	size_t num_headers = 6;
	if (deadline_ms != 0)
		headers[num_headers++] = (struct h2_header){
			SPAN_LITERAL("grpc-timeout"), span_of_str(rpc_timeout_format(deadline_ms, timeout))};
	for (size_t i = 0; i < RPC_CLIENT_METADATA_MAX; i++) {
		const struct rpc_client_metadata *metadata = &client->options.metadata[i];
		if (metadata->name != NULL)
			headers[num_headers++] = (struct h2_header){
				span_of_str(metadata->name), span_of_str(metadata->value), .is_unique = true};
	}
	return h2_stream_open(client->connection.h2, headers, num_headers, false, call, &call->stream_id);
}

enum err rpc_client_call(struct rpc_client *client, const char *path, uint32_t deadline_ms,
	const struct rpc_call_handlers *handlers, void *call_arg, struct rpc_call **out_call)
{
	if (!h2_link_is_open(client->connection.link))
		return ERR_UNAVAILABLE;
	struct rpc_call *call = rpc_call_new(&client->connection, client->options.message_max);
	enum err err = open_stream(client, call, path, deadline_ms);
	if (err != ERR_NONE) {
		rpc_call_free(call);
		return err;
	}
	CHECK(handlers->on_message != NULL && handlers->on_done != NULL);
	call->handlers = handlers;
	call->arg = call_arg;
	if (deadline_ms != 0)
		rpc_call_start_deadline(call, deadline_ms);
	rpc_connection_flush(&client->connection);
	*out_call = call;
	return ERR_NONE;
}
