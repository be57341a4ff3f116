#include "sidecar/identity/claim_retry.h"

#include "base/core/log.h"
#include "base/core/random.h"

enum { FIRST_MS = 2000, MAX_MS = 60000 };

void claim_retry_init(struct claim_retry *retry, struct loop *loop)
{
	*retry = (struct claim_retry){.loop = loop};
	backoff_init(&retry->backoff, FIRST_MS, MAX_MS);
}

uint32_t claim_retry_wait_ms(struct claim_retry *retry, uint32_t after_ms, uint32_t random)
{
	return backoff_longer_ms(backoff_next_ms(&retry->backoff, random), after_ms);
}

void claim_retry_refused(
	struct claim_retry *retry, const char *what, const struct why *why, uint32_t after_ms, loop_timer_fn *on_again)
{
	uint32_t wait_ms = claim_retry_wait_ms(retry, after_ms, random_u32());
	log_why(retry->num_refused++ == 0 ? LOG_LEVEL_WARNING : LOG_LEVEL_DEBUG, "identity", what, why);
	loop_timer_start(retry->loop, &retry->timer, wait_ms, on_again);
}

void claim_retry_held(struct claim_retry *retry)
{
	loop_timer_stop(&retry->timer);
	backoff_reset(&retry->backoff);
	retry->num_refused = 0;
}

void claim_retry_stop(struct claim_retry *retry)
{
	loop_timer_stop(&retry->timer);
}
