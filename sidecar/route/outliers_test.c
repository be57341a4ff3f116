#include "sidecar/route/outliers.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static struct addr numbered(unsigned number)
{
	struct addr addr = {.port = (uint16_t)(1 + number % 60000)};
	assert_int_equal(ip_addr_parse(span_of_str("192.0.2.1"), &addr.ip), ERR_NONE);
	return addr;
}

static int set_up(void **state)
{
	*state = outliers_new();
	return 0;
}

static int tear_down(void **state)
{
	outliers_free(*state);
	return 0;
}

static void finding_p8_a_failing_endpoint_is_set_aside_and_tried_again_by_one(void **state)
{
	struct outliers *outliers = *state;
	const struct addr one = numbered(1), other = numbered(2);
	assert_false(outliers_has(outliers, &one, 1000));
	outliers_failed(outliers, &one, 1000);
	assert_true(outliers_has(outliers, &one, 1999));
	assert_false(outliers_has(outliers, &other, 1999));
	assert_false(outliers_has(outliers, &one, 2000));
	outliers_try(outliers, &one, 2000);
	assert_true(outliers_has(outliers, &one, 2000)); /* the rest waits for that one */
	outliers_served(outliers, &one);
	assert_false(outliers_has(outliers, &one, 2001));
}

static void the_pause_doubles_to_30_s_and_starts_anew_after_a_service(void **state)
{
	struct outliers *outliers = *state;
	const struct addr one = numbered(1);
	uint64_t now_ms = 1000;
	static const uint64_t pauses[] = {1000, 2000, 4000, 8000, 16000, 30000, 30000};
	outliers_failed(outliers, &one, now_ms);
	for (unsigned i = 0; i < sizeof(pauses) / sizeof(*pauses); i++) {
		assert_true(outliers_has(outliers, &one, now_ms + pauses[i] - 1));
		assert_false(outliers_has(outliers, &one, now_ms + pauses[i]));
		now_ms += pauses[i];
		outliers_try(outliers, &one, now_ms);
		outliers_failed(outliers, &one, ++now_ms);
	}
	outliers_served(outliers, &one);
	outliers_failed(outliers, &one, now_ms);
	assert_false(outliers_has(outliers, &one, now_ms + 1000));
}

static void several_failures_at_once_are_one(void **state)
{
	struct outliers *outliers = *state;
	const struct addr one = numbered(1);
	for (unsigned i = 0; i < 100; i++)
		outliers_failed(outliers, &one, 1000 + i);
	assert_false(outliers_has(outliers, &one, 2000));
}

static void a_trial_that_says_nothing_ends(void **state)
{
	struct outliers *outliers = *state;
	const struct addr one = numbered(1);
	outliers_failed(outliers, &one, 1000);
	outliers_try(outliers, &one, 2000);
	assert_true(outliers_has(outliers, &one, 6999));
	assert_false(outliers_has(outliers, &one, 7000));
}

static void any_number_of_endpoints_takes_no_more_memory(void **state)
{
	struct outliers *outliers = *state;
	for (unsigned i = 0; i < 50000; i++) {
		const struct addr addr = numbered(i);
		outliers_failed(outliers, &addr, 1000);
		assert_true(outliers_has(outliers, &addr, 1000));
	}
	for (unsigned i = 0; i < 50000; i++) {
		const struct addr addr = numbered(i);
		outliers_served(outliers, &addr);
		assert_false(outliers_has(outliers, &addr, 1000));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			finding_p8_a_failing_endpoint_is_set_aside_and_tried_again_by_one, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			the_pause_doubles_to_30_s_and_starts_anew_after_a_service, set_up, tear_down),
		cmocka_unit_test_setup_teardown(several_failures_at_once_are_one, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_trial_that_says_nothing_ends, set_up, tear_down),
		cmocka_unit_test_setup_teardown(any_number_of_endpoints_takes_no_more_memory, set_up, tear_down),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
