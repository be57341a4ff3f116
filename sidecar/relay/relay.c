#include "sidecar/relay/relay.h"
#include "base/core/check.h"
#include "base/core/mem.h"
#include "sidecar/leg/leg_ops.h"

enum {
	SCRATCH_LEN = 64 * 1024,
	PUMP_TURNS = 4, /* then the next connection; what is left wakes the next round */
};

struct silence { /* how much of it ends a relay */
	struct relay *relay;
	uint64_t most_ms;
	struct loop_timer timer;
};

struct ending { /* how it has ended, which is reported at the end of this round */
	struct relay *relay;
	struct loop_task task;
	struct why *detail; /* made when there is something to explain */
	enum relay_end end;
};

struct relay {
	struct leg *downstream; /* its `other` is the upstream side */
	relay_end_fn *on_end;
	void *arg;
	struct silence *silence; /* NULL: any is allowed, as by default, so that most have none */
	struct ending *ending;   /* NULL: it goes on */
};
_Static_assert(sizeof(struct relay) <= 40, "what an idle connection costs is a promise");

static struct leg *upstream_of(const struct relay *relay)
{
	return relay->downstream->other;
}

/* --- the end --- */

static void allow_silence(struct relay *relay)
{
	if (relay->silence != NULL)
		loop_timer_stop(&relay->silence->timer);
	mem_free(TAKE_PTR(relay->silence));
}

static void report_end(struct loop_task *task)
{
	const struct ending *ending = container_of(task, struct ending, task);
	const struct relay *relay = ending->relay;
	static const struct why nothing;
	relay->on_end(relay->arg, ending->end, ending->detail == NULL ? &nothing : ending->detail); /* frees both */
}

static struct ending *ending_new(struct relay *relay)
{
	struct ending *ending = mem_new(struct ending);
	ending->relay = relay;
	allow_silence(relay);
	return ending;
}

static void ending_free(struct ending *ending)
{
	if (ending == NULL)
		return;
	loop_task_cancel(&ending->task);
	mem_free(ending->detail);
	mem_free(ending);
}

static void end_as(struct relay *relay, enum relay_end end, const struct why *why)
{
	if (relay->ending != NULL)
		return;
	relay->ending = ending_new(relay);
	relay->ending->end = end;
	if (why != NULL && why->err != ERR_NONE)
		relay->ending->detail = mem_dup(why, sizeof(*why));
	loop_task_post(relay->downstream->loop, &relay->ending->task, report_end);
}

static void end_if_done(struct relay *relay)
{
	if (relay->downstream->out_ended && upstream_of(relay)->out_ended)
		end_as(relay, RELAY_DONE, NULL);
}

/* The detail names the side that resets. */
static void end_as_unresponsive(struct relay *relay, bool downstream, const struct why *why)
{
	struct why named = {0};
	const char *side = downstream ? "the side that called" : "the side that was called";
	why_set(&named, why->err, why->expected, why->fix, "%s: %s", side, why->got);
	end_as(relay, RELAY_UNRESPONSIVE, &named);
}

static void end_by_loss(struct relay *relay, struct leg *lost, const struct why *why)
{
	bool downstream = lost == relay->downstream;
	enum relay_end end = lost->hit_limit      ? RELAY_LIMIT
			     : lost->is_withdrawn ? RELAY_WITHDRAWN
			     : lost->is_too_old   ? RELAY_IDENTITY_AGE
			     : downstream         ? RELAY_RESET_DOWNSTREAM
						  : RELAY_RESET_UPSTREAM;
	if (relay->ending != NULL)
		return;
	if (why->err == ERR_TIMEOUT && !lost->hit_limit && !lost->is_withdrawn)
		end_as_unresponsive(relay, downstream, why);
	else
		end_as(relay, end, why);
	leg_reset(lost->other);
	leg_reset(lost); /* so that its descriptor, too, never ends in order */
}

/* --- bytes --- */

/* From `leg` to its other side, which takes pushes. */
static void pump(struct leg *leg)
{
	uint8_t scratch[SCRATCH_LEN];
	for (unsigned turn = 0; turn < PUMP_TURNS; turn++) {
		if (!leg_deliver_buffered(leg) || leg->is_reset || leg->in_ended)
			return;
		size_t len = 0;
		switch (leg->ops->pull(leg, scratch, sizeof(scratch), &len)) {
		case IO_DONE:
			leg_deliver(leg, span_of(scratch, len));
			break;
		case IO_EOF:
			leg->other->ops->push_end(leg->other);
			return;
		case IO_WANT_READ:
		case IO_WANT_WRITE:
		case IO_FAILED:
			return;
		}
	}
	if (leg->buffered == NULL && !leg->is_reset)
		leg->ops->watch(leg);
}

