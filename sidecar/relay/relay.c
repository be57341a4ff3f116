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

struct relay {
	struct leg *downstream, *upstream;
	struct loop *loop;
	relay_end_fn *on_end;
	void *arg;
	struct silence *silence; /* NULL: any is allowed, as by default, so that most have none */
	struct loop_task ending;
	struct why *detail; /* made when there is something to explain */
	enum relay_end end;
	bool has_ended;
};
_Static_assert(sizeof(struct relay) <= 88, "what an idle connection costs is a promise");

/* --- the end --- */

static void allow_silence(struct relay *relay)
{
	if (relay->silence != NULL)
		loop_timer_stop(&relay->silence->timer);
	mem_free(TAKE_PTR(relay->silence));
}

static void report_end(struct loop_task *task)
{
	struct relay *relay = container_of(task, struct relay, ending);
	static const struct why nothing;
	relay->on_end(relay->arg, relay->end, relay->detail == NULL ? &nothing : relay->detail); /* frees the relay */
}

static void end_as(struct relay *relay, enum relay_end end, const struct why *why)
{
	if (relay->has_ended)
		return;
	relay->has_ended = true;
	relay->end = end;
	if (why != NULL && why->err != ERR_NONE)
		relay->detail = mem_dup(why, sizeof(*why));
	allow_silence(relay);
	loop_task_post(relay->loop, &relay->ending, report_end);
}

static void end_if_done(struct relay *relay)
{
	if (relay->downstream->out_ended && relay->upstream->out_ended)
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
	if (relay->has_ended)
		return;
	if (why->err == ERR_TIMEOUT && !lost->hit_limit && !lost->is_withdrawn)
		end_as_unresponsive(relay, downstream, why);
	else
		end_as(relay, end, why);
	leg_reset(downstream ? relay->upstream : relay->downstream);
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
	if (buf_len(&leg->buffered) == 0 && !leg->is_reset)
		leg->ops->watch(leg);
}

static void on_readable(struct leg *leg)
{
	struct relay *relay = leg->owner;
	if (relay->has_ended)
		return;
	if (leg->other->ops->push == NULL)
		leg->other->ops->wake(leg->other);
	else
		pump(leg);
}

static void on_writable(struct leg *leg)
{
	struct relay *relay = leg->owner;
	if (!relay->has_ended)
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
	uint64_t down = relay->downstream->active_ms, up = relay->upstream->active_ms;
	uint64_t silent_ms = loop_now_ms(relay->loop) - (down > up ? down : up);
	if (silent_ms < silence->most_ms) {
		loop_timer_start(relay->loop, timer, silence->most_ms - silent_ms, on_idle_deadline);
		return;
	}
	leg_reset(relay->downstream);
	leg_reset(relay->upstream);
	end_as(relay, RELAY_IDLE, NULL);
}

static void limit_silence(struct relay *relay, uint64_t most_ms)
{
	relay->silence = mem_new(struct silence);
	relay->silence->relay = relay;
	relay->silence->most_ms = most_ms;
	loop_timer_start(relay->loop, &relay->silence->timer, most_ms, on_idle_deadline);
}

/* --- the relay --- */

/* A socket's watcher reports by itself; a stream may hold bytes, or its end, from before. */
static bool needs_start(const struct leg *leg)
{
	return leg->ops->push == NULL || leg->is_reset || buf_len(&leg->buffered) > 0;
}

static void take_up(struct relay *relay, struct leg *leg)
{
	static const struct why before = {
		.err = ERR_RESET, .got = "the connection was reset before its bytes could be forwarded"};
	if (leg->is_reset)
		end_by_loss(relay, leg, &before);
	else if (!relay->has_ended)
		on_readable(leg);
}

struct relay *relay_start(const struct relay_options *options)
{
	struct relay *relay = mem_new(struct relay);
	relay->loop = options->loop;
	relay->downstream = options->downstream;
	relay->upstream = options->upstream;
	relay->on_end = options->on_end;
	relay->arg = options->arg;
	leg_attach(relay->downstream, relay->upstream, &relay_listener, relay);
	leg_attach(relay->upstream, relay->downstream, &relay_listener, relay);
	if (options->idle_ms != 0)
		limit_silence(relay, options->idle_ms);
	if (needs_start(relay->upstream))
		take_up(relay, relay->upstream);
	if (needs_start(relay->downstream))
		take_up(relay, relay->downstream);
	end_if_done(relay);
	return relay;
}

void relay_inspect(struct relay *relay, const struct leg_inspection *inspection)
{
	if (relay->has_ended)
		return;
	leg_inspect(relay->downstream, inspection);
	leg_inspect(relay->upstream, inspection);
}

struct relay_counts relay_counts(const struct relay *relay)
{
	return (struct relay_counts){.to_upstream = relay->upstream->sent, .to_downstream = relay->downstream->sent};
}

bool relay_caller_has_ended(const struct relay *relay)
{
	return relay->downstream->in_ended;
}

void relay_cut(struct relay *relay)
{
	loop_task_cancel(&relay->ending);
	relay->has_ended = true;
	allow_silence(relay);
	leg_reset(relay->downstream);
	leg_reset(relay->upstream);
}

void relay_free(struct relay *relay)
{
	if (relay == NULL)
		return;
	loop_task_cancel(&relay->ending);
	allow_silence(relay);
	leg_free(relay->downstream);
	leg_free(relay->upstream);
	mem_free(relay->detail);
	mem_free(relay);
}
