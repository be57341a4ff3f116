#include "sidecar/identity/redial.h"

enum { AWAY_LEAST_MS = 500, AWAY_SPREAD_MS = 500, PATIENCE_MS = 1000, LONG_PATIENCE_MS = 5000, LONG_TRY_EACH = 4 };
enum { SAID_NO_FIRST_MS = 1000, SAID_NO_LAST_MS = 60000 };

void redial_init(struct redial *redial)
{
	*redial = (struct redial){0};
	backoff_init(&redial->backoff, SAID_NO_FIRST_MS, SAID_NO_LAST_MS);
}

static uint32_t own_wait_ms(struct redial *redial, enum redial_cause cause, uint32_t random)
{
	switch (cause) {
	case REDIAL_AWAY:
		return AWAY_LEAST_MS + (uint32_t)(((uint64_t)random * (AWAY_SPREAD_MS + 1)) >> 32);
	case REDIAL_SAID_NO:
		/* Never at once: a refusal does not change within milliseconds. */
		return AWAY_LEAST_MS + backoff_next_ms(&redial->backoff, random);
	}
	return AWAY_LEAST_MS;
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

uint32_t redial_patience_ms(const struct redial *redial)
{
	return redial->num_failed % LONG_TRY_EACH == LONG_TRY_EACH - 1 ? LONG_PATIENCE_MS : PATIENCE_MS;
}
