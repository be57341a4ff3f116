#include "base/core/loop.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants the four above first */
#include <cmocka.h>

struct counter {
	struct loop_timer timer;
	unsigned fired;
};

static void on_deadline(struct loop_timer *timer)
{
	container_of(timer, struct counter, timer)->fired++;
}

static void fires_a_timer_when_the_injected_clock_reaches_it(_unused_ void **state)
{
	struct clock_fake fake;
	clock_fake_init(&fake, 0);
	_cleanup_(loop_freep) struct loop *loop = loop_new(&fake.clock);
	struct counter counter = {.fired = 0};
	loop_timer_start(loop, &counter.timer, 1000, on_deadline);
	clock_fake_advance(&fake, 990);
	loop_run_once(loop, false);
	assert_int_equal(counter.fired, 0);
	clock_fake_advance(&fake, 10);
	loop_run_once(loop, false);
	assert_int_equal(counter.fired, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(fires_a_timer_when_the_injected_clock_reaches_it),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
