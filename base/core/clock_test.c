#include "base/core/cleanup.h"
#include "base/core/clock.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka requires the four headers above */
#include <cmocka.h>

enum { DAY_S = 86400 };
static const int64_t build_s = 1793491200;
static const int64_t later_s = 1893456000; /* 2030-01-01 */

static void the_fake_clock_moves_only_by_assignment(_unused_ void **state)
{
	struct clock_fake fake;
	clock_fake_init(&fake, 5000);
	uint64_t mono = fake.clock.mono_ms(&fake.clock), boot = fake.clock.boot_ms(&fake.clock);
	assert_true(mono != boot); /* so that tests detect a mix-up */
	clock_fake_advance(&fake, 250);
	assert_int_equal(fake.clock.mono_ms(&fake.clock), mono + 250);
	assert_int_equal(fake.clock.boot_ms(&fake.clock), boot + 250);
	assert_int_equal(fake.clock.wall_ms(&fake.clock), 5250);
}

static void reads_the_system_clocks(_unused_ void **state)
{
	uint64_t mono = clock_system.mono_ms(&clock_system);
	assert_true(clock_system.mono_ms(&clock_system) >= mono);
	assert_true(clock_system.boot_ms(&clock_system) >= mono);
	assert_true(clock_system.wall_ms(&clock_system) > 1600000000000);
}

static void is_never_before_the_build(_unused_ void **state)
{
	struct trusted_time time = {.anchor_boot_ms = 0};
	struct clock_fake fake;
	clock_fake_init(&fake, 0);
	assert_int_equal(trusted_time_now_s(&time, &fake.clock), build_s);
	trusted_time_anchor(&time, &fake.clock, 1000);
	assert_int_equal(trusted_time_now_s(&time, &fake.clock), build_s);
	trusted_time_anchor(&time, &fake.clock, INT64_MIN);
	assert_int_equal(trusted_time_now_s(&time, &fake.clock), build_s);
}

static void follows_the_system_when_it_is_later_than_the_anchor(_unused_ void **state)
{
	struct trusted_time time = {.anchor_boot_ms = 0};
	struct clock_fake fake;
	clock_fake_init(&fake, later_s * 1000);
	assert_int_equal(trusted_time_now_s(&time, &fake.clock), later_s);
	trusted_time_anchor(&time, &fake.clock, (later_s - DAY_S) * 1000);
	assert_int_equal(trusted_time_now_s(&time, &fake.clock), later_s);
}

static void C13_does_not_follow_a_system_clock_that_is_set_back(_unused_ void **state)
{
	struct trusted_time time = {.anchor_boot_ms = 0};
	struct clock_fake fake;
	clock_fake_init(&fake, later_s * 1000);
	trusted_time_anchor(&time, &fake.clock, later_s * 1000);
	fake.wall_ms = 0; /* an attacker, or a flat battery */
	clock_fake_advance(&fake, DAY_S * 1000);
	assert_int_equal(trusted_time_now_s(&time, &fake.clock), later_s + DAY_S);
}

static void carries_the_anchor_across_suspend_by_boot_time(_unused_ void **state)
{
	struct trusted_time time = {.anchor_boot_ms = 0};
	struct clock_fake fake;
	clock_fake_init(&fake, 0);
	fake.boot_ms = 0; /* the very first moment is an anchor too */
	trusted_time_anchor(&time, &fake.clock, later_s * 1000);
	fake.boot_ms += 3600 * 1000 + 1; /* the monotonic clock does not count suspend */
	assert_int_equal(trusted_time_now_s(&time, &fake.clock), later_s + 3600);
}

static const int64_t day_ms = DAY_S * 1000LL;

