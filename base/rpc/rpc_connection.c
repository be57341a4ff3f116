#include "base/rpc/rpc_connection.h"
#include "base/core/check.h"
#include "base/rpc/rpc_call_private.h"
#include "base/rpc/rpc_status.h"

enum {
	STREAM_WINDOW = 64 * 1024,
	H2_NO_ERROR = 0,
	/* Small: a control plane has thousands of connections, and each of our clients fills no more of its table
	 * there. What a server takes is HTTP/2's initial value: clients exist that do not read
	 * SETTINGS_HEADER_TABLE_SIZE. */
	HEADER_TABLE_SENT = 1024,
	FRAME_SENT = 16 * 1024,
};

/* --- the events of the link --- */

static void on_handshake(void *arg)
{
	struct rpc_connection *connection = arg;
	connection->h2 = h2_link_session(connection->link);
	if (connection->role->on_handshake != NULL)
		connection->role->on_handshake(connection);
}

static void on_open(void *arg)
{
	struct rpc_connection *connection = arg;
	if (connection->role->on_settings != NULL)
		connection->role->on_settings(connection);
}

static void on_headers(void *arg, int32_t stream_id, void *stream, const struct h2_header *headers, size_t num_headers,
	bool end_stream)
{
	struct rpc_connection *connection = arg;
	connection->role->on_headers(connection, stream_id, stream, headers, num_headers, end_stream);
}

static void on_data(void *arg, int32_t stream_id, void *stream, struct span bytes)
{
	struct rpc_connection *connection = arg;
	if (stream != NULL)
		rpc_call_feed(stream, bytes);
	else
		h2_stream_consumed(connection->h2, stream_id, bytes.len); /* a refused request */
}

static void on_end(void *arg, int32_t stream_id, void *stream)
{
	(void)arg;
	(void)stream_id;
	if (stream != NULL)
		rpc_call_feed_end(stream);
}

static void on_close(void *arg, int32_t stream_id, void *stream, uint32_t error)
{
	struct rpc_call *call = stream;
	if (call == NULL)
		return;
	CHECK(call->connection == arg && call->stream_id == stream_id);
	call->is_over = true;
	call->connection->role->on_call_closed(call, rpc_status_of_h2_error(error));
	rpc_call_free(call);
}

static enum io_result pull(void *arg, void *stream, uint8_t *to, size_t cap, size_t *out_len)
{
	(void)arg;
	*out_len = 0;
	return stream != NULL ? rpc_call_pull(stream, to, cap, out_len) : IO_EOF;
}

/* A call that the server finished while the client still sends is reset after its trailers. */
static void on_produced(void *arg)
{
	struct rpc_connection *connection = arg;
	if (!connection->has_finished_calls)
		return;
	connection->has_finished_calls = false;
	LIST_EACH(&connection->calls, struct rpc_call, call, link)
		if (call->awaits_reset && call->sent_all) {
			call->awaits_reset = false;
			h2_stream_reset(connection->h2, call->stream_id, H2_NO_ERROR);
		} else if (call->awaits_reset) {
			connection->has_finished_calls = true;
		}
}

static void on_dead(void *arg, const struct why *why)
{
	struct rpc_connection *connection = arg;
	for (struct rpc_call *call; (call = LIST_FIRST(&connection->calls, struct rpc_call, link)) != NULL;) {
		call->is_over = true;
		connection->role->on_call_closed(call, RPC_UNAVAILABLE);
		rpc_call_free(call);
	}
	CHECK(connection->num_calls == 0);
	connection->role->on_dead(connection, why);
}

static const struct h2_link_events events = {
	.on_handshake = on_handshake,
	.on_open = on_open,
	.on_dead = on_dead,
	.on_headers = on_headers,
	.on_data = on_data,
	.on_end = on_end,
	.on_close = on_close,
	.pull = pull,
	.on_produced = on_produced,
};

/* --- life --- */

void rpc_connection_init(struct rpc_connection *connection, const struct rpc_connection_options *options)
{
	CHECK(options->role != NULL && options->send_queue_max > 0);
	*connection = (struct rpc_connection){.role = options->role,
		.loop = options->loop,
		.send_queue_max = options->send_queue_max,
		.has_secrets = options->has_secrets};
	const struct h2_link_options link = {.loop = options->loop,
		.transport = options->transport,
		.role = options->role->h2_role,
		.limits = {.max_streams = options->max_streams,
			.header_table_sent = HEADER_TABLE_SENT,
			.stream_window = STREAM_WINDOW,
			.frame_bytes_sent = FRAME_SENT},
		.open_timeout_ms = options->settings_timeout_ms,
		.patience_ms = options->patience_ms,
		.keepalive_ms = options->keepalive_ms,
		.always_pings = options->always_pings,
		.has_secrets = options->has_secrets,
		.events = &events,
		.arg = connection};
	connection->link = h2_link_new(&link);
}

void rpc_connection_done(struct rpc_connection *connection)
{
	if (connection->link == NULL)
		return;
	LIST_EACH_REMOVABLE(&connection->calls, struct rpc_call, call, link)
		rpc_call_free(call);
	CHECK(connection->num_calls == 0);
	connection->h2 = NULL;
	h2_link_free(TAKE_PTR(connection->link));
}

void rpc_connection_end(struct rpc_connection *connection, const struct why *why)
{
	h2_link_end(connection->link, why);
}

void rpc_connection_probe(struct rpc_connection *connection, uint32_t within_ms)
{
	h2_link_probe(connection->link, within_ms);
}

void rpc_connection_flush(struct rpc_connection *connection)
{
	h2_link_flush(connection->link);
}
