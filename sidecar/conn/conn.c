/* The driver: runs the steps of conn_steps.def in order. */
#include "base/core/check.h"
#include "base/core/mem.h"
#include "sidecar/conn/conn_state.h"
#include <stddef.h>

typedef struct conn_next step_fn(struct conn *conn);

static const struct {
	const char *name;
	step_fn *run[NUM_CONN_KINDS];
	size_t timeout; /* offset in struct conn_timeouts */
	enum close_reason timeout_reason;
} steps[] = {
#define CONN_STEP(symbol, step_name, outbound, inbound, inbound_plain, timeout_field, timeout_reason)                  \
	[symbol] = {step_name, {outbound, inbound, inbound_plain}, offsetof(struct conn_timeouts, timeout_field),      \
		timeout_reason},
#include "sidecar/conn/conn_steps.def"
#undef CONN_STEP
};

struct conn_next conn_next(void)
{
	return (struct conn_next){.kind = CONN_NEXT};
}

struct conn_next conn_wait(void)
{
	return (struct conn_next){.kind = CONN_WAIT};
}

struct conn_next conn_close_for(enum close_reason reason)
{
	return (struct conn_next){.kind = CONN_CLOSE, .reason = reason};
}

static void on_timeout(struct loop_timer *timer)
{
	struct conn *conn = container_of(timer, struct conn_opening, deadline)->conn;
	if (conn->step == STEP_OPEN)
		open_timed_out(conn);
	char text[ADDR_TEXT_MAX];
	if (conn->detail == NULL)
		why_set(conn_why(conn), ERR_TIMEOUT, "an answer before the timeout",
			"check whether the destination can be reached from this host", "%s did not answer in time",
			addr_format(conn->endpoint.ip.family != 0 ? &conn->endpoint : &conn->dst.addr, text));
	conn_end(conn, conn->timeout_reason);
}

/* Once per step: a step that is woken and waits again gets no more time. The relay has an idle timeout of its own. */
static void deadline_arm(struct conn *conn)
{
	uint64_t ms = *(const uint64_t *)(const void *)((const char *)&conn->env->timeouts + steps[conn->step].timeout);
	if (conn->step != STEP_RELAY && !loop_timer_is_armed(&conn->opening->deadline))
		loop_timer_start(conn->env->loop, &conn->opening->deadline, ms, on_timeout);
}

static void advance(struct conn *conn)
{
	while (true) {
		CHECK(conn->step < NUM_CONN_STEPS && conn->kind < NUM_CONN_KINDS);
		step_fn *run = steps[conn->step].run[conn->kind];
		conn->timeout_reason = (uint8_t)steps[conn->step].timeout_reason;
		struct conn_next next = run == NULL ? conn_next() : run(conn);
		switch (next.kind) {
		case CONN_NEXT:
			CHECK(conn->step < STEP_RELAY);
			loop_timer_stop(&conn->opening->deadline);
			mem_free(TAKE_PTR(conn->detail)); /* what it waited for has arrived */
			conn->step++;
			break;
		case CONN_WAIT:
			deadline_arm(conn);
			/* Every wait ends: by the relay's end, or by this timer. */
			CHECK(conn->step == STEP_RELAY ? conn->relay != NULL
						       : loop_timer_is_armed(&conn->opening->deadline));
			return;
		case CONN_CLOSE:
			conn_end(conn, next.reason);
			return;
		}
	}
}

static void on_wake(struct loop_task *task)
{
	advance(container_of(task, struct conn_opening, wake)->conn);
}

void conn_wake(struct conn *conn)
{
	loop_task_post(conn->env->loop, &conn->opening->wake, on_wake);
}

