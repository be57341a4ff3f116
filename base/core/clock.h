/* Time, injected so that tests own it. Three clocks, never mixed:
 * - monotonic milliseconds (CLOCK_MONOTONIC) for deadlines;
 * - boottime milliseconds (CLOCK_BOOTTIME) to carry time across suspend;
 * - wall time in seconds since 1970 (UTC) for certificates. */
#pragma once

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

/* The time that certificates are judged by: the later of the system's clock and the control plane's authenticated
 * time carried forward by CLOCK_BOOTTIME, and never before the build's own date. */
struct trusted_time {
	int64_t anchor_wall_ms;
	uint64_t anchor_boot_ms; /* 0: no anchor yet */
};
void trusted_time_anchor(struct trusted_time *time, const struct clock *clock, int64_t authenticated_wall_ms);
int64_t trusted_time_now_s(const struct trusted_time *time, const struct clock *clock);
