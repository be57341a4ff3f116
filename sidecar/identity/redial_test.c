#include "base/core/cleanup.h"
#include "sidecar/identity/redial.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants the four above first */
#include <cmocka.h>

static void C12_redials_a_server_that_is_away_after_half_to_one_second_for_ever(_unused_ void **state)
{
	struct redial redial;
	redial_init(&redial);
	for (int i = 0; i < 1000; i++) {
		assert_int_equal(redial_failed_ms(&redial, REDIAL_AWAY, 0, 0), 500);
		assert_int_equal(redial_failed_ms(&redial, REDIAL_AWAY, 0, UINT32_MAX), 1000);
	}
}

static void asks_a_server_that_said_no_ever_more_rarely(_unused_ void **state)
{
	struct redial redial;
	redial_init(&redial);
	assert_int_equal(redial_failed_ms(&redial, REDIAL_SAID_NO, 0, UINT32_MAX), 1500);
	assert_int_equal(redial_failed_ms(&redial, REDIAL_SAID_NO, 0, UINT32_MAX), 2500);
	for (int i = 0; i < 10; i++)
		(void)redial_failed_ms(&redial, REDIAL_SAID_NO, 0, UINT32_MAX);
	assert_int_equal(redial_failed_ms(&redial, REDIAL_SAID_NO, 0, UINT32_MAX), 60500);
	redial_succeeded(&redial);
	assert_int_equal(redial_failed_ms(&redial, REDIAL_SAID_NO, 0, UINT32_MAX), 1500);
}

static void honours_retry_after(_unused_ void **state)
{
	struct redial redial;
	redial_init(&redial);
	assert_int_equal(redial_failed_ms(&redial, REDIAL_AWAY, 3000, UINT32_MAX), 3000);
	assert_int_equal(redial_failed_ms(&redial, REDIAL_AWAY, 10, 0), 500);
}

static void gives_each_fourth_try_in_a_row_more_time(_unused_ void **state)
{
	struct redial redial;
	redial_init(&redial);
	for (unsigned i = 0; i < 12; i++) {
		assert_int_equal(redial_patience_ms(&redial), i % 4 == 3 ? 5000 : 1000);
		(void)redial_failed_ms(&redial, REDIAL_AWAY, 0, 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(C12_redials_a_server_that_is_away_after_half_to_one_second_for_ever),
		cmocka_unit_test(asks_a_server_that_said_no_ever_more_rarely),
		cmocka_unit_test(honours_retry_after),
		cmocka_unit_test(gives_each_fourth_try_in_a_row_more_time),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