static struct conn *conn_new(struct conn_env *env, enum conn_kind kind, int fd, const struct addr *source)
{
	struct conn *conn = mem_new(struct conn);
	CHECK(kind < NUM_CONN_KINDS && (fd >= 0) == (kind != CONN_INBOUND));
	conn->opening = mem_new(struct conn_opening);
	conn->opening->conn = conn;
	conn->env = env;
	conn->kind = (uint8_t)kind;
	conn->opening->fd = fd;
	conn->opening->connecting_fd = -1;
	conn->key_exchange = NUM_KEY_EXCHANGES;
	conn->source = *source;
	conn->opened_ms = loop_now_ms(env->loop);
	if (env->observer.on_begin != NULL)
		env->observer.on_begin(env->observer.arg, kind);
	return conn;
}

void conn_start_outbound(struct conn_env *env, int fd, const struct addr *source)
{
	advance(conn_new(env, CONN_OUTBOUND, fd, source));
}

void conn_start_outbound_to(
	struct conn_env *env, int fd, const struct addr *source, const struct outbound_listener *listener)
{
	struct conn *conn = conn_new(env, CONN_OUTBOUND, fd, source);
	CHECK((listener->to.ip.family != 0) != (listener->service[0] != '\0') && listener->to.port != 0);
	conn->dst.addr = listener->to;
	conn->has_dst = true;
	conn->opening->service = listener->service[0] == '\0' ? NULL : listener->service;
	advance(conn);
}

void conn_start_inbound_plain(struct conn_env *env, int fd, const struct addr *source)
{
	advance(conn_new(env, CONN_INBOUND_PLAIN, fd, source));
}

/* A peer may name the port of its application's socket, for the address that it has here. Any other address would be
 * its word alone: it is ignored (decision 084). */
static uint16_t caller_port_of(const struct inbound_stream *stream)
{
	const struct addr *named = inbound_stream_forwarded(stream), *seen = inbound_stream_remote(stream);
	return named != NULL && ip_addr_eq(&named->ip, &seen->ip) ? named->port : 0;
}

void conn_start_inbound(struct conn_env *env, struct inbound_stream *stream)
{
	struct conn *conn = conn_new(env, CONN_INBOUND, -1, inbound_stream_remote(stream));
	conn->caller_port = caller_port_of(stream);
	conn->opening->stream = stream;
	conn->encrypted = true;
	conn->key_exchange = (uint8_t)inbound_stream_key_exchange(stream);
	conn->peer = svid_ref((struct svid *)(uintptr_t)inbound_stream_peer(stream));
	inbound_stream_set_arg(stream, conn);
	advance(conn);
}

void conn_start_inbound_direct(struct conn_env *env, struct leg *leg, struct svid *peer, enum key_exchange key_exchange,
	const struct addr *local, const struct addr *remote)
{
	struct conn *conn = conn_new(env, CONN_INBOUND, -1, remote);
	conn->opening->downstream = leg;
	conn->encrypted = true;
	conn->key_exchange = (uint8_t)key_exchange;
	conn->peer = svid_ref(peer);
	conn->dst.addr = *local;
	conn->has_dst = true;
	advance(conn);
}

void conn_abandon(struct inbound_stream *stream)
{
	struct conn *conn = inbound_stream_arg(stream);
	if (conn == NULL)
		return;
	CHECK(conn->opening != NULL && conn->opening->stream == stream);
	conn->opening->stream = NULL;
	conn_end(conn, CLOSE_RESET_BY_DOWNSTREAM);
}

const struct spiffe_id *conn_peer_id(const struct conn *conn)
{
	return conn->peer == NULL ? NULL : svid_id(conn->peer);
}

struct why *conn_why(struct conn *conn)
{
	if (conn->detail == NULL)
		conn->detail = mem_new(struct why);
	return conn->detail;
}

void conn_summary(const struct conn *conn, struct conn_summary *out)
{
	*out = (struct conn_summary){
		.kind = (enum conn_kind)conn->kind,
		.step = steps[conn->step].name,
		.source = conn->source,
		.destination = conn->dst.addr,
		.peer = conn_peer_id(conn),
		.age_ms = loop_now_ms(conn->env->loop) - conn->opened_ms,
		.encrypted = conn->encrypted,
	};
	if (conn->relay != NULL)
		out->counts = relay_counts(conn->relay);
}
