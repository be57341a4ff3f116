/* Time, injected so that tests control it. Three clocks, never mixed:
 * - monotonic milliseconds (CLOCK_MONOTONIC) for deadlines;
 * - boottime milliseconds (CLOCK_BOOTTIME) to carry time across suspend;
 * - wall time since 1970 (UTC), in milliseconds (_ms) or seconds (_s), for certificates. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct clock {
	uint64_t (*mono_ms)(const struct clock *clock);
	uint64_t (*boot_ms)(const struct clock *clock);
	int64_t (*wall_ms)(const struct clock *clock);
};

extern const struct clock clock_system;

struct clock_fake { /* for tests: advances only by clock_fake_advance() or by assignment */
	struct clock clock;
	uint64_t mono_ms, boot_ms;
	int64_t wall_ms;
};
void clock_fake_init(struct clock_fake *fake, int64_t wall_ms);
void clock_fake_advance(struct clock_fake *fake, uint64_t ms); /* all three clocks */

/* Detects that the wall clock was set, or that the machine was suspended: both change when certificates expire. To be
 * polled about once per second; slow drift is not a step. Zeroed: never polled. Pure. */
struct clock_watch {
	bool has_inspected;
	int64_t wall_offset_ms; /* wall minus boot at the last poll */
	uint64_t suspended_ms;  /* boot minus mono at the last poll */
};
#define CLOCK_STEP_MS 5000 /* less counts as drift or scheduling delay */
enum clock_event { CLOCK_STEADY, CLOCK_WAS_SET, CLOCK_SLEPT };
/* out_ms: by how much the wall clock was set (positive: forward), or how long the suspend lasted. May be NULL. */
enum clock_event clock_watch_poll(
	struct clock_watch *watch, int64_t wall_ms, uint64_t boot_ms, uint64_t mono_ms, int64_t *out_ms);

/* The time for certificate validation: the later of the system clock and the control plane's authenticated time, which
 * CLOCK_BOOTTIME carries forward; never before the build date. Zeroed: no authenticated time yet. */
struct trusted_time {
	int64_t anchor_wall_ms;
	uint64_t anchor_boot_ms; /* 0: no anchor yet */
	int64_t doubt_wall_ms;   /* a deviating time that is not accepted yet */
	uint64_t doubt_boot_ms;  /* when it was first received; 0: none */
};
void trusted_time_anchor(struct trusted_time *time, const struct clock *clock, int64_t authenticated_wall_ms);
int64_t trusted_time_now_s(const struct trusted_time *time, const struct clock *clock);

/* Takes a further time of the control plane. A control plane whose clock is wrong for seconds must not expire every
 * identity: a time that deviates by more than TRUSTED_TIME_STEP_MS is accepted only after it was received consistently
 * for TRUSTED_TIME_DOUBT_MS. may_jump accepts it at once: no valid identity exists that it could expire. */
#define TRUSTED_TIME_STEP_MS  60000
#define TRUSTED_TIME_DOUBT_MS 60000
enum trusted_step { TRUSTED_SAME, TRUSTED_JUMPED, TRUSTED_DOUBTED /* newly */, TRUSTED_STILL_DOUBTED };
enum trusted_step trusted_time_update(
	struct trusted_time *time, const struct clock *clock, int64_t authenticated_wall_ms, bool may_jump);
/* The accepted authenticated time, carried forward; the system clock when there is none. The control plane feeds its
 * own clock: after the clock was set, the new time is accepted after a minute. */
int64_t trusted_time_authenticated_s(const struct trusted_time *time, const struct clock *clock);
/* The earlier of the two instead of the later one. The control plane's own certificate is validated with it, so the
 * control plane stays reachable, and can correct the time, after it had sent a time in the future. */
int64_t trusted_time_earlier_s(const struct trusted_time *time, const struct clock *clock);
