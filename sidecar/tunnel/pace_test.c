#include "sidecar/tunnel/pace.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
/* cmocka requires the headers above */
#include <cmocka.h>

enum { SLOW = 12500000, FAST = 1000000000 }; /* 100 Mbit/s, 8 Gbit/s */

static void judge(struct pace *pace, uint64_t rate, uint32_t unsent, unsigned times)
{
	for (unsigned i = 0; i < times; i++)
		(void)pace_judge(pace, &(struct tcp_path){.rate = rate, .unsent = unsent});
}

static void a_new_tunnel_and_a_fast_path_have_the_most(void **state)
{
	(void)state;
	struct pace pace = {0};
	assert_int_equal(pace_batch(&pace), PACE_MAX);
	assert_false(pace_judge(&pace, &(struct tcp_path){.rate = FAST, .unsent = 100000}));
	assert_int_equal(pace_batch(&pace), PACE_MAX);
}

static void a_slow_path_has_what_it_sends_in_four_milliseconds(void **state)
{
	(void)state;
	struct pace pace = {0};
	judge(&pace, SLOW, 100000, 10);
	assert_int_equal(pace_batch(&pace), SLOW / 250);
}

static void it_falls_by_half_at_most(void **state)
{
	(void)state;
	struct pace pace = {0};
	assert_true(pace_judge(&pace, &(struct tcp_path){.rate = 1000, .unsent = 100000}));
	assert_int_equal(pace_batch(&pace), PACE_MAX / 2);
	judge(&pace, 1000, 100000, 10);
	assert_int_equal(pace_batch(&pace), PACE_MIN);
}

/* Between bulk a tunnel carries little, and the kernel's rate is what was offered. */
static void a_path_that_waited_for_us_is_not_slow(void **state)
{
	(void)state;
	struct pace pace = {0};
	judge(&pace, 1000, 0, 10);
	assert_int_equal(pace_batch(&pace), PACE_MAX);
	judge(&pace, 1000, 100000, 10);
	judge(&pace, 1000, 0, 1);
	assert_int_equal(pace_batch(&pace), 2 * PACE_MIN);
	judge(&pace, 1000, 0, 10);
	assert_int_equal(pace_batch(&pace), PACE_MAX);
}

static void a_path_that_became_fast_has_the_most_at_once(void **state)
{
	(void)state;
	struct pace pace = {0};
	judge(&pace, SLOW, 100000, 10);
	judge(&pace, FAST, 100000, 1);
	assert_int_equal(pace_batch(&pace), PACE_MAX);
}

static void an_unknown_rate_changes_nothing(void **state)
{
	(void)state;
	struct pace pace = {0};
	assert_false(pace_judge(&pace, &(struct tcp_path){.rate = 0, .unsent = 100000}));
}

static void the_kernel_is_asked_each_10_ms(void **state)
{
	(void)state;
	struct pace pace = {0};
	assert_true(pace_wants_facts(&pace, 5000));
	assert_false(pace_wants_facts(&pace, 5009));
	assert_true(pace_wants_facts(&pace, 5010));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_new_tunnel_and_a_fast_path_have_the_most),
		cmocka_unit_test(a_slow_path_has_what_it_sends_in_four_milliseconds),
		cmocka_unit_test(it_falls_by_half_at_most),
		cmocka_unit_test(a_path_that_waited_for_us_is_not_slow),
		cmocka_unit_test(a_path_that_became_fast_has_the_most_at_once),
		cmocka_unit_test(an_unknown_rate_changes_nothing),
		cmocka_unit_test(the_kernel_is_asked_each_10_ms),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
