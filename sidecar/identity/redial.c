#include "sidecar/identity/redial.h"
#include "base/core/check.h"

enum { WAIT_MIN_MS = 500, WAIT_SPREAD_MS = 500, TIMEOUT_MS = 1000, LONG_TIMEOUT_MS = 5000, LONG_TRY_EACH = 4 };
enum { REFUSED_FIRST_MS = 1000, REFUSED_LAST_MS = 60000 };

void redial_init(struct redial *redial)
{
	*redial = (struct redial){0};
	backoff_init(&redial->backoff, REFUSED_FIRST_MS, REFUSED_LAST_MS);
}

static uint32_t own_wait_ms(struct redial *redial, enum redial_cause cause, uint32_t random)
{
	switch (cause) {
	case REDIAL_UNREACHABLE:
		return WAIT_MIN_MS + (uint32_t)(((uint64_t)random * (WAIT_SPREAD_MS + 1)) >> 32);
	case REDIAL_REFUSED:
		/* Never at once: a refusal does not change within milliseconds. */
		return WAIT_MIN_MS + backoff_next_ms(&redial->backoff, random);
	}
	CHECK_UNREACHABLE();
}

uint32_t redial_failed_ms(struct redial *redial, enum redial_cause cause, uint32_t retry_after_ms, uint32_t random)
{
	redial->num_failed++;
	uint32_t wait = own_wait_ms(redial, cause, random);
	return wait < retry_after_ms ? retry_after_ms : wait;
}

void redial_succeeded(struct redial *redial)
{
	redial->num_failed = 0;
	backoff_reset(&redial->backoff);
}

uint32_t redial_timeout_ms(const struct redial *redial)
{
	return redial->num_failed % LONG_TRY_EACH == LONG_TRY_EACH - 1 ? LONG_TIMEOUT_MS : TIMEOUT_MS;
}
