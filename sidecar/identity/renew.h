/* When to renew an SVID. Pure: time and randomness come in as arguments.
 *
 * The time is drawn once per certificate, between 50 and 66 % of its remaining lifetime on arrival (the server
 * backdates notBefore, so the lifetime is counted from arrival), or within the slot that the server assigns. A failed
 * try is repeated with full jitter, from 1 s doubling to 60 s, forever; while the certificate is valid, the wait is at
 * most a third of the remaining lifetime, and at most a fourth of the time until only a quarter of it remains. Time is
 * CLOCK_BOOTTIME, which continues during suspend. */
#pragma once

#include "base/core/backoff.h"
#include "base/core/clock.h"
#include <stdbool.h>

struct renew_now {
	uint64_t boot_ms, mono_ms;
	int64_t wall_ms;
	int64_t trusted_s; /* the time for checking certificates */
	uint32_t random;   /* 32 uniform bits, fresh at each call */
};

struct renew {
	bool has_certificate;
	int64_t not_after_s;
	uint64_t due_boot_ms;
	uint64_t quarter_boot_ms; /* a quarter of the lifetime remains */
	struct backoff backoff;
	struct clock_watch watch;
};

void renew_init(struct renew *renew);
void renew_got_certificate(struct renew *renew, const struct renew_now *now, int64_t not_after_s);
/* The server requests a renewal: at a time drawn within that slot, unless it is due earlier. */
void renew_got_slot(struct renew *renew, const struct renew_now *now, uint32_t within_ms);
/* At a time drawn between min_ms and min_ms + spread_ms from now, unless it is due earlier. */
void renew_in(struct renew *renew, const struct renew_now *now, uint32_t min_ms, uint32_t spread_ms);
/* A try failed; retry_after_ms 0: the server sent none. */
void renew_failed(struct renew *renew, const struct renew_now *now, uint32_t retry_after_ms);
/* Detects steps of the wall clock and suspend; true if one moved the renewal to an earlier time (with jitter, since
 * many hosts resume together). Call it about once per second. */
bool renew_poll(struct renew *renew, const struct renew_now *now);
bool renew_is_due(const struct renew *renew, const struct renew_now *now);