static void finding_i9_a_time_that_is_wrong_for_seconds_is_not_accepted(_unused_ void **state)
{
	struct trusted_time time = {.anchor_boot_ms = 0};
	struct clock_fake fake;
	clock_fake_init(&fake, later_s * 1000);
	assert_int_equal(trusted_time_update(&time, &fake.clock, fake.wall_ms, false), TRUSTED_SAME);
	for (int i = 0; i < 5; i++) {
		clock_fake_advance(&fake, 5000);
		assert_int_equal(trusted_time_update(&time, &fake.clock, fake.wall_ms + day_ms, false),
			i == 0 ? TRUSTED_DOUBTED : TRUSTED_STILL_DOUBTED);
		assert_int_equal(trusted_time_now_s(&time, &fake.clock), fake.wall_ms / 1000);
	}
	assert_int_equal(trusted_time_update(&time, &fake.clock, fake.wall_ms + 100, false), TRUSTED_SAME);
	clock_fake_advance(&fake, 100000); /* a second time counts from its own first moment */
	assert_int_equal(trusted_time_update(&time, &fake.clock, fake.wall_ms + day_ms, false), TRUSTED_DOUBTED);
}

static void finding_i9_an_accepted_time_can_be_corrected_downwards(_unused_ void **state)
{
	struct trusted_time time = {.anchor_boot_ms = 0};
	struct clock_fake fake;
	clock_fake_init(&fake, later_s * 1000);
	assert_int_equal(trusted_time_update(&time, &fake.clock, fake.wall_ms + day_ms, true), TRUSTED_SAME);
	assert_int_equal(trusted_time_now_s(&time, &fake.clock), later_s + DAY_S);
	/* meanwhile the server's certificate is validated with the earlier clock: by the later one its 24 hours have
	 * passed */
	assert_int_equal(trusted_time_earlier_s(&time, &fake.clock), later_s);
	assert_int_equal(trusted_time_update(&time, &fake.clock, fake.wall_ms, false), TRUSTED_DOUBTED);
	clock_fake_advance(&fake, 30000);
	assert_int_equal(trusted_time_update(&time, &fake.clock, fake.wall_ms, false), TRUSTED_STILL_DOUBTED);
	clock_fake_advance(&fake, 30000);
	assert_int_equal(trusted_time_update(&time, &fake.clock, fake.wall_ms, false), TRUSTED_JUMPED);
	assert_int_equal(trusted_time_now_s(&time, &fake.clock), later_s + 60);
}

static void finding_i9_a_time_that_can_expire_no_identity_is_accepted_at_once(_unused_ void **state)
{
	struct trusted_time time = {.anchor_boot_ms = 0};
	struct clock_fake fake;
	clock_fake_init(&fake, later_s * 1000);
	assert_int_equal(trusted_time_update(&time, &fake.clock, fake.wall_ms + day_ms, false), TRUSTED_SAME);
	assert_int_equal(trusted_time_update(&time, &fake.clock, fake.wall_ms, true), TRUSTED_JUMPED);
	assert_int_equal(trusted_time_now_s(&time, &fake.clock), later_s);
	assert_int_equal(trusted_time_update(&time, &fake.clock, INT64_MAX, false), TRUSTED_DOUBTED);
	assert_int_equal(trusted_time_update(&time, &fake.clock, INT64_MIN, false), TRUSTED_DOUBTED);
	assert_int_equal(trusted_time_now_s(&time, &fake.clock), later_s);
}

