#include "base/rpc/rpc_connection.h"
#include "base/core/check.h"
#include "base/rpc/rpc_call_private.h"
#include "base/rpc/rpc_status.h"

enum {
	READ_LEN = 64 * 1024,
	READS_PER_STEP = 16, /* then other connections have their turn */
	OUT_MAX = 256 * 1024,
	STREAM_WINDOW = 64 * 1024,
	H2_NO_ERROR = 0,
	HEADER_TABLE = 1024, /* small: a control plane has thousands of connections */
};

/* Forward one state at a time, and from each to the end, once. */
static bool may_go(enum rpc_connection_state from, enum rpc_connection_state to)
{
	switch (from) {
	case RPC_CONNECTION_HANDSHAKE:
		return to == RPC_CONNECTION_AWAITING_SETTINGS || to == RPC_CONNECTION_DEAD;
	case RPC_CONNECTION_AWAITING_SETTINGS:
		return to == RPC_CONNECTION_OPEN || to == RPC_CONNECTION_DEAD;
	case RPC_CONNECTION_OPEN:
		return to == RPC_CONNECTION_DEAD;
	case RPC_CONNECTION_DEAD:
		return false;
	}
	CHECK_UNREACHABLE();
}

static void set_state(struct rpc_connection *connection, enum rpc_connection_state state)
{
	CHECK(may_go(connection->state, state));
	connection->state = state;
}

/* --- HTTP/2's callbacks --- */

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

static void on_settings(void *arg)
{
	struct rpc_connection *connection = arg;
	set_state(connection, RPC_CONNECTION_OPEN);
	loop_timer_stop(&connection->settings_timeout);
	if (connection->role->on_settings != NULL)
		connection->role->on_settings(connection);
}

static void on_ping_ack(void *arg)
{
	((struct rpc_connection *)arg)->awaits_ping_ack = false;
}

static void on_goaway(void *arg, int32_t last_stream_id, uint32_t error)
{
	(void)last_stream_id;
	struct rpc_connection *connection = arg;
	if (error != H2_NO_ERROR)
		(void)why_set(&connection->detail, ERR_CLOSED, "a connection within the peer's limits",
			"see the peer's log", "the peer sent GOAWAY %s", h2_error_name(error));
}

static void on_output_ready(void *arg)
{
	rpc_connection_flush(arg);
}

static void start_h2(struct rpc_connection *connection)
{
	const struct h2_session_options options = {
		.role = connection->role->h2_role,
		.limits = {.max_streams = connection->max_streams,
			.header_table = HEADER_TABLE,
			.stream_window = STREAM_WINDOW},
		.callbacks = {.on_headers = on_headers,
			.on_data = on_data,
			.on_end = on_end,
			.on_close = on_close,
			.pull = pull,
			.on_settings = on_settings,
			.on_ping_ack = on_ping_ack,
			.on_goaway = on_goaway,
			.on_output_ready = on_output_ready},
		.arg = connection,
	};
	CHECK(connection->h2 == NULL);
	CHECK(h2_session_new(&options, &connection->h2) == ERR_NONE);
}

/* --- writing --- */

/* IO_DONE: all output was written. */
static enum io_result write_out(struct rpc_connection *connection)
{
	while (buf_len(&connection->out) > 0) {
		size_t len = 0;
		enum io_result result = transport_write(connection->transport, buf_span(&connection->out), &len);
		if (result == IO_WANT_WRITE && transport_tls(connection->transport) != NULL)
			result = transport_flush(connection->transport); /* to free its buffer */
		if (result != IO_DONE)
			return result;
		buf_consume(&connection->out, len);
	}
	buf_trim(&connection->out);
	return transport_flush(connection->transport);
}

/* A call that the server finished while the client still sends is reset after its trailers. */
static void reset_finished_calls(struct rpc_connection *connection)
{
	connection->has_finished_calls = false;
	LIST_EACH(&connection->calls, struct rpc_call, call, link)
		if (call->awaits_reset && call->sent_all) {
			call->awaits_reset = false;
			h2_stream_reset(connection->h2, call->stream_id, H2_NO_ERROR);
		} else if (call->awaits_reset) {
			connection->has_finished_calls = true;
		}
}

