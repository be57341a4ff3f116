#include "base/core/clock.h"
#include "base/core/check.h"
#include "base/core/cleanup.h"
#include <time.h>

/* A machine without a battery-backed clock boots in 1970, when certificates that have expired since are valid again.
 * The build date is a lower bound that no peer can change. Release builds set it; other builds use the day on which
 * this constant was last raised, so that they stay reproducible: 2026-11-01. */
#ifndef HANDFAST_BUILD_DATE_S
#define HANDFAST_BUILD_DATE_S 1793491200
#endif

static struct timespec read_clock(clockid_t id)
{
	struct timespec now;
	CHECK(clock_gettime(id, &now) == 0);
	return now;
}

static uint64_t system_mono_ms(_unused_ const struct clock *clock)
{
	struct timespec now = read_clock(CLOCK_MONOTONIC);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static uint64_t system_boot_ms(_unused_ const struct clock *clock)
{
	struct timespec now = read_clock(CLOCK_BOOTTIME);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static int64_t system_wall_ms(_unused_ const struct clock *clock)
{
	struct timespec now = read_clock(CLOCK_REALTIME);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

const struct clock clock_system = {
	.mono_ms = system_mono_ms,
	.boot_ms = system_boot_ms,
	.wall_ms = system_wall_ms,
};

static uint64_t fake_mono_ms(const struct clock *clock)
{
	return container_of(clock, struct clock_fake, clock)->mono_ms;
}

static uint64_t fake_boot_ms(const struct clock *clock)
{
	return container_of(clock, struct clock_fake, clock)->boot_ms;
}

static int64_t fake_wall_ms(const struct clock *clock)
{
	return container_of(clock, struct clock_fake, clock)->wall_ms;
}

void clock_fake_init(struct clock_fake *fake, int64_t wall_ms)
{
	/* Monotonic and boot time differ, so that a mix-up shows. */
	*fake = (struct clock_fake){
		.clock = {.mono_ms = fake_mono_ms, .boot_ms = fake_boot_ms, .wall_ms = fake_wall_ms},
		.mono_ms = 1000000,
		.boot_ms = 5000000,
		.wall_ms = wall_ms,
	};
}

void clock_fake_advance(struct clock_fake *fake, uint64_t ms)
{
	fake->mono_ms += ms;
	fake->boot_ms += ms;
	fake->wall_ms += (int64_t)ms;
}

static uint64_t distance(int64_t a, int64_t b)
{
	return a > b ? (uint64_t)a - (uint64_t)b : (uint64_t)b - (uint64_t)a;
}

enum clock_event clock_watch_poll(
	struct clock_watch *watch, int64_t wall_ms, uint64_t boot_ms, uint64_t mono_ms, int64_t *out_ms)
{
	const struct clock_watch before = *watch;
	*watch = (struct clock_watch){true, wall_ms - (int64_t)boot_ms, boot_ms - mono_ms};
	if (!before.has_inspected)
		return CLOCK_STEADY;
	if (distance(watch->wall_offset_ms, before.wall_offset_ms) > CLOCK_STEP_MS) {
		if (out_ms != NULL)
			*out_ms = watch->wall_offset_ms - before.wall_offset_ms;
		return CLOCK_WAS_SET;
	}
	if (watch->suspended_ms <= before.suspended_ms + CLOCK_STEP_MS)
		return CLOCK_STEADY;
	if (out_ms != NULL)
		*out_ms = (int64_t)(watch->suspended_ms - before.suspended_ms);
	return CLOCK_SLEPT;
}

void trusted_time_anchor(struct trusted_time *time, const struct clock *clock, int64_t authenticated_wall_ms)
{
	uint64_t boot_ms = clock->boot_ms(clock);
	/* 0 means "no anchor" */
	*time = (struct trusted_time){
		.anchor_wall_ms = authenticated_wall_ms, .anchor_boot_ms = boot_ms == 0 ? 1 : boot_ms};
}

/* The wall time of `boot_ms`, carried forward to now. */
static int64_t carried_ms(int64_t wall_ms, uint64_t boot_ms, const struct clock *clock)
{
	uint64_t now = clock->boot_ms(clock);
	int64_t carried = 0;
	uint64_t since = now > boot_ms ? now - boot_ms : 0;
	return __builtin_add_overflow(wall_ms, (int64_t)since, &carried) ? wall_ms : carried;
}

static int64_t not_before_build(int64_t now_s)
{
	return now_s > HANDFAST_BUILD_DATE_S ? now_s : HANDFAST_BUILD_DATE_S;
}

int64_t trusted_time_now_s(const struct trusted_time *time, const struct clock *clock)
{
	int64_t now_s = clock->wall_ms(clock) / 1000;
	if (time->anchor_boot_ms != 0) {
		int64_t carried_s = carried_ms(time->anchor_wall_ms, time->anchor_boot_ms, clock) / 1000;
		now_s = carried_s > now_s ? carried_s : now_s;
	}
	return not_before_build(now_s);
}

int64_t trusted_time_earlier_s(const struct trusted_time *time, const struct clock *clock)
{
	int64_t now_s = clock->wall_ms(clock) / 1000;
	if (time->anchor_boot_ms != 0) {
		int64_t carried_s = carried_ms(time->anchor_wall_ms, time->anchor_boot_ms, clock) / 1000;
		now_s = carried_s < now_s ? carried_s : now_s;
	}
	return not_before_build(now_s);
}

int64_t trusted_time_authenticated_s(const struct trusted_time *time, const struct clock *clock)
{
	int64_t now_s = clock->wall_ms(clock) / 1000;
	if (time->anchor_boot_ms != 0)
		now_s = carried_ms(time->anchor_wall_ms, time->anchor_boot_ms, clock) / 1000;
	return not_before_build(now_s);
}

static bool is_same_time(int64_t received_ms, int64_t before_ms, uint64_t before_boot_ms, const struct clock *clock)
{
	return distance(received_ms, carried_ms(before_ms, before_boot_ms, clock)) <= TRUSTED_TIME_STEP_MS;
}

enum trusted_step trusted_time_update(
	struct trusted_time *time, const struct clock *clock, int64_t authenticated_wall_ms, bool may_jump)
{
	uint64_t boot_ms = clock->boot_ms(clock);
	bool is_same = time->anchor_boot_ms == 0 ||
		       is_same_time(authenticated_wall_ms, time->anchor_wall_ms, time->anchor_boot_ms, clock);
	if (is_same || may_jump) {
		trusted_time_anchor(time, clock, authenticated_wall_ms);
		return is_same ? TRUSTED_SAME : TRUSTED_JUMPED;
	}
	if (time->doubt_boot_ms == 0 ||
		!is_same_time(authenticated_wall_ms, time->doubt_wall_ms, time->doubt_boot_ms, clock)) {
		time->doubt_wall_ms = authenticated_wall_ms;
		time->doubt_boot_ms = boot_ms == 0 ? 1 : boot_ms;
		return TRUSTED_DOUBTED;
	}
	if (boot_ms - time->doubt_boot_ms < TRUSTED_TIME_DOUBT_MS)
		return TRUSTED_STILL_DOUBTED;
	trusted_time_anchor(time, clock, authenticated_wall_ms);
	return TRUSTED_JUMPED;
}