static void finding_i9_a_clock_that_is_set_for_seconds_is_not_accepted_by_its_own_host(_unused_ void **state)
{
	struct trusted_time time = {.anchor_boot_ms = 0};
	struct clock_fake fake;
	clock_fake_init(&fake, later_s * 1000);
	assert_int_equal(trusted_time_authenticated_s(&time, &fake.clock),
		later_s); /* no authenticated time yet: the system clock */
	assert_int_equal(trusted_time_update(&time, &fake.clock, fake.wall_ms, false), TRUSTED_SAME);
	for (int i = 0; i < 2; i++) { /* ahead, then behind */
		int64_t by_ms = i == 0 ? day_ms : -day_ms;
		fake.wall_ms += by_ms;
		clock_fake_advance(&fake, 1000);
		assert_int_equal(trusted_time_update(&time, &fake.clock, fake.wall_ms, false), TRUSTED_DOUBTED);
		assert_int_equal(trusted_time_authenticated_s(&time, &fake.clock), (fake.wall_ms - by_ms) / 1000);
		fake.wall_ms -= by_ms;
		assert_int_equal(trusted_time_update(&time, &fake.clock, fake.wall_ms, false), TRUSTED_SAME);
	}
	fake.wall_ms += day_ms; /* this time it stays */
	assert_int_equal(trusted_time_update(&time, &fake.clock, fake.wall_ms, false), TRUSTED_DOUBTED);
	clock_fake_advance(&fake, TRUSTED_TIME_DOUBT_MS);
	assert_int_equal(trusted_time_update(&time, &fake.clock, fake.wall_ms, false), TRUSTED_JUMPED);
	assert_int_equal(trusted_time_authenticated_s(&time, &fake.clock), fake.wall_ms / 1000);
}

static void the_earlier_clock_is_never_before_the_build(_unused_ void **state)
{
	struct trusted_time time = {.anchor_boot_ms = 0};
	struct clock_fake fake;
	clock_fake_init(&fake, 0);
	assert_int_equal(trusted_time_earlier_s(&time, &fake.clock), build_s);
	trusted_time_anchor(&time, &fake.clock, later_s * 1000);
	assert_int_equal(trusted_time_earlier_s(&time, &fake.clock), build_s);
}

static enum clock_event look(struct clock_watch *watch, const struct clock_fake *fake, int64_t *out_ms)
{
	return clock_watch_poll(watch, fake->wall_ms, fake->boot_ms, fake->mono_ms, out_ms);
}

static void finding_i8_a_clock_step_and_a_suspend_are_reported_once(_unused_ void **state)
{
	struct clock_watch watch = {.has_inspected = false};
	struct clock_fake fake;
	int64_t by_ms = 0;
	clock_fake_init(&fake, later_s * 1000);
	assert_int_equal(look(&watch, &fake, &by_ms), CLOCK_STEADY);
	for (int i = 0; i < 100; i++) { /* drift */
		clock_fake_advance(&fake, 1000);
		fake.wall_ms += 200;
		assert_int_equal(look(&watch, &fake, &by_ms), CLOCK_STEADY);
	}
	fake.wall_ms -= day_ms;
	assert_int_equal(look(&watch, &fake, &by_ms), CLOCK_WAS_SET);
	assert_int_equal(by_ms, -day_ms);
	assert_int_equal(look(&watch, &fake, &by_ms), CLOCK_STEADY);
	fake.boot_ms += 3600000;
	fake.wall_ms += 3600000;
	assert_int_equal(look(&watch, &fake, &by_ms), CLOCK_SLEPT);
	assert_int_equal(by_ms, 3600000);
	assert_int_equal(look(&watch, &fake, NULL), CLOCK_STEADY);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_fake_clock_moves_only_by_assignment),
		cmocka_unit_test(reads_the_system_clocks),
		cmocka_unit_test(is_never_before_the_build),
		cmocka_unit_test(follows_the_system_when_it_is_later_than_the_anchor),
		cmocka_unit_test(C13_does_not_follow_a_system_clock_that_is_set_back),
		cmocka_unit_test(finding_i9_a_time_that_is_wrong_for_seconds_is_not_accepted),
		cmocka_unit_test(finding_i9_an_accepted_time_can_be_corrected_downwards),
		cmocka_unit_test(finding_i9_a_time_that_can_expire_no_identity_is_accepted_at_once),
		cmocka_unit_test(finding_i9_a_clock_that_is_set_for_seconds_is_not_accepted_by_its_own_host),
		cmocka_unit_test(the_earlier_clock_is_never_before_the_build),
		cmocka_unit_test(finding_i8_a_clock_step_and_a_suspend_are_reported_once),
		cmocka_unit_test(carries_the_anchor_across_suspend_by_boot_time),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