static enum io_result write_all(struct rpc_connection *connection)
{
	for (;;) {
		enum io_result produced = h2_session_produce(connection->h2, &connection->out);
		if (produced == IO_DONE && connection->has_finished_calls)
			reset_finished_calls(connection);
		bool had_bytes = buf_len(&connection->out) > 0;
		enum io_result written = write_out(connection);
		if (written != IO_DONE)
			return written;
		if (!had_bytes && !h2_session_has_output(connection->h2))
			return IO_DONE;
	}
}

/* --- reading --- */

static enum io_result read_all(struct rpc_connection *connection)
{
	uint8_t bytes[READ_LEN];
	for (int i = 0; i < READS_PER_STEP && connection->state != RPC_CONNECTION_DEAD; i++) {
		size_t len = 0;
		enum io_result result = transport_read(connection->transport, bytes, sizeof(bytes), &len);
		if (result != IO_DONE)
			return result;
		connection->has_received = true;
		if (h2_session_feed(connection->h2, span_of(bytes, len), &connection->detail) != ERR_NONE)
			return IO_FAILED;
	}
	return IO_DONE;
}

/* --- the end --- */

static void on_end_task(struct loop_task *task)
{
	struct rpc_connection *connection = container_of(task, struct rpc_connection, end_task);
	CHECK(connection->state == RPC_CONNECTION_DEAD);
	loop_io_stop(&connection->io);
	loop_task_cancel(&connection->step_task);
	loop_timer_stop(&connection->settings_timeout);
	loop_timer_stop(&connection->keepalive);
	for (struct rpc_call *call; (call = LIST_FIRST(&connection->calls, struct rpc_call, link)) != NULL;) {
		call->is_over = true;
		connection->role->on_call_closed(call, RPC_UNAVAILABLE);
		rpc_call_free(call);
	}
	CHECK(connection->num_calls == 0);
	struct why why = connection->detail;
	connection->role->on_dead(connection, &why);
}

void rpc_connection_end(struct rpc_connection *connection, const struct why *why)
{
	if (connection->state == RPC_CONNECTION_DEAD)
		return;
	set_state(connection, RPC_CONNECTION_DEAD);
	if (why != NULL)
		connection->detail = *why;
	loop_io_set_interest(&connection->io, 0);
	loop_task_post(connection->loop, &connection->end_task, on_end_task);
}

static void end_by(struct rpc_connection *connection, enum io_result result)
{
	struct why why = connection->detail;
	if (why.err == ERR_NONE && result == IO_FAILED)
		why = *transport_why(connection->transport);
	if (why.err == ERR_NONE)
		(void)why_set(
			&why, ERR_CLOSED, "an open connection", "see the peer's log", "the peer closed the connection");
	rpc_connection_end(connection, &why);
}

static void send_close_notify(struct rpc_connection *connection)
{
	if (connection->h2 != NULL && write_all(connection) == IO_DONE) {
		transport_close_notify(connection->transport);
		(void)!transport_flush(connection->transport);
	}
}

/* --- the step: all progress that is possible now --- */

static bool shake_hands(struct rpc_connection *connection)
{
	enum io_result result = transport_handshake(connection->transport);
	switch (result) {
	case IO_DONE:
		set_state(connection, RPC_CONNECTION_AWAITING_SETTINGS);
		start_h2(connection);
		if (connection->role->on_handshake != NULL)
			connection->role->on_handshake(connection);
		return true;
	case IO_WANT_READ:
		loop_io_set_interest(&connection->io, LOOP_READ);
		return false;
	case IO_WANT_WRITE:
		loop_io_set_interest(&connection->io, LOOP_WRITE);
		return false;
	case IO_EOF:
	case IO_FAILED:
		end_by(connection, result);
		return false;
	}
	CHECK_UNREACHABLE();
}

