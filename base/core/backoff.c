#include "base/core/backoff.h"
#include "base/core/check.h"

enum { REQUESTED_MAX_MS = 60000 };

void backoff_init(struct backoff *backoff, uint32_t first_ms, uint32_t max_ms)
{
	CHECK(first_ms > 0 && first_ms <= max_ms);
	*backoff = (struct backoff){.first_ms = first_ms, .max_ms = max_ms};
}

uint32_t backoff_next_ms(struct backoff *backoff, uint32_t random)
{
	uint32_t bound = backoff->bound_ms == 0 ? backoff->first_ms : backoff->bound_ms;
	backoff->bound_ms = bound > backoff->max_ms / 2 ? backoff->max_ms : bound * 2;
	return (uint32_t)(((uint64_t)random * ((uint64_t)bound + 1)) >> 32); /* 0..bound, negligible bias */
}

uint32_t backoff_longer_ms(uint32_t own_ms, uint32_t retry_after_ms)
{
	uint32_t requested_ms = retry_after_ms < REQUESTED_MAX_MS ? retry_after_ms : REQUESTED_MAX_MS;
	return own_ms > requested_ms ? own_ms : requested_ms;
}

void backoff_reset(struct backoff *backoff)
{
	backoff->bound_ms = 0;
}
