#include "sidecar/tunnel/window.h"
#include "base/core/check.h"
#include "base/core/mem.h"
#include <stdatomic.h>

/* The clock has milliseconds and a round of a busy loop takes some: below this, round trips are not told apart. */
enum { CLOCK_SLACK_MS = 5 };

enum { FIRST_SHARE = 32 }; /* of what is left for first windows, each takes a 32nd */

struct window_budget {
	_Atomic uint64_t left;
	uint64_t size;
};

struct window_budget *window_budget_new(uint64_t bytes)
{
	struct window_budget *budget = mem_new(struct window_budget);
	budget->size = bytes == 0 ? WINDOW_BUDGET_DEFAULT : bytes;
	atomic_init(&budget->left, budget->size);
	return budget;
}

void window_budget_free(struct window_budget *budget)
{
	mem_free(budget);
}

uint64_t window_budget_left(const struct window_budget *budget)
{
	return atomic_load_explicit(&budget->left, memory_order_relaxed);
}

static bool take(struct window_budget *budget, uint64_t bytes)
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
	*window = (struct window){.size = WINDOW_START, .filling_since_ms = now_ms};
}

uint32_t window_first(struct window *window, struct window_budget *budget)
{
	uint64_t left = window_budget_left(budget), kept = budget->size / 2;
	uint64_t part = left > kept ? (left - kept) / FIRST_SHARE : 0;
	uint32_t size = part < WINDOW_FIRST_MAX ? (uint32_t)part : WINDOW_FIRST_MAX;
	if (size > WINDOW_START && take(budget, size - WINDOW_START))
		window->size = size;
	return window->size;
}

static bool deserves_more(const struct window *window, bool keeps_up, uint64_t now_ms, uint32_t rtt_ms)
{
	uint64_t took_ms = now_ms - window->filling_since_ms;
	return keeps_up && window->size < WINDOW_MAX && took_ms <= 2 * (uint64_t)rtt_ms + CLOCK_SLACK_MS;
}

enum window_change window_received(struct window *window, struct window_budget *budget, size_t len, bool keeps_up,
	uint64_t now_ms, uint32_t rtt_ms)
{
	window->filled += (uint32_t)len;
	if (window->filled < window->size)
		return WINDOW_SAME;
	bool deserves = deserves_more(window, keeps_up, now_ms, rtt_ms);
	window->filled = 0;
	window->filling_since_ms = now_ms;
	if (!deserves)
		return WINDOW_SAME;
	if (!take(budget, window->size))
		return WINDOW_OVER_BUDGET;
	window->size *= 2;
	return WINDOW_GROWN;
}

uint32_t window_charged(const struct window *window)
{
	return window->size > WINDOW_START ? window->size - WINDOW_START : 0;
}

void window_close(struct window *window, struct window_budget *budget)
{
	atomic_fetch_add_explicit(&budget->left, window_charged(window), memory_order_relaxed);
	*window = (struct window){0};
}
