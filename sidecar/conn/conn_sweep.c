#include "sidecar/conn/conn_sweep.h"
#include "base/core/check.h"

#include "base/core/mem.h"
#include "sidecar/conn/conn_state.h"
#include "sidecar/leg/leg_ops.h"

enum {
	PASS_MS = 1000,
	SLICE_CONNS = 256, /* some 50 us */
	SLICE_MS = 10,
	QUERIES_PER_SILENCE = 10, /* queries of the kernel within the time after which a silent peer counts as lost */
};

struct conn_sweep {
	struct conn_env *env;
	struct loop_timer timer;
	uint64_t began_ms;   /* the current pass */
	uint64_t queried_ms; /* the last pass that queried the kernel */
	bool asks_kernel;
};

void conn_count(struct conn *conn)
{
	const struct conn_observer *observer = &conn->env->observer;
	struct relay_counts now = relay_counts(conn->relay), before = conn->counted;
	CHECK(now.to_upstream >= before.to_upstream && now.to_downstream >= before.to_downstream);
	struct relay_counts more = {now.to_upstream - before.to_upstream, now.to_downstream - before.to_downstream};
	if (more.to_upstream == 0 && more.to_downstream == 0)
		return;
	conn->counted = now;
	if (conn->is_unproven && now.to_downstream > 0)
		conn_endpoint_served(conn);
	if (observer->on_bytes != NULL)
		observer->on_bytes(observer->arg, (enum conn_kind)conn->kind, conn->encrypted, &more);
}

void conn_inspect(struct conn *conn, const struct leg_inspection *inspection)
{
	if (conn->relay != NULL) {
		conn_count(conn);
		relay_inspect(conn->relay, inspection);
	} else if (conn->opening->downstream != NULL) { /* it waits until the upstream leg is open */
		leg_inspect(conn->opening->downstream, inspection);
	}
}

static uint32_t silence_ms(const struct socket_keepalive *keepalive)
{
	return (keepalive->idle_s + keepalive->interval_s * keepalive->probes) * 1000U;
}

static void begin_pass(struct conn_sweep *sweep, uint64_t now_ms)
{
	sweep->began_ms = now_ms;
	sweep->asks_kernel = now_ms - sweep->queried_ms >= silence_ms(&sweep->env->keepalive) / QUERIES_PER_SILENCE;
	if (sweep->asks_kernel)
		sweep->queried_ms = now_ms;
}

static void on_slice(struct loop_timer *timer)
{
	struct conn_sweep *sweep = container_of(timer, struct conn_sweep, timer);
	const struct conn_env *env = sweep->env;
	uint64_t now_ms = loop_now_ms(env->loop), spent_ms = now_ms - sweep->began_ms;
	const struct leg_inspection inspection = {
		.now_ms = now_ms,
		.asks_kernel = sweep->asks_kernel,
		.silence_ms = silence_ms(&env->keepalive),
		.keepalive = env->keepalive,
	};
	if (conn_table_inspect(env->table, SLICE_CONNS, &inspection)) {
		loop_timer_start(env->loop, timer, SLICE_MS, on_slice);
		return;
	}
	conn_table_note_tunnels(env->table, tunnel_pool_num_tunnels(env->pool));
	uint64_t rest_ms = spent_ms < PASS_MS ? PASS_MS - spent_ms : SLICE_MS;
	begin_pass(sweep, now_ms + rest_ms);
	loop_timer_start(env->loop, timer, rest_ms, on_slice);
}

struct conn_sweep *conn_sweep_new(struct conn_env *env)
{
	struct conn_sweep *sweep = mem_new(struct conn_sweep);
	sweep->env = env;
	begin_pass(sweep, loop_now_ms(env->loop));
	loop_timer_start(env->loop, &sweep->timer, PASS_MS, on_slice);
	return sweep;
}

void conn_sweep_free(struct conn_sweep *sweep)
{
	if (sweep == NULL)
		return;
	loop_timer_stop(&sweep->timer);
	mem_free(sweep);
}
