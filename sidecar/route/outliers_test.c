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

static void finding_p8_one_connection_tries_an_endpoint_again_that_was_set_aside(void **state)
{
	struct outliers *outliers = *state;
	const struct addr one = numbered(1), other = numbered(2);
	assert_false(outliers_has(outliers, &one, 1000));
	assert_int_equal(outliers_failed(outliers, &one, false, 1000), 1000);
	assert_true(outliers_has(outliers, &one, 1999));
	assert_false(outliers_has(outliers, &other, 1999));
	assert_false(outliers_has(outliers, &one, 2000));
	outliers_try(outliers, &one, 2000);
	assert_true(outliers_has(outliers, &one, 2000)); /* other connections wait for the result */
	assert_true(outliers_served(outliers, &one));
	assert_false(outliers_has(outliers, &one, 2001));
	assert_false(outliers_served(outliers, &one));
}

static void the_pause_doubles_up_to_30_s_and_starts_again_at_1_s_after_a_success(void **state)
{
	struct outliers *outliers = *state;
	const struct addr one = numbered(1);
	uint64_t now_ms = 1000;
	static const uint64_t pauses[] = {1000, 2000, 4000, 8000, 16000, 30000, 30000};
	outliers_failed(outliers, &one, false, now_ms);
	for (unsigned i = 0; i < sizeof(pauses) / sizeof(*pauses); i++) {
		assert_true(outliers_has(outliers, &one, now_ms + pauses[i] - 1));
		assert_false(outliers_has(outliers, &one, now_ms + pauses[i]));
		now_ms += pauses[i];
		outliers_try(outliers, &one, now_ms);
		uint32_t next_ms = i + 1 < sizeof(pauses) / sizeof(*pauses) ? (uint32_t)pauses[i + 1] : 30000;
		assert_int_equal(outliers_failed(outliers, &one, false, ++now_ms), next_ms);
	}
	outliers_served(outliers, &one);
	outliers_failed(outliers, &one, false, now_ms);
	assert_false(outliers_has(outliers, &one, now_ms + 1000));
}

static void concurrent_failures_count_once(void **state)
{
	struct outliers *outliers = *state;
	const struct addr one = numbered(1);
	for (unsigned i = 0; i < 100; i++)
		assert_int_equal(outliers_failed(outliers, &one, false, 1000 + i), i == 0 ? 1000 : 0);
	assert_false(outliers_has(outliers, &one, 2000));
}

static void after_a_minute_without_a_try_the_next_failure_counts_as_the_first(void **state)
{
	struct outliers *outliers = *state;
	const struct addr one = numbered(1);
	(void)outliers_failed(outliers, &one, true, 1000);
	outliers_try(outliers, &one, 2000);
	assert_int_equal(outliers_failed(outliers, &one, true, 2001), 2000);
	outliers_try(outliers, &one, 64002);
	assert_false(outliers_has_failed_open(outliers, &one));
	assert_int_equal(outliers_failed(outliers, &one, false, 64003), 1000);
	outliers_try(outliers, &one, 66000);
	assert_int_equal(outliers_failed(outliers, &one, false, 66001), 2000);
}

struct seen {
	unsigned num;
	struct addr last;
	uint64_t for_ms;
};

static void note(void *arg, const struct addr *endpoint, uint64_t for_ms)
{
	struct seen *seen = arg;
	seen->num++;
	seen->last = *endpoint;
	seen->for_ms = for_ms;
}

static void those_that_are_set_aside_now_are_listed(void **state)
{
	struct outliers *outliers = *state;
	const struct addr one = numbered(1), other = numbered(2);
	struct seen none = {0}, both = {0}, later = {0};
	outliers_each(outliers, 1000, note, &none);
	assert_int_equal(none.num, 0);
	assert_int_equal(outliers_num_at_most(outliers, 0), 0);
	(void)outliers_failed(outliers, &one, false, 1000);
	(void)outliers_failed(outliers, &other, false, 1500);
	outliers_each(outliers, 1500, note, &both);
	assert_int_equal(both.num, 2);
	outliers_each(outliers, 2100, note, &later);
	assert_int_equal(later.num, 1);
	assert_true(addr_eq(&later.last, &other));
	assert_int_equal(later.for_ms, 400);
	assert_true(outliers_num_at_most(outliers, 0) > 0);
}

