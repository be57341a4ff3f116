#include "base/core/check.h"
#include "base/core/mem.h"
#include "base/rpc/h2_link_private.h"

enum {
	READ_LEN = 64 * 1024,
	READS_PER_STEP = 16, /* then others have their turn */
	OUT_MAX = 256 * 1024,
	H2_NO_ERROR = 0,
	LONGEST_WAIT_MS = 60000, /* for a turn; longer than a control plane lets anyone wait */
};

/* Forward one state at a time, and from each to the end, once. */
static bool may_go(enum link_state from, enum link_state to)
{
	switch (from) {
	case LINK_HANDSHAKE:
		return to == LINK_AWAITING_SETTINGS || to == LINK_DEAD;
	case LINK_AWAITING_SETTINGS:
		return to == LINK_OPEN || to == LINK_DEAD;
	case LINK_OPEN:
		return to == LINK_DEAD;
	case LINK_DEAD:
		return false;
	}
	CHECK_UNREACHABLE();
}

static void set_state(struct h2_link *link, enum link_state state)
{
	CHECK(may_go(link->state, state));
	link->state = state;
}

/* --- HTTP/2's callbacks --- */

static void on_headers(void *arg, int32_t stream_id, void *stream, const struct h2_header *headers, size_t num_headers,
	bool end_stream)
{
	const struct h2_link *link = arg;
	link->options.events->on_headers(link->options.arg, stream_id, stream, headers, num_headers, end_stream);
}

static void on_data(void *arg, int32_t stream_id, void *stream, struct span bytes)
{
	const struct h2_link *link = arg;
	link->options.events->on_data(link->options.arg, stream_id, stream, bytes);
}

static void on_end(void *arg, int32_t stream_id, void *stream)
{
	const struct h2_link *link = arg;
	link->options.events->on_end(link->options.arg, stream_id, stream);
}

static void on_close(void *arg, int32_t stream_id, void *stream, uint32_t error)
{
	const struct h2_link *link = arg;
	link->options.events->on_close(link->options.arg, stream_id, stream, error);
}

static enum io_result pull(void *arg, void *stream, uint8_t *to, size_t cap, size_t *out_len)
{
	const struct h2_link *link = arg;
	return link->options.events->pull(link->options.arg, stream, to, cap, out_len);
}

static void on_settings(void *arg)
{
	struct h2_link *link = arg;
	set_state(link, LINK_OPEN);
	loop_timer_stop(&link->open_timeout);
	link->options.events->on_open(link->options.arg);
}

static void on_ping_ack(void *arg)
{
	((struct h2_link *)arg)->awaits_ping_ack = false;
}

static void on_goaway(void *arg, int32_t last_stream_id, uint32_t error)
{
	(void)last_stream_id;
	struct h2_link *link = arg;
	if (error != H2_NO_ERROR)
		(void)why_set(&link->detail, ERR_CLOSED, "a connection within the peer's limits", "see the peer's log",
			"the peer sent GOAWAY %s", h2_error_name(error));
	if (link->options.events->on_goaway != NULL)
		link->options.events->on_goaway(link->options.arg);
}

static void on_output_ready(void *arg)
{
	h2_link_flush(arg);
}

static void start_h2(struct h2_link *link)
{
	const struct h2_session_options options = {
		.role = link->options.role,
		.limits = link->options.limits,
		.callbacks = {.on_headers = on_headers,
			.on_data = on_data,
			.on_end = on_end,
			.on_close = on_close,
			.pull = pull,
			.on_settings = on_settings,
			.on_ping_ack = on_ping_ack,
			.on_goaway = on_goaway,
			.on_output_ready = on_output_ready},
		.arg = link,
	};
	CHECK(link->h2 == NULL && h2_session_new(&options, &link->h2) == ERR_NONE);
}

/* --- writing and reading --- */

static enum io_result write_out(struct h2_link *link)
{
	enum io_result result = transport_write_all(link->options.transport, &link->out);
	buf_trim(&link->out);
	return result;
}