static void step(struct rpc_connection *connection, bool may_read)
{
	if (connection->state == RPC_CONNECTION_HANDSHAKE) {
		if (!shake_hands(connection))
			return;
		may_read = true; /* TLS may have read ahead */
	}
	enum io_result read = may_read ? read_all(connection) : IO_WANT_READ;
	if (connection->state == RPC_CONNECTION_DEAD)
		return;
	if (read == IO_EOF || read == IO_FAILED) {
		if (connection->detail.err != ERR_NONE) /* a GOAWAY informs the peer */
			send_close_notify(connection);
		end_by(connection, read);
		return;
	}
	enum io_result written = write_all(connection);
	if (written == IO_EOF || written == IO_FAILED) {
		(void)!read_all(connection); /* the remaining input can have the reason: an alert, a GOAWAY */
		end_by(connection, written);
		return;
	}
	if (h2_session_is_done(connection->h2) && written == IO_DONE) {
		send_close_notify(connection);
		end_by(connection, IO_EOF);
		return;
	}
	/* While the peer does not read, nothing is read from it: its answers would accumulate. */
	connection->is_blocked = written == IO_WANT_WRITE;
	loop_io_set_interest(&connection->io, connection->is_blocked ? LOOP_WRITE : LOOP_READ);
	connection->has_more_to_read = read == IO_DONE;
	if (connection->has_more_to_read && !connection->is_blocked)
		rpc_connection_flush(connection);
}

static void on_step_task(struct loop_task *task)
{
	struct rpc_connection *connection = container_of(task, struct rpc_connection, step_task);
	if (connection->state != RPC_CONNECTION_DEAD)
		step(connection, connection->has_more_to_read && !connection->is_blocked);
}

static void on_ready(struct loop_io *io, unsigned is_ready)
{
	struct rpc_connection *connection = container_of(io, struct rpc_connection, io);
	if ((is_ready & LOOP_WRITE) != 0)
		connection->is_stuck = false;
	if (connection->state != RPC_CONNECTION_DEAD)
		step(connection, true);
}

void rpc_connection_flush(struct rpc_connection *connection)
{
	if (connection->state != RPC_CONNECTION_DEAD)
		loop_task_post(connection->loop, &connection->step_task, on_step_task);
}

/* --- timeouts --- */

static void on_settings_timeout_deadline(struct loop_timer *timer)
{
	struct rpc_connection *connection = container_of(timer, struct rpc_connection, settings_timeout);
	struct why why = {0};
	(void)why_set(&why, ERR_TIMEOUT, "a TLS handshake and HTTP/2 settings in time",
		"check that the peer speaks HTTP/2, and the network to it", "%s",
		connection->state == RPC_CONNECTION_HANDSHAKE ? "the handshake timed out"
							      : "the peer sent no HTTP/2 settings in time");
	rpc_connection_end(connection, &why);
}

/* --- creation and release --- */

void rpc_connection_init(struct rpc_connection *connection, const struct rpc_connection_options *options)
{
	CHECK(options->role != NULL && options->loop != NULL && options->transport != NULL);
	CHECK(options->settings_timeout_ms > 0 && options->keepalive_ms > 0 && options->send_queue_max > 0);
	*connection = (struct rpc_connection){
		.role = options->role,
		.loop = options->loop,
		.transport = options->transport,
		.keepalive_ms = options->keepalive_ms,
		.max_streams = options->max_streams,
		.send_queue_max = options->send_queue_max,
		.always_pings = options->always_pings,
	};
	buf_init(&connection->out, OUT_MAX);
	loop_io_start(options->loop, &connection->io, transport_fd(options->transport), 0, on_ready);
	loop_timer_start(options->loop, &connection->settings_timeout, options->settings_timeout_ms,
		on_settings_timeout_deadline);
	rpc_keepalive_start(connection);
	rpc_connection_flush(connection);
}

void rpc_connection_done(struct rpc_connection *connection)
{
	if (connection->transport == NULL)
		return;
	loop_io_stop(&connection->io);
	loop_task_cancel(&connection->step_task);
	loop_task_cancel(&connection->end_task);
	loop_timer_stop(&connection->settings_timeout);
	loop_timer_stop(&connection->keepalive);
	LIST_EACH_REMOVABLE(&connection->calls, struct rpc_call, call, link)
		rpc_call_free(call);
	CHECK(connection->num_calls == 0);
	h2_session_free(connection->h2);
	transport_free(TAKE_PTR(connection->transport));
	buf_done(&connection->out);
}
