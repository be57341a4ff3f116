#include "sidecar/tunnel/window.h"
#include "base/core/check.h"
#include "base/core/mem.h"
#include <stdatomic.h>

/* The clock has milliseconds and a round of a busy loop takes some: below this, round trips are not distinguished. */
enum { CLOCK_SLACK_MS = 5 };

enum { LEFT_SHARE = 16, SHORT_SHARE = 4, IDLE_MS = 10000 };
enum { FIRST_SHARE = 32 }; /* of what is left for first windows, each takes a 32nd */

struct flow_control_memory {
	_Atomic uint64_t left;
	uint64_t size;
};

struct flow_control_memory *flow_control_memory_new(uint64_t bytes)
{
	struct flow_control_memory *budget = mem_new(struct flow_control_memory);
	budget->size = bytes == 0 ? FLOW_CONTROL_MEMORY_DEFAULT : bytes;
	atomic_init(&budget->left, budget->size);
	return budget;
}

void flow_control_memory_free(struct flow_control_memory *budget)
{
	/* Each stream has given back what it was charged. */
	CHECK(budget == NULL || flow_control_memory_left(budget) == budget->size);
	mem_free(budget);
}

uint64_t flow_control_memory_left(const struct flow_control_memory *budget)
{
	return atomic_load_explicit(&budget->left, memory_order_relaxed);
}

uint64_t flow_control_memory_size(const struct flow_control_memory *budget)
{
	return budget->size;
}

/* Less than a quarter is left. */
static bool is_short(const struct flow_control_memory *budget)
{
	return flow_control_memory_left(budget) < budget->size / SHORT_SHARE;
}

static bool take(struct flow_control_memory *budget, uint64_t bytes)
{
	uint64_t left = atomic_load_explicit(&budget->left, memory_order_relaxed);
	while (left >= bytes)
		if (atomic_compare_exchange_weak_explicit(
			    &budget->left, &left, left - bytes, memory_order_relaxed, memory_order_relaxed))
			return true;
	return false;
}

void window_open(struct window *window, uint64_t now_ms)
{
	*window = (struct window){.size = WINDOW_START, .filling_since_ms = (uint32_t)now_ms};
}

uint32_t window_first(struct window *window, struct flow_control_memory *budget)
{
	uint64_t left = flow_control_memory_left(budget), kept = budget->size / 2;
	uint64_t part = left > kept ? (left - kept) / FIRST_SHARE : 0;
	uint32_t size = part < WINDOW_FIRST_MAX ? (uint32_t)part : WINDOW_FIRST_MAX;
	if (size > WINDOW_START && take(budget, size - WINDOW_START))
		window->size = size;
	return window->size;
}

static bool deserves_more(const struct window *window, bool keeps_up, uint64_t now_ms, uint32_t rtt_ms)
{
	uint32_t took_ms = (uint32_t)now_ms - window->filling_since_ms;
	return keeps_up && window->size < WINDOW_MAX && took_ms <= 2 * (uint64_t)rtt_ms + CLOCK_SLACK_MS;
}

enum window_change window_received(struct window *window, struct flow_control_memory *budget, size_t len, bool keeps_up,
	uint64_t now_ms, uint32_t rtt_ms)
{
	CHECK(window->size >= WINDOW_START);
	window->filled += (uint32_t)len;
	if (window->filled < window->size)
		return WINDOW_SAME;
	bool deserves = deserves_more(window, keeps_up, now_ms, rtt_ms);
	window->filled = 0;
	window->filling_since_ms = (uint32_t)now_ms;
	if (!deserves)
		return WINDOW_SAME;
	if (window->size > flow_control_memory_left(budget) / LEFT_SHARE || !take(budget, window->size))
		return is_short(budget) ? WINDOW_OVER_LIMIT : WINDOW_SAME;
	window->size *= 2;
	return WINDOW_GROWN;
}

bool window_shrinks(struct window *window, uint64_t now_ms)
{
	if (window->size <= WINDOW_START || (uint32_t)now_ms - window->filling_since_ms < IDLE_MS)
		return false;
	uint32_t size = window->size;
	while (size / 2 >= WINDOW_START && size / 2 >= window->filled)
		size /= 2;
	window->owed += window->size - size;
	window->reduced += window->size - size;
	bool has_changed = size != window->size;
	window->size = size;
	window->filled = 0;
	window->filling_since_ms = (uint32_t)now_ms;
	return has_changed;
}

static void give(struct flow_control_memory *budget, uint64_t bytes)
{
	uint64_t before = atomic_fetch_add_explicit(&budget->left, bytes, memory_order_relaxed);
	CHECK(bytes <= budget->size - before); /* no more than was taken */
}

uint32_t window_settle(struct window *window, struct flow_control_memory *budget, size_t len)
{
	uint32_t settled = len < window->owed ? (uint32_t)len : window->owed;
	window->owed -= settled;
	if (settled > 0)
		give(budget, settled);
	return settled;
}

uint32_t window_regrant(struct window *window, struct flow_control_memory *budget, uint32_t by, uint32_t *out_given)
{
	uint32_t again = window->reduced < by ? window->reduced : by;
	uint32_t given = window->owed < again ? window->owed : again;
	window->reduced -= again;
	window->owed -= given;
	if (given > 0)
		give(budget, given);
	*out_given = given;
	return again - given;
}

uint32_t window_charged(const struct window *window)
{
	return (window->size > WINDOW_START ? window->size - WINDOW_START : 0) + window->owed;
}

void window_close(struct window *window, struct flow_control_memory *budget)
{
	give(budget, window_charged(window));
	*window = (struct window){0};
}