static enum io_result write_all(struct h2_link *link)
{
	for (;;) {
		enum io_result produced = h2_session_produce(link->h2, &link->out);
		if (produced == IO_DONE && link->options.events->on_produced != NULL)
			link->options.events->on_produced(link->options.arg);
		bool had_bytes = buf_len(&link->out) > 0;
		enum io_result written = write_out(link);
		if (written != IO_DONE)
			return written;
		if (!had_bytes && !h2_session_has_output(link->h2))
			return IO_DONE;
	}
}

static enum io_result read_all(struct h2_link *link)
{
	uint8_t bytes[READ_LEN];
	for (int i = 0; i < READS_PER_STEP && link->state != LINK_DEAD; i++) {
		size_t len = 0;
		enum io_result result = transport_read(link->options.transport, bytes, sizeof(bytes), &len);
		if (result != IO_DONE)
			return result;
		link->has_received = true;
		if (h2_session_feed(link->h2, span_of(bytes, len), &link->detail) != ERR_NONE)
			return IO_FAILED;
	}
	return IO_DONE;
}

/* --- the end --- */

static void stop(struct h2_link *link)
{
	loop_io_stop(&link->io);
	loop_task_cancel(&link->step_task);
	loop_task_cancel(&link->end_task);
	loop_timer_stop(&link->open_timeout);
	loop_timer_stop(&link->keepalive);
}

static void on_end_task(struct loop_task *task)
{
	struct h2_link *link = container_of(task, struct h2_link, end_task);
	CHECK(link->state == LINK_DEAD);
	stop(link);
	struct why why = link->detail;
	link->options.events->on_dead(link->options.arg, &why);
}

void h2_link_end(struct h2_link *link, const struct why *why)
{
	if (link->state == LINK_DEAD)
		return;
	set_state(link, LINK_DEAD);
	if (why != NULL)
		link->detail = *why;
	loop_io_set_interest(&link->io, 0);
	loop_task_post(link->options.loop, &link->end_task, on_end_task);
}

static void end_by(struct h2_link *link, enum io_result result)
{
	struct why why = link->detail;
	if (why.err == ERR_NONE && result == IO_FAILED)
		why = *transport_why(link->options.transport);
	if (why.err == ERR_NONE)
		(void)why_set(
			&why, ERR_CLOSED, "an open connection", "see the peer's log", "the peer closed the connection");
	h2_link_end(link, &why);
}

static void send_close_notify(struct h2_link *link)
{
	if (link->h2 != NULL && write_all(link) == IO_DONE) {
		transport_close_notify(link->options.transport);
		(void)!transport_flush(link->options.transport);
	}
}

/* --- the step: all progress that is possible now --- */

static bool shake_hands(struct h2_link *link)
{
	enum io_result result = transport_handshake(link->options.transport);
	switch (result) {
	case IO_DONE:
		set_state(link, LINK_AWAITING_SETTINGS);
		start_h2(link);
		if (link->options.events->on_handshake != NULL)
			link->options.events->on_handshake(link->options.arg);
		return true;
	case IO_WANT_READ:
		loop_io_set_interest(&link->io, LOOP_READ);
		return false;
	case IO_WANT_WRITE:
		loop_io_set_interest(&link->io, LOOP_WRITE);
		return false;
	case IO_EOF:
	case IO_FAILED:
		end_by(link, result);
		return false;
	}
	CHECK_UNREACHABLE();
}

