/* When a refused address claim is repeated: with backoff, and not before the control plane's retry-after. (The control
 * plane itself grants a claim that only waited for a release; this is for all other cases, and for older releases.)
 * Main thread only. */
#pragma once

#include "base/core/backoff.h"
#include "base/core/err.h"
#include "base/core/loop.h"

struct claim_retry {
	struct loop *loop;
	struct loop_timer timer;
	struct backoff backoff;
	unsigned num_refused; /* in a row */
};

void claim_retry_init(struct claim_retry *retry, struct loop *loop); /* borrowed */
/* Refused: on_again is called once, later. Logs `what` and why: a warning for the first refusal in a row, then for
 * debugging. */
void claim_retry_refused(
	struct claim_retry *retry, const char *what, const struct why *why, uint32_t after_ms, loop_timer_fn *on_again);
void claim_retry_held(struct claim_retry *retry);
void claim_retry_stop(struct claim_retry *retry); /* the stream has ended: the next one claims at once */
uint32_t claim_retry_wait_ms(struct claim_retry *retry, uint32_t after_ms, uint32_t random); /* pure */
