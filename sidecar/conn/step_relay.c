/* Step 7: starts the relay between the two legs, after a last check that the snapshot still allows the connection. */
#include "base/core/check.h"
#include "sidecar/conn/conn_state.h"

static enum close_reason reason_of(enum relay_end end)
{
	switch (end) {
	case RELAY_DONE:
		return CLOSE_DONE;
	case RELAY_IDLE:
		return CLOSE_IDLE;
	case RELAY_RESET_DOWNSTREAM:
		return CLOSE_RESET_BY_DOWNSTREAM;
	case RELAY_RESET_UPSTREAM:
		return CLOSE_RESET_BY_UPSTREAM;
	case RELAY_LIMIT:
		return CLOSE_LIMIT_REACHED;
	case RELAY_WITHDRAWN:
		return CLOSE_WITHDRAWN;
	case RELAY_IDENTITY_AGE:
		return CLOSE_IDENTITY_AGE;
	case RELAY_UNRESPONSIVE:
		return CLOSE_UNRESPONSIVE;
	}
	CHECK_UNREACHABLE();
}

static void on_relay_end(void *arg, enum relay_end end, const struct why *why)
{
	struct conn *conn = arg;
	if (why != NULL && why->err != ERR_NONE)
		*conn_why(conn) = *why;
	conn_judge_endpoint(conn, end);
	conn_end(conn, reason_of(end));
}

static void downstream_open(struct conn *conn)
{
	struct conn_opening *opening = conn->opening;
	if (opening->downstream != NULL)
		return;
	if (opening->stream != NULL)
		opening->downstream = inbound_stream_accept(TAKE_PTR(opening->stream));
	else
		opening->downstream = leg_new_plain(conn->env->loop, TAKE_FD(opening->fd));
}

/* Sources without identity have a shorter idle timeout, which returns unused places to others. */
static uint64_t idle_ms_of(const struct conn *conn)
{
	uint64_t idle_ms = conn->env->timeouts.idle, plaintext_ms = conn->env->timeouts.plaintext_idle;
	if (conn->kind != CONN_INBOUND_PLAIN || plaintext_ms == 0)
		return idle_ms;
	return idle_ms == 0 || plaintext_ms < idle_ms ? plaintext_ms : idle_ms;
}

struct conn_next step_relay(struct conn *conn)
{
	struct conn_opening *opening = conn->opening;
	if (conn->relay != NULL)
		return conn_wait();
	struct conn_next again = conn_recheck(conn); /* the snapshot may have changed while the upstream was opened */
	if (again.kind == CONN_CLOSE)
		return again;
	downstream_open(conn);
	CHECK(opening->downstream != NULL && opening->upstream != NULL && opening->fd < 0 && opening->stream == NULL);
	struct relay_options options = {
		.downstream = TAKE_PTR(opening->downstream),
		.upstream = TAKE_PTR(opening->upstream),
		.idle_ms = idle_ms_of(conn),
		.on_end = on_relay_end,
		.arg = conn,
	};
	uint64_t opening_ms = loop_now_ms(conn->env->loop) - conn->opened_ms;
	conn_opening_end(conn);
	conn->opening_ms = opening_ms < UINT16_MAX ? (uint16_t)opening_ms : UINT16_MAX;
	if (conn->env->observer.on_relay != NULL)
		conn->env->observer.on_relay(conn->env->observer.arg, (enum conn_kind)conn->kind, conn->encrypted,
			&conn->dst.addr, opening_ms);
	conn->relay = relay_start(&options);
	return conn_wait();
}