static void step(struct h2_link *link, bool may_read)
{
	if (link->state == LINK_HANDSHAKE) {
		if (!shake_hands(link))
			return;
		may_read = true; /* TLS may have read ahead */
	}
	enum io_result read = may_read ? read_all(link) : IO_WANT_READ;
	if (link->state == LINK_DEAD)
		return;
	if (read == IO_EOF || read == IO_FAILED) {
		if (link->detail.err != ERR_NONE) /* a GOAWAY informs the peer */
			send_close_notify(link);
		end_by(link, read);
		return;
	}
	enum io_result written = write_all(link);
	if (written == IO_EOF || written == IO_FAILED) {
		(void)!read_all(link); /* the remaining input can have the reason: an alert, a GOAWAY */
		end_by(link, written);
		return;
	}
	if (h2_session_is_done(link->h2) && written == IO_DONE) {
		send_close_notify(link);
		end_by(link, IO_EOF);
		return;
	}
	/* While the peer does not read, nothing is read from it: its answers would accumulate. */
	link->is_blocked = written == IO_WANT_WRITE;
	loop_io_set_interest(&link->io, link->is_blocked ? LOOP_WRITE : LOOP_READ);
	link->has_more_to_read = read == IO_DONE;
	if (link->has_more_to_read && !link->is_blocked)
		h2_link_flush(link);
}

static void on_step_task(struct loop_task *task)
{
	struct h2_link *link = container_of(task, struct h2_link, step_task);
	if (link->state != LINK_DEAD)
		step(link, link->has_more_to_read && !link->is_blocked);
}

static void on_open_timeout(struct loop_timer *timer);

static void wait_again(struct h2_link *link)
{
	uint64_t waited_ms = loop_now_ms(link->options.loop) - link->began_ms;
	if (link->options.patience_ms > 0 && waited_ms + link->options.patience_ms <= LONGEST_WAIT_MS)
		loop_timer_start(link->options.loop, &link->open_timeout, link->options.patience_ms, on_open_timeout);
}

static void on_ready(struct loop_io *io, unsigned is_ready)
{
	struct h2_link *link = container_of(io, struct h2_link, io);
	if ((is_ready & LOOP_READ) != 0 && link->state == LINK_HANDSHAKE)
		wait_again(link);
	if ((is_ready & LOOP_WRITE) != 0)
		link->is_stuck = false;
	if (link->state != LINK_DEAD)
		step(link, true);
}

void h2_link_flush(struct h2_link *link)
{
	if (link->state != LINK_DEAD)
		loop_task_post(link->options.loop, &link->step_task, on_step_task);
}

/* --- timeouts --- */

static void on_open_timeout(struct loop_timer *timer)
{
	struct h2_link *link = container_of(timer, struct h2_link, open_timeout);
	struct why why = {0};
	(void)why_set(&why, ERR_TIMEOUT, "a TLS handshake and HTTP/2 settings in time",
		"check that the peer speaks HTTP/2, and the network to it", "%s",
		link->state == LINK_HANDSHAKE ? "the handshake timed out" : "the peer sent no HTTP/2 settings in time");
	h2_link_end(link, &why);
}

/* --- creation and release --- */

struct h2_link *h2_link_new(const struct h2_link_options *options)
{
	CHECK(options->loop != NULL && options->transport != NULL && options->events != NULL);
	CHECK(options->open_timeout_ms > 0 && options->keepalive_ms > 0);
	struct h2_link *link = mem_new(struct h2_link);
	link->options = *options;
	link->began_ms = loop_now_ms(options->loop);
	buf_init(&link->out, OUT_MAX);
	link->out.is_secret = options->has_secrets;
	loop_io_start(options->loop, &link->io, transport_fd(options->transport), 0, on_ready);
	loop_timer_start(options->loop, &link->open_timeout, options->open_timeout_ms, on_open_timeout);
	h2_link_keepalive_start(link);
	h2_link_flush(link);
	return link;
}

void h2_link_free(struct h2_link *link)
{
	if (link == NULL)
		return;
	stop(link);
	h2_session_free(link->h2);
	transport_free(link->options.transport);
	buf_done(&link->out);
	mem_free(link);
}

bool h2_link_is_open(const struct h2_link *link)
{
	return link->state == LINK_OPEN;
}

struct h2_session *h2_link_session(struct h2_link *link)
{
	return link->h2;
}

bool h2_link_is_dead(const struct h2_link *link)
{
	return link->state == LINK_DEAD;
}

struct transport *h2_link_transport(const struct h2_link *link)
{
	return link->options.transport;
}
