#include "base/core/clock.h"
#include "base/core/check.h"
#include "base/core/cleanup.h"
#include <time.h>

/* A machine without a battery-backed clock starts in 1970, where every certificate that ever expired is valid again.
 * The build's own date is a floor that nobody on the network can move. Release builds give theirs; the rest use the
 * day this constant was last raised, so that a build stays reproducible: 2026-11-01. */
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

void trusted_time_anchor(struct trusted_time *time, const struct clock *clock, int64_t authenticated_wall_ms)
{
	uint64_t boot_ms = clock->boot_ms(clock);
	time->anchor_wall_ms = authenticated_wall_ms;
	time->anchor_boot_ms = boot_ms == 0 ? 1 : boot_ms; /* 0 means "no anchor" */
}

int64_t trusted_time_now_s(const struct trusted_time *time, const struct clock *clock)
{
	int64_t now_s = clock->wall_ms(clock) / 1000;
	if (time->anchor_boot_ms != 0) {
		uint64_t boot_ms = clock->boot_ms(clock);
		uint64_t since_ms = boot_ms > time->anchor_boot_ms ? boot_ms - time->anchor_boot_ms : 0;
		int64_t carried_s = time->anchor_wall_ms / 1000 + (int64_t)(since_ms / 1000);
		now_s = carried_s > now_s ? carried_s : now_s;
	}
	return now_s > HANDFAST_BUILD_DATE_S ? now_s : HANDFAST_BUILD_DATE_S;
}
