#include "base/core/backoff.h"
#include "base/core/cleanup.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka requires the four above */
#include <cmocka.h>

static void doubles_its_bound_up_to_the_maximum(_unused_ void **state)
{
	static const uint32_t bounds[] = {100, 200, 400, 800, 1000, 1000};
	struct backoff backoff;
	backoff_init(&backoff, 100, 1000);
	for (unsigned i = 0; i < sizeof bounds / sizeof bounds[0]; i++)
		assert_int_equal(backoff_next_ms(&backoff, UINT32_MAX), bounds[i]);
}

static void jitters_over_the_whole_range(_unused_ void **state)
{
	struct backoff backoff;
	backoff_init(&backoff, 100, 100);
	assert_int_equal(backoff_next_ms(&backoff, 0), 0);
	assert_int_equal(backoff_next_ms(&backoff, UINT32_MAX / 2), 50);
	assert_int_equal(backoff_next_ms(&backoff, UINT32_MAX), 100);
}

static void starts_again_after_a_success(_unused_ void **state)
{
	struct backoff backoff;
	backoff_init(&backoff, 100, 1000);
	backoff_next_ms(&backoff, 1);
	backoff_next_ms(&backoff, 1);
	backoff_reset(&backoff);
	assert_int_equal(backoff_next_ms(&backoff, UINT32_MAX), 100);
}

static void does_not_overflow_at_the_largest_bounds(_unused_ void **state)
{
	struct backoff backoff;
	backoff_init(&backoff, UINT32_MAX - 1, UINT32_MAX);
	assert_int_equal(backoff_next_ms(&backoff, UINT32_MAX), UINT32_MAX - 1);
	assert_int_equal(backoff_next_ms(&backoff, UINT32_MAX), UINT32_MAX);
	assert_int_equal(backoff_next_ms(&backoff, UINT32_MAX), UINT32_MAX);
}

static void a_server_delays_by_a_minute_at_most(_unused_ void **state)
{
	assert_int_equal(backoff_longer_ms(500, 10), 500);
	assert_int_equal(backoff_longer_ms(500, 3000), 3000);
	assert_int_equal(backoff_longer_ms(500, UINT32_MAX), 60000);
	assert_int_equal(backoff_longer_ms(90000, UINT32_MAX), 90000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(doubles_its_bound_up_to_the_maximum),
		cmocka_unit_test(jitters_over_the_whole_range),
		cmocka_unit_test(starts_again_after_a_success),
		cmocka_unit_test(does_not_overflow_at_the_largest_bounds),
		cmocka_unit_test(a_server_delays_by_a_minute_at_most),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
