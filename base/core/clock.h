/* Time, injected so that tests own it. Three clocks, never mixed:
 * - monotonic milliseconds (CLOCK_MONOTONIC) for deadlines;
 * - boottime milliseconds (CLOCK_BOOTTIME) to carry time across suspend;
 * - wall time in seconds since 1970 (UTC) for certificates. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct clock {
	uint64_t (*mono_ms)(const struct clock *clock);
	uint64_t (*boot_ms)(const struct clock *clock);
	int64_t (*wall_ms)(const struct clock *clock);
};

extern const struct clock clock_system;

struct clock_fake { /* for tests: starts at the values given and moves only when told */
	struct clock clock;
	uint64_t mono_ms, boot_ms;
	int64_t wall_ms;
};
void clock_fake_init(struct clock_fake *fake, int64_t wall_ms);
void clock_fake_advance(struct clock_fake *fake, uint64_t ms); /* moves all three */

/* Notices that the wall clock was set, or that the machine slept: both make certificates end at another moment than was
 * thought. Looked at about once per second; slow drift is no step. Zeroed: never looked. Pure. */
struct clock_watch {
	bool has_inspected;
	int64_t wall_offset_ms; /* wall minus boot at the last look */
	uint64_t suspended_ms;  /* boot minus mono at the last look */
};
#define CLOCK_STEP_MS 5000 /* less is drift or a slow moment */
enum clock_event { CLOCK_STEADY, CLOCK_WAS_SET, CLOCK_SLEPT };
/* out_ms: by how much the wall clock was set (positive: forward), or how long the machine slept. May be NULL. */
enum clock_event clock_watch_poll(
	struct clock_watch *watch, int64_t wall_ms, uint64_t boot_ms, uint64_t mono_ms, int64_t *out_ms);

/* The time that certificates are judged by: the later of the system's clock and the control plane's authenticated
 * time carried forward by CLOCK_BOOTTIME, and never before the build's own date. Zeroed: no authenticated time yet. */
struct trusted_time {
	int64_t anchor_wall_ms;
	uint64_t anchor_boot_ms; /* 0: no anchor yet */
	int64_t doubt_wall_ms;   /* another time that is not believed yet */
	uint64_t doubt_boot_ms;  /* when it was first said; 0: none */
};
void trusted_time_anchor(struct trusted_time *time, const struct clock *clock, int64_t authenticated_wall_ms);
int64_t trusted_time_now_s(const struct trusted_time *time, const struct clock *clock);

/* The control plane says its time again. A clock that was wrong for seconds must not end every identity, so a time that
 * is not what it said before is believed only once it was said for TRUSTED_TIME_DOUBT_MS; or at once where may_jump:
 * there is no valid identity that it could end. */
#define TRUSTED_TIME_STEP_MS  60000
#define TRUSTED_TIME_DOUBT_MS 60000
enum trusted_step { TRUSTED_SAME, TRUSTED_JUMPED, TRUSTED_DOUBTED /* newly */, TRUSTED_STILL_DOUBTED };
enum trusted_step trusted_time_hear(
	struct trusted_time *time, const struct clock *clock, int64_t authenticated_wall_ms, bool may_jump);
/* What was said and is believed, carried on; without it the system's clock. For the control plane, which says its own
 * clock to itself: one that is set is not believed before a minute has passed. */
int64_t trusted_time_said_s(const struct trusted_time *time, const struct clock *clock);
/* The earlier of the two instead of the later one: what the control plane's own certificate is judged by, so that it
 * can be reached, and say so, after a time that was too late. */
int64_t trusted_time_least_s(const struct trusted_time *time, const struct clock *clock);
