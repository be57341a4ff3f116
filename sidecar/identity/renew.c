#include "sidecar/identity/renew.h"
#include "base/core/check.h"
#include <stddef.h>

enum { FIRST_RETRY_MS = 1000, LAST_RETRY_MS = 60000, LEAST_RETRY_MS = 200, JUMP_SPREAD_MS = 10000 };

/* 0..bound - 1 */
static uint64_t draw(uint32_t random, uint64_t bound)
{
	return (uint64_t)(((unsigned __int128)random * bound) >> 32);
}

static uint64_t left_ms(const struct renew *renew, const struct renew_now *now)
{
	return renew->not_after_s <= now->trusted_s ? 0 : (uint64_t)(renew->not_after_s - now->trusted_s) * 1000;
}

void renew_init(struct renew *renew)
{
	*renew = (struct renew){0};
	backoff_init(&renew->backoff, FIRST_RETRY_MS, LAST_RETRY_MS);
}

void renew_got_certificate(struct renew *renew, const struct renew_now *now, int64_t not_after_s)
{
	renew->has_certificate = true;
	renew->not_after_s = not_after_s;
	uint64_t life = left_ms(renew, now);
	renew->due_boot_ms = now->boot_ms + life / 2 + draw(now->random, life * 16 / 100 + 1);
	renew->quarter_boot_ms = now->boot_ms + life / 4 * 3;
	CHECK(life == 0 || renew->due_boot_ms < now->boot_ms + life);
	backoff_reset(&renew->backoff);
}

static void bring_forward(struct renew *renew, uint64_t to_boot_ms)
{
	if (to_boot_ms < renew->due_boot_ms)
		renew->due_boot_ms = to_boot_ms;
}

void renew_got_slot(struct renew *renew, const struct renew_now *now, uint32_t within_ms)
{
	renew_in(renew, now, 0, within_ms);
}

void renew_in(struct renew *renew, const struct renew_now *now, uint32_t min_ms, uint32_t spread_ms)
{
	bring_forward(renew, now->boot_ms + min_ms + draw(now->random, (uint64_t)spread_ms + 1));
}

static uint64_t lesser(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

/* A wait of a minute would exceed the lifetime of a leaf that lives for seconds, and few tries fit into the time in
 * which a renewal is not late. The server's retry-after overrides that. */
void renew_failed(struct renew *renew, const struct renew_now *now, uint32_t retry_after_ms)
{
	uint64_t wait = backoff_next_ms(&renew->backoff, now->random);
	uint64_t left = left_ms(renew, now);
	if (left > 0)
		wait = lesser(wait, left / 3);
	if (now->boot_ms + LEAST_RETRY_MS < renew->quarter_boot_ms)
		wait = lesser(wait, (renew->quarter_boot_ms - now->boot_ms) / 4 + LEAST_RETRY_MS);
	renew->due_boot_ms = now->boot_ms + backoff_longer_ms((uint32_t)wait, retry_after_ms);
}

bool renew_poll(struct renew *renew, const struct renew_now *now)
{
	bool jumped = clock_watch_poll(&renew->watch, now->wall_ms, now->boot_ms, now->mono_ms, NULL) != CLOCK_STEADY;
	if (!jumped || !renew->has_certificate)
		return false;
	uint64_t spread = left_ms(renew, now) / 10;
	bring_forward(renew, now->boot_ms + draw(now->random, (spread < JUMP_SPREAD_MS ? spread : JUMP_SPREAD_MS) + 1));
	return true;
}

bool renew_is_due(const struct renew *renew, const struct renew_now *now)
{
	return renew->has_certificate && now->boot_ms >= renew->due_boot_ms;
}
