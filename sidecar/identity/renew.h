/* When to renew an SVID. Pure: time and randomness come in as arguments.
 *
 * The moment is drawn once a certificate, between 50 and 66 % of what was left of its life when it came (the server
 * backdates notBefore, so the life is counted from its arrival), or within the slot that the server assigns. A failed
 * try is repeated with full jitter, 1 s doubling to 60 s, for ever, but never so late that what is left of the life
 * passes idly. Time is CLOCK_BOOTTIME, which goes on through suspend. */
#pragma once

#include "base/core/backoff.h"
#include "base/core/clock.h"
#include <stdbool.h>

struct renew_now {
	uint64_t boot_ms, mono_ms;
	int64_t wall_ms;
	int64_t trusted_s; /* what certificates are judged by */
	uint32_t random;   /* 32 uniform bits, fresh at each call */
};

struct renew {
	bool has_certificate;
	int64_t not_after_s;
	uint64_t due_boot_ms;
	struct backoff backoff;
	struct clock_watch watch;
};

void renew_init(struct renew *renew);
void renew_got_certificate(struct renew *renew, const struct renew_now *now, int64_t not_after_s);
/* The server wishes it: at a moment drawn within that time, unless it is due before. */
void renew_got_slot(struct renew *renew, const struct renew_now *now, uint32_t within_ms);
/* At a moment drawn between least_ms and least_ms + spread_ms from now, unless it is due before. */
void renew_in(struct renew *renew, const struct renew_now *now, uint32_t least_ms, uint32_t spread_ms);
/* A try failed; retry_after_ms 0: the server said nothing. */
void renew_failed(struct renew *renew, const struct renew_now *now, uint32_t retry_after_ms);
/* Notices steps of the wall clock and suspend: true when one brought the renewal forward (jittered: a whole rack
 * wakes together). To be called about once a second. */
bool renew_poll(struct renew *renew, const struct renew_now *now);
bool renew_is_due(const struct renew *renew, const struct renew_now *now);
