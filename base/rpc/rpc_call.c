#include "base/core/check.h"
#include "base/core/mem.h"
#include "base/rpc/rpc_call_private.h"

enum { H2_CANCEL = 8, MESSAGE_SEND_MAX = 64 * 1024 * 1024 };

struct rpc_call *rpc_call_new(struct rpc_connection *connection, uint32_t message_max)
{
	CHECK(connection->h2 != NULL);
	struct rpc_call *call = mem_new(struct rpc_call);
	call->connection = connection;
	rpc_frame_reader_init(&call->reader, message_max != 0 ? message_max : RPC_MESSAGE_MAX_DEFAULT);
	buf_init(&call->send_queue, MESSAGE_SEND_MAX); /* rpc_call_send() enforces the smaller limit */
	call->send_queue.is_secret = connection->has_secrets;
	list_push_front(&connection->calls, &call->link);
	connection->num_calls++;
	return call;
}

void rpc_call_free(struct rpc_call *call)
{
	CHECK(call->connection->num_calls > 0);
	list_remove(&call->link);
	call->connection->num_calls--;
	loop_timer_stop(&call->deadline);
	rpc_frame_reader_done(&call->reader);
	buf_done(&call->send_queue);
	mem_free(call->metadata.items);
	mem_free(call);
}

void rpc_call_set_arg(struct rpc_call *call, void *arg)
{
	call->arg = arg;
}

/* --- metadata --- */

void rpc_call_set_metadata(struct rpc_call *call, const struct h2_header *headers, size_t num_headers)
{
	mem_free(call->metadata.items);
	call->metadata = (struct rpc_metadata){h2_headers_copy(headers, num_headers), num_headers};
}

struct span rpc_call_metadata(const struct rpc_call *call, const char *name)
{
	return h2_headers_find(call->metadata.items, call->metadata.num_items, name);
}

/* --- sending --- */

static void ready(struct rpc_call *call)
{
	h2_stream_ready(call->connection->h2, call->stream_id);
	rpc_connection_flush(call->connection);
}

enum err rpc_call_send(struct rpc_call *call, struct span message)
{
	if (call->is_over || call->send_closed)
		return ERR_CLOSED;
	size_t queued = buf_len(&call->send_queue);
	size_t len = RPC_FRAME_PREFIX_LEN + message.len;
	/* One message always fits, independent of its size. */
	if (message.len > UINT32_MAX || (queued > 0 && queued + len > call->connection->send_queue_max))
		return ERR_LIMIT;
	uint8_t *room;
	RETURN_IF_ERR(buf_reserve(&call->send_queue, len, &room));
	rpc_frame_prefix((uint32_t)message.len, room);
	if (message.len > 0)
		memcpy(room + RPC_FRAME_PREFIX_LEN, message.ptr, message.len);
	buf_commit(&call->send_queue, len);
	if (!call->has_response && call->connection->role->respond != NULL)
		call->connection->role->respond(call);
	ready(call);
	return ERR_NONE;
}

void rpc_call_close_send(struct rpc_call *call)
{
	if (call->is_over || call->send_closed)
		return;
	call->send_closed = true;
	ready(call);
}

enum io_result rpc_call_pull(struct rpc_call *call, uint8_t *to, size_t cap, size_t *out_len)
{
	CHECK(to != NULL && cap > 0 && !call->sent_all);
	struct span queued = buf_span(&call->send_queue);
	size_t len = queued.len < cap ? queued.len : cap;
	if (len > 0)
		memcpy(to, queued.ptr, len);
	buf_consume(&call->send_queue, len);
	buf_trim(&call->send_queue);
	*out_len = len;
	call->sent_all = buf_len(&call->send_queue) == 0 && call->send_closed;
	if (call->sent_all)
		return IO_EOF;
	return len > 0 ? IO_DONE : IO_WANT_READ;
}

/* --- receiving --- */

static bool has_encoding(const struct rpc_call *call)
{
	struct span encoding = rpc_call_metadata(call, "grpc-encoding");
	return encoding.ptr != NULL && !span_eq(encoding, SPAN_LITERAL("identity"));
}

static void report_bad_message(struct rpc_call *call, enum err err)
{
	const struct rpc_connection_role *role = call->connection->role;
	if (err == ERR_TOO_LARGE)
		role->on_bad_message(call, RPC_RESOURCE_EXHAUSTED, "the message exceeds the size limit");
	else if (err == ERR_UNSUPPORTED && has_encoding(call))
		role->on_bad_message(call, RPC_UNIMPLEMENTED, "compressed messages are not supported");
	else if (err == ERR_UNSUPPORTED) /* gRPC "Compression": the flag without an encoding */
		role->on_bad_message(call, RPC_INTERNAL, "the message is compressed without grpc-encoding");
	else
		role->on_bad_message(call, RPC_INTERNAL, "the message's frame is malformed");
}

void rpc_call_feed(struct rpc_call *call, struct span bytes)
{
	size_t len = bytes.len;
	struct rpc_connection *connection = call->connection;
	while (!call->is_over) {
		bool has_message;
		struct span message;
		enum err err = rpc_frame_next(&call->reader, &bytes, &has_message, &message);
		if (err != ERR_NONE)
			report_bad_message(call, err);
		else if (has_message)
			connection->role->on_message(call, message);
		if (err != ERR_NONE || !has_message)
			break;
	}
	/* The message was consumed in on_message, or is in the reader, which is bounded: return the credit. */
	h2_stream_consumed(connection->h2, call->stream_id, len);
}

void rpc_call_feed_end(struct rpc_call *call)
{
	call->ended_remote = true;
	if (!call->is_over && !rpc_frame_is_between(&call->reader))
		call->connection->role->on_bad_message(call, RPC_INTERNAL, "the stream ended within a message");
	else
		call->connection->role->on_half_close(call);
}

/* --- ending --- */

static void on_call_deadline(struct loop_timer *timer)
{
	struct rpc_call *call = container_of(timer, struct rpc_call, deadline);
	call->connection->role->on_deadline(call);
}

void rpc_call_start_deadline(struct rpc_call *call, uint32_t ms)
{
	loop_timer_start(call->connection->loop, &call->deadline, ms, on_call_deadline);
}

void rpc_call_cancel(struct rpc_call *call)
{
	call->is_silent = true;
	call->is_over = true;
	loop_timer_stop(&call->deadline);
	h2_stream_reset(call->connection->h2, call->stream_id, H2_CANCEL);
	rpc_connection_flush(call->connection);
}
