#include "sidecar/identity/redial.h"
#include "base/core/check.h"

enum { WAIT_MIN_MS = 500, WAIT_SPREAD_MS = 500, TIMEOUT_MS = 1000, LONG_TIMEOUT_MS = 5000, LONG_TRY_EACH = 4 };
enum { QUICK_TRIES = 8, QUICK_SPREAD_MS = 50 };
enum { REFUSED_FIRST_MS = 1000, REFUSED_LAST_MS = 60000, TURNED_AWAY_DOUBLED = 3 };

/* Of the tries after a silence, the last one first. */
static const uint16_t quick_timeouts_ms[QUICK_TRIES] = {300, 300, 200, 200, 150, 150, 100, 100};

/* Refused: the server's certificate is wrong, or it refused this sidecar: neither changes without an operator. */
enum redial_cause redial_cause_of(enum err err, bool was_up, bool failed_by_peer)
{
	if (failed_by_peer || err == ERR_UNTRUSTED || err == ERR_WRONG_PEER || err == ERR_NOT_SVID ||
		err == ERR_EXPIRED || err == ERR_REVOKED || err == ERR_WEAK_KEY || err == ERR_MALFORMED)
		return REDIAL_REFUSED;
	/* A server without room ends a connection like this, and so does one that is killed. */
	bool ends_early = !was_up && (err == ERR_TRUNCATED || err == ERR_RESET || err == ERR_CLOSED);
	return ends_early ? REDIAL_TURNED_AWAY : REDIAL_UNREACHABLE;
}

void redial_init(struct redial *redial)
{
	*redial = (struct redial){0};
	backoff_init(&redial->backoff, REFUSED_FIRST_MS, REFUSED_LAST_MS);
}

static uint32_t spread(uint32_t random, uint32_t most)
{
	return (uint32_t)(((uint64_t)random * (most + 1)) >> 32);
}

static uint32_t turned_away_ms(const struct redial *redial, uint32_t random)
{
	unsigned num = redial->num_turned_away - 1;
	uint32_t times = 1u << (num < TURNED_AWAY_DOUBLED ? num : TURNED_AWAY_DOUBLED);
	return times * WAIT_MIN_MS + spread(random, times * WAIT_SPREAD_MS);
}

static uint32_t own_wait_ms(struct redial *redial, enum redial_cause cause, uint32_t random)
{
	redial->num_turned_away = cause == REDIAL_TURNED_AWAY ? redial->num_turned_away + 1 : 0;
	switch (cause) {
	case REDIAL_TURNED_AWAY:
		redial->num_quick = 0;
		return turned_away_ms(redial, random);
	case REDIAL_UNREACHABLE:
		if (redial->num_quick > 0 && --redial->num_quick > 0)
			return spread(random, QUICK_SPREAD_MS);
		return WAIT_MIN_MS + spread(random, WAIT_SPREAD_MS);
	case REDIAL_SILENT:
		redial->num_quick = QUICK_TRIES;
		return spread(random, QUICK_SPREAD_MS);
	case REDIAL_REFUSED:
		/* Never at once: a refusal does not change within milliseconds. */
		redial->num_quick = 0;
		return WAIT_MIN_MS + backoff_next_ms(&redial->backoff, random);
	}
	CHECK_UNREACHABLE();
}

uint32_t redial_failed_ms(struct redial *redial, enum redial_cause cause, uint32_t retry_after_ms, uint32_t random)
{
	redial->num_failed++;
	return backoff_longer_ms(own_wait_ms(redial, cause, random), retry_after_ms);
}

void redial_succeeded(struct redial *redial)
{
	redial->num_failed = redial->num_turned_away = redial->num_quick = 0;
	backoff_reset(&redial->backoff);
}

uint32_t redial_timeout_ms(const struct redial *redial)
{
	if (redial->num_quick > 0)
		return quick_timeouts_ms[redial->num_quick - 1];
	return redial->num_failed % LONG_TRY_EACH == LONG_TRY_EACH - 1 ? LONG_TIMEOUT_MS : TIMEOUT_MS;
}
