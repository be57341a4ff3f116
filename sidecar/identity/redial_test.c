#include "base/core/cleanup.h"
#include "sidecar/identity/redial.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka.h needs the four headers above before it */
#include <cmocka.h>

static void C12_redials_an_unreachable_server_after_half_to_one_second_forever(_unused_ void **state)
{
	struct redial redial;
	redial_init(&redial);
	for (int i = 0; i < 1000; i++) {
		assert_int_equal(redial_failed_ms(&redial, REDIAL_UNREACHABLE, 0, 0), 500);
		assert_int_equal(redial_failed_ms(&redial, REDIAL_UNREACHABLE, 0, UINT32_MAX), 1000);
	}
}

static void redials_a_server_that_refused_less_and_less_often(_unused_ void **state)
{
	struct redial redial;
	redial_init(&redial);
	assert_int_equal(redial_failed_ms(&redial, REDIAL_REFUSED, 0, UINT32_MAX), 1500);
	assert_int_equal(redial_failed_ms(&redial, REDIAL_REFUSED, 0, UINT32_MAX), 2500);
	for (int i = 0; i < 10; i++)
		(void)redial_failed_ms(&redial, REDIAL_REFUSED, 0, UINT32_MAX);
	assert_int_equal(redial_failed_ms(&redial, REDIAL_REFUSED, 0, UINT32_MAX), 60500);
	redial_succeeded(&redial);
	assert_int_equal(redial_failed_ms(&redial, REDIAL_REFUSED, 0, UINT32_MAX), 1500);
}

static void a_server_that_turns_away_is_asked_less_and_less_often_within_8_s(_unused_ void **state)
{
	static const uint32_t waits[] = {500, 1000, 2000, 4000, 4000};
	struct redial redial;
	redial_init(&redial);
	for (size_t i = 0; i < sizeof waits / sizeof waits[0]; i++) {
		struct redial same = redial;
		assert_int_equal(redial_failed_ms(&same, REDIAL_TURNED_AWAY, 0, UINT32_MAX), 2 * waits[i]);
		assert_int_equal(redial_failed_ms(&redial, REDIAL_TURNED_AWAY, 0, 0), waits[i]);
	}
	assert_int_equal(redial_failed_ms(&redial, REDIAL_UNREACHABLE, 0, 0), 500); /* it is gone: as ever */
	assert_int_equal(redial_failed_ms(&redial, REDIAL_TURNED_AWAY, 0, 0), 500);
	assert_int_equal(redial_failed_ms(&redial, REDIAL_TURNED_AWAY, 0, 0), 1000);
	redial_succeeded(&redial);
	assert_int_equal(redial_failed_ms(&redial, REDIAL_TURNED_AWAY, 0, 0), 500);
}

static void the_end_of_a_connection_has_a_cause(_unused_ void **state)
{
	assert_int_equal(redial_cause_of(ERR_TRUNCATED, false, false), REDIAL_TURNED_AWAY);
	assert_int_equal(redial_cause_of(ERR_RESET, false, false), REDIAL_TURNED_AWAY);
	assert_int_equal(redial_cause_of(ERR_RESET, true, false), REDIAL_UNREACHABLE);
	assert_int_equal(redial_cause_of(ERR_REFUSED, false, false), REDIAL_UNREACHABLE);
	assert_int_equal(redial_cause_of(ERR_TIMEOUT, false, false), REDIAL_UNREACHABLE);
	assert_int_equal(redial_cause_of(ERR_EXPIRED, false, false), REDIAL_REFUSED);
	assert_int_equal(redial_cause_of(ERR_PROTOCOL, true, true), REDIAL_REFUSED);
}

static void respects_retry_after(_unused_ void **state)
{
	struct redial redial;
	redial_init(&redial);
	assert_int_equal(redial_failed_ms(&redial, REDIAL_UNREACHABLE, 3000, UINT32_MAX), 3000);
	assert_int_equal(redial_failed_ms(&redial, REDIAL_UNREACHABLE, 10, 0), 500);
	assert_int_equal(redial_failed_ms(&redial, REDIAL_UNREACHABLE, UINT32_MAX, 0), 60000);
}

static void gives_each_fourth_try_in_a_row_more_time(_unused_ void **state)
{
	struct redial redial;
	redial_init(&redial);
	for (unsigned i = 0; i < 12; i++) {
		assert_int_equal(redial_timeout_ms(&redial), i % 4 == 3 ? 5000 : 1000);
		(void)redial_failed_ms(&redial, REDIAL_UNREACHABLE, 0, 0);
	}
}

static void after_a_silence_eight_tries_follow_at_once(_unused_ void **state)
{
	static const uint32_t timeouts_ms[] = {100, 100, 150, 150, 200, 200, 300, 300};
	uint32_t longest_ms = 0;
	struct redial redial;
	redial_init(&redial);
	uint32_t wait = redial_failed_ms(&redial, REDIAL_SILENT, 0, UINT32_MAX);
	for (size_t i = 0; i < sizeof timeouts_ms / sizeof timeouts_ms[0]; i++) {
		assert_int_equal(wait, 50);
		assert_int_equal(redial_timeout_ms(&redial), timeouts_ms[i]);
		longest_ms += wait + timeouts_ms[i];
		wait = redial_failed_ms(&redial, REDIAL_UNREACHABLE, 0, UINT32_MAX);
	}
	assert_true(longest_ms <= 1900);
	assert_int_equal(wait, 1000);
	assert_true(redial_timeout_ms(&redial) >= 1000);
	(void)redial_failed_ms(&redial, REDIAL_SILENT, 0, 0);
	assert_int_equal(redial_failed_ms(&redial, REDIAL_REFUSED, 0, 0), 500);
	assert_true(redial_timeout_ms(&redial) >= 1000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(C12_redials_an_unreachable_server_after_half_to_one_second_forever),
		cmocka_unit_test(redials_a_server_that_refused_less_and_less_often),
		cmocka_unit_test(a_server_that_turns_away_is_asked_less_and_less_often_within_8_s),
		cmocka_unit_test(the_end_of_a_connection_has_a_cause),
		cmocka_unit_test(respects_retry_after),
		cmocka_unit_test(gives_each_fourth_try_in_a_row_more_time),
		cmocka_unit_test(after_a_silence_eight_tries_follow_at_once),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