static void on_readable(struct leg *leg)
{
	struct relay *relay = leg->owner;
	if (relay->ending != NULL)
		return;
	if (leg->other->ops->push == NULL)
		leg->other->ops->wake(leg->other);
	else
		pump(leg);
}

static void on_writable(struct leg *leg)
{
	struct relay *relay = leg->owner;
	if (relay->ending == NULL)
		pump(leg->other);
}

static void on_ended(struct leg *leg)
{
	end_if_done(leg->owner);
}

static void on_reset(struct leg *leg, const struct why *why)
{
	end_by_loss(leg->owner, leg, why);
}

static const struct leg_listener relay_listener = {on_readable, on_writable, on_ended, on_reset};

/* --- silence --- */

static void on_idle_deadline(struct loop_timer *timer)
{
	const struct silence *silence = container_of(timer, struct silence, timer);
	struct relay *relay = silence->relay;
	uint64_t down = relay->downstream->active_ms, up = upstream_of(relay)->active_ms;
	struct loop *loop = relay->downstream->loop;
	uint64_t silent_ms = loop_now_ms(loop) - (down > up ? down : up);
	if (silent_ms < silence->most_ms) {
		loop_timer_start(loop, timer, silence->most_ms - silent_ms, on_idle_deadline);
		return;
	}
	leg_reset(relay->downstream);
	leg_reset(upstream_of(relay));
	end_as(relay, RELAY_IDLE, NULL);
}

static void limit_silence(struct relay *relay, uint64_t most_ms)
{
	relay->silence = mem_new(struct silence);
	relay->silence->relay = relay;
	relay->silence->most_ms = most_ms;
	loop_timer_start(relay->downstream->loop, &relay->silence->timer, most_ms, on_idle_deadline);
}

/* --- the relay --- */

/* A socket's watcher reports by itself; a stream may hold bytes, or its end, from before. */
static bool needs_start(const struct leg *leg)
{
	return leg->ops->push == NULL || leg->is_reset || leg->buffered != NULL;
}

static void take_up(struct relay *relay, struct leg *leg)
{
	static const struct why before = {
		.err = ERR_RESET, .got = "the connection was reset before its bytes could be forwarded"};
	if (leg->is_reset)
		end_by_loss(relay, leg, &before);
	else if (relay->ending == NULL)
		on_readable(leg);
}

struct relay *relay_start(const struct relay_options *options)
{
	struct relay *relay = mem_new(struct relay);
	struct leg *downstream = options->downstream, *upstream = options->upstream;
	relay->downstream = downstream;
	relay->on_end = options->on_end;
	relay->arg = options->arg;
	leg_attach(downstream, upstream, &relay_listener, relay);
	leg_attach(upstream, downstream, &relay_listener, relay);
	if (options->idle_ms != 0)
		limit_silence(relay, options->idle_ms);
	if (needs_start(upstream))
		take_up(relay, upstream);
	if (needs_start(downstream))
		take_up(relay, downstream);
	end_if_done(relay);
	return relay;
}

void relay_inspect(struct relay *relay, const struct leg_inspection *inspection)
{
	if (relay->ending != NULL)
		return;
	leg_inspect(relay->downstream, inspection);
	leg_inspect(upstream_of(relay), inspection);
}

struct relay_counts relay_counts(const struct relay *relay)
{
	return (struct relay_counts){.to_upstream = upstream_of(relay)->sent, .to_downstream = relay->downstream->sent};
}

bool relay_caller_has_ended(const struct relay *relay)
{
	return relay->downstream->in_ended;
}

void relay_cut(struct relay *relay)
{
	if (relay->ending == NULL)
		relay->ending = ending_new(relay);
	loop_task_cancel(&relay->ending->task);
	leg_reset(relay->downstream);
	leg_reset(upstream_of(relay));
}

void relay_free(struct relay *relay)
{
	if (relay == NULL)
		return;
	allow_silence(relay);
	ending_free(relay->ending);
	struct leg *upstream = upstream_of(relay);
	leg_free(relay->downstream);
	leg_free(upstream);
	mem_free(relay);
}
