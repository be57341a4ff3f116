#include "base/core/cleanup.h"
#include "base/core/timer_wheel.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka requires the four headers above */
#include <cmocka.h>

DEFINE_CLEANUP(struct timer_wheel *, timer_wheel_free)

struct waiter {
	struct timer_entry entry;
	struct timer_wheel *wheel;
	struct waiter *other; /* disarmed by this one's callback */
	unsigned fired;
	bool arms_itself;
};

static void on_deadline(struct timer_entry *entry)
{
	struct waiter *waiter = container_of(entry, struct waiter, entry);
	waiter->fired++;
	if (waiter->arms_itself)
		timer_wheel_arm(waiter->wheel, entry, entry->deadline_ms, on_deadline);
	if (waiter->other != NULL)
		timer_wheel_disarm(waiter->wheel, &waiter->other->entry);
}

static void fires_never_early_and_at_most_one_tick_late(_unused_ void **state)
{
	static const uint64_t starts[] = {0, 7, 639, 640, 40959, 12345678901};
	static const uint64_t delays[] = {1, 9, 10, 11, 630, 639, 640, 641, 40950, 40960, 40961, 2621440, 100000000007};
	for (size_t s = 0; s < sizeof starts / sizeof starts[0]; s++) {
		for (size_t d = 0; d < sizeof delays / sizeof delays[0]; d++) {
			uint64_t deadline = starts[s] + delays[d];
			_cleanup_(timer_wheel_freep) struct timer_wheel *wheel = timer_wheel_new(starts[s]);
			struct waiter waiter = {.wheel = wheel};
			timer_wheel_arm(wheel, &waiter.entry, deadline, on_deadline);
			timer_wheel_advance(wheel, deadline - 1);
			assert_int_equal(waiter.fired, 0);
			timer_wheel_advance(wheel, deadline + 9);
			assert_int_equal(waiter.fired, 1);
			assert_false(timer_entry_is_armed(&waiter.entry));
		}
	}
}

static void fires_on_time_when_the_caller_sleeps_until_next_ms(_unused_ void **state)
{
	uint64_t now = 777, deadline = now + 987654321;
	_cleanup_(timer_wheel_freep) struct timer_wheel *wheel = timer_wheel_new(now);
	struct waiter waiter = {.wheel = wheel};
	timer_wheel_arm(wheel, &waiter.entry, deadline, on_deadline);
	unsigned rounds = 0;
	while (waiter.fired == 0) {
		uint64_t next = timer_wheel_next_ms(wheel, now);
		assert_true(next > 0 && next <= deadline + 9 - now);
		now += next;
		timer_wheel_advance(wheel, now);
		rounds++;
	}
	assert_true(now >= deadline && now < deadline + 10);
	assert_true(rounds <= 11); /* one per level: an idle wheel causes no wake-ups */
	assert_true(timer_wheel_next_ms(wheel, now) == UINT64_MAX);
}

static void fires_many_entries_in_the_order_of_their_ticks(_unused_ void **state)
{
	enum { NUM = 3000 };
	static struct waiter waiters[NUM];
	uint64_t now = 123;
	_cleanup_(timer_wheel_freep) struct timer_wheel *wheel = timer_wheel_new(now);
	uint32_t random = 1;
	for (unsigned i = 0; i < NUM; i++) {
		random = random * 1664525 + 1013904223;
		waiters[i] = (struct waiter){.wheel = wheel};
		timer_wheel_arm(wheel, &waiters[i].entry, now + random % 500000, on_deadline);
	}
	while (timer_wheel_next_ms(wheel, now) != UINT64_MAX) {
		now += 1 + now % 997;
		timer_wheel_advance(wheel, now);
		for (unsigned i = 0; i < NUM; i++) {
			uint64_t deadline = waiters[i].entry.deadline_ms;
			if (deadline > now)
				assert_int_equal(waiters[i].fired, 0);
			if (deadline + 9 <= now)
				assert_int_equal(waiters[i].fired, 1);
		}
	}
}