static void a_trial_without_a_result_ends(void **state)
{
	struct outliers *outliers = *state;
	const struct addr one = numbered(1);
	outliers_failed(outliers, &one, false, 1000);
	outliers_try(outliers, &one, 2000);
	assert_true(outliers_has(outliers, &one, 6999));
	assert_false(outliers_has(outliers, &one, 7000));
}

static void the_table_does_not_grow_with_the_number_of_endpoints(void **state)
{
	struct outliers *outliers = *state;
	for (unsigned i = 0; i < 50000; i++) {
		const struct addr addr = numbered(i);
		outliers_failed(outliers, &addr, false, 1000);
		assert_true(outliers_has(outliers, &addr, 1000));
	}
	for (unsigned i = 0; i < 50000; i++) {
		const struct addr addr = numbered(i);
		outliers_served(outliers, &addr);
		assert_false(outliers_has(outliers, &addr, 1000));
	}
}

static void all_endpoints_of_the_largest_service_are_set_aside_at_once(void **state)
{
	struct outliers *outliers = *state;
	unsigned num_aside = 0;
	for (unsigned i = 0; i < 1024; i++) {
		const struct addr addr = numbered(i);
		(void)outliers_failed(outliers, &addr, false, 1000);
	}
	for (unsigned i = 0; i < 1024; i++) {
		const struct addr addr = numbered(i);
		num_aside += outliers_has(outliers, &addr, 1999);
	}
	assert_true(num_aside >= 1000); /* a bucket of the largest table may be full */
	assert_true(outliers_num_at_most(outliers, 1999) >= num_aside);
	assert_int_equal(outliers_num_at_most(outliers, 2000), 0);
}

static void those_that_nothing_tries_any_more_do_not_count_for_ever(void **state)
{
	struct outliers *outliers = *state;
	for (unsigned i = 0; i < 1024; i++) {
		const struct addr addr = numbered(i);
		(void)outliers_failed(outliers, &addr, false, 1000);
	}
	const struct addr later = numbered(2000);
	(void)outliers_failed(outliers, &later, false, 50000);
	assert_true(outliers_num_at_most(outliers, 50000) > 1000);
	const struct addr last = numbered(2001);
	(void)outliers_failed(outliers, &last, false, 65000);
	assert_int_equal(outliers_num_at_most(outliers, 65000), 2);
	assert_true(outliers_has(outliers, &last, 65000));
}

static void what_failed_open_has_to_prove_more_than_that_it_opens(void **state)
{
	struct outliers *outliers = *state;
	const struct addr one = numbered(1), other = numbered(2);
	assert_false(outliers_has_failed_open(outliers, &one));
	(void)outliers_failed(outliers, &other, false, 1000);
	assert_false(outliers_has_failed_open(outliers, &other));
	(void)outliers_failed(outliers, &one, true, 1000);
	assert_true(outliers_has_failed_open(outliers, &one));
	outliers_try(outliers, &one, 2000);
	assert_int_equal(outliers_failed(outliers, &one, false, 2001), 2000); /* it is the same endpoint */
	assert_true(outliers_has_failed_open(outliers, &one));
	assert_int_equal(outliers_failed(outliers, &other, true, 1001), 0);
	assert_true(outliers_has_failed_open(outliers, &other));
	assert_true(outliers_served(outliers, &one));
	assert_false(outliers_has_failed_open(outliers, &one));
	(void)outliers_failed(outliers, &one, true, 3000);
	assert_int_equal(outliers_failed(outliers, &one, false, 100000), 1000); /* the former ones are forgotten */
	assert_false(outliers_has_failed_open(outliers, &one));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			finding_p8_one_connection_tries_an_endpoint_again_that_was_set_aside, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			the_pause_doubles_up_to_30_s_and_starts_again_at_1_s_after_a_success, set_up, tear_down),
		cmocka_unit_test_setup_teardown(those_that_are_set_aside_now_are_listed, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			after_a_minute_without_a_try_the_next_failure_counts_as_the_first, set_up, tear_down),
		cmocka_unit_test_setup_teardown(concurrent_failures_count_once, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			what_failed_open_has_to_prove_more_than_that_it_opens, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_trial_without_a_result_ends, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			all_endpoints_of_the_largest_service_are_set_aside_at_once, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			those_that_nothing_tries_any_more_do_not_count_for_ever, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			the_table_does_not_grow_with_the_number_of_endpoints, set_up, tear_down),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