static void fires_a_past_deadline_with_the_next_advance(_unused_ void **state)
{
	_cleanup_(timer_wheel_freep) struct timer_wheel *wheel = timer_wheel_new(1000);
	struct waiter waiter = {.wheel = wheel};
	timer_wheel_arm(wheel, &waiter.entry, 5, on_deadline);
	assert_int_equal(waiter.fired, 0);
	assert_int_equal(timer_wheel_next_ms(wheel, 1000), 0);
	timer_wheel_advance(wheel, 1000);
	assert_int_equal(waiter.fired, 1);
}

static void ends_although_a_callback_arms_itself_for_now(_unused_ void **state)
{
	_cleanup_(timer_wheel_freep) struct timer_wheel *wheel = timer_wheel_new(0);
	struct waiter waiter = {.wheel = wheel, .arms_itself = true};
	timer_wheel_arm(wheel, &waiter.entry, 10, on_deadline);
	timer_wheel_advance(wheel, 1000);
	assert_int_equal(waiter.fired, 1);
	timer_wheel_advance(wheel, 1000);
	assert_int_equal(waiter.fired, 2);
}

static void lets_a_callback_disarm_what_is_due_together_with_it(_unused_ void **state)
{
	_cleanup_(timer_wheel_freep) struct timer_wheel *wheel = timer_wheel_new(0);
	struct waiter a = {.wheel = wheel}, b = {.wheel = wheel, .other = &a};
	a.other = &b;
	timer_wheel_arm(wheel, &a.entry, 20, on_deadline);
	timer_wheel_arm(wheel, &b.entry, 20, on_deadline);
	timer_wheel_advance(wheel, 100);
	assert_int_equal(a.fired + b.fired, 1); /* the first one disarmed the other */
}

static void moves_and_disarms(_unused_ void **state)
{
	_cleanup_(timer_wheel_freep) struct timer_wheel *wheel = timer_wheel_new(0);
	struct waiter waiter = {.wheel = wheel};
	timer_wheel_disarm(wheel, &waiter.entry);
	timer_wheel_arm(wheel, &waiter.entry, 50, on_deadline);
	timer_wheel_arm(wheel, &waiter.entry, 5000, on_deadline);
	timer_wheel_advance(wheel, 4999);
	assert_int_equal(waiter.fired, 0);
	timer_wheel_disarm(wheel, &waiter.entry);
	assert_true(timer_wheel_next_ms(wheel, 4999) == UINT64_MAX);
	timer_wheel_advance(wheel, 100000);
	assert_int_equal(waiter.fired, 0);
}

static void never_fires_the_largest_deadline_and_disarms_when_freed(_unused_ void **state)
{
	struct timer_wheel *wheel = timer_wheel_new(UINT64_C(1) << 40);
	struct waiter waiter = {.wheel = wheel};
	timer_wheel_arm(wheel, &waiter.entry, UINT64_MAX, on_deadline);
	timer_wheel_advance(wheel, UINT64_C(1) << 60);
	assert_int_equal(waiter.fired, 0);
	timer_wheel_free(wheel);
	assert_false(timer_entry_is_armed(&waiter.entry));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(fires_never_early_and_at_most_one_tick_late),
		cmocka_unit_test(fires_on_time_when_the_caller_sleeps_until_next_ms),
		cmocka_unit_test(fires_many_entries_in_the_order_of_their_ticks),
		cmocka_unit_test(fires_a_past_deadline_with_the_next_advance),
		cmocka_unit_test(ends_although_a_callback_arms_itself_for_now),
		cmocka_unit_test(lets_a_callback_disarm_what_is_due_together_with_it),
		cmocka_unit_test(moves_and_disarms),
		cmocka_unit_test(never_fires_the_largest_deadline_and_disarms_when_freed),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
