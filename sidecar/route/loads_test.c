#include "sidecar/route/loads.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static struct addr numbered(unsigned number)
{
	struct addr addr = {.port = (uint16_t)(1 + number)};
	assert_int_equal(ip_addr_parse(span_of_str("192.0.2.1"), &addr.ip), ERR_NONE);
	return addr;
}

static int set_up(void **state)
{
	*state = loads_new();
	return 0;
}

static int tear_down(void **state)
{
	loads_free(*state);
	return 0;
}

static void each_connection_makes_the_next_one_dearer(void **state)
{
	struct loads *loads = *state;
	const struct addr one = numbered(1), other = numbered(2);
	assert_int_equal(loads_cost(loads, &one, 1000), 1);
	struct load *first = loads_take(loads, &one), *second = loads_take(loads, &one);
	assert_ptr_equal(first, second);
	assert_int_equal(loads_cost(loads, &one, 1000), 3);
	assert_int_equal(loads_cost(loads, &other, 1000), 1);
	loads_give_back(loads, first);
	assert_int_equal(loads_cost(loads, &one, 1000), 2);
	loads_give_back(loads, second);
	assert_int_equal(loads_cost(loads, &one, 1000), 1);
}

static void each_doubling_of_the_answer_costs_as_a_connection_and_is_forgotten_in_a_second(void **state)
{
	struct loads *loads = *state;
	const struct addr slow = numbered(1);
	struct load *load = loads_take(loads, &slow);
	load_answered(load, 400, 1000);
	assert_int_equal(loads_cost(loads, &slow, 1000), 7 * 2);
	loads_give_back(loads, load);
	static const unsigned costs[] = {7, 6, 5, 4, 3, 2, 1, 1};
	for (unsigned i = 0; i < sizeof(costs) / sizeof(*costs); i++)
		assert_int_equal(loads_cost(loads, &slow, 1000 + i * 1000), costs[i]);
	assert_int_equal(loads_cost(loads, &slow, 1000 + 800), 6);
	assert_int_equal(loads_cost(loads, &slow, 1000000), 1);
}

static void the_slowest_answer_lately_counts(void **state)
{
	struct loads *loads = *state;
	const struct addr at = numbered(1);
	struct load *load = loads_take(loads, &at);
	load_answered(load, 40, 1000);
	load_answered(load, 1, 1000); /* a fast one does not hide it */
	assert_int_equal(loads_cost(loads, &at, 1000), 4 * 2);
	load_answered(load, 80, 1000); /* a slower one counts in full */
	assert_int_equal(loads_cost(loads, &at, 1000), 5 * 2);
	loads_give_back(loads, load);
}

static void answers_below_8_ms_are_equally_fast(void **state)
{
	struct loads *loads = *state;
	const struct addr at = numbered(1);
	struct load *load = loads_take(loads, &at);
	load_answered(load, 7, 1000);
	assert_int_equal(loads_cost(loads, &at, 1000), 2);
	load_answered(load, 8, 1000);
	assert_int_equal(loads_cost(loads, &at, 1000), 4);
	load_answered(load, UINT64_MAX, 1000); /* no overflow */
	assert_int_equal(loads_cost(loads, &at, 1000), 20 * 2);
	loads_give_back(loads, load);
}

static void idle_endpoints_are_forgotten_and_those_with_connections_are_not(void **state)
{
	struct loads *loads = *state;
	const struct addr kept = numbered(0), first = numbered(1);
	struct load *load = loads_take(loads, &kept);
	load_answered(load, 400, 1000);
	for (unsigned i = 1; i <= LOADS_IDLE_MAX + 1; i++) {
		const struct addr addr = numbered(i);
		struct load *idle = loads_take(loads, &addr);
		load_answered(idle, 400, 1000);
		loads_give_back(loads, idle);
	}
	const struct addr last = numbered(LOADS_IDLE_MAX + 1);
	assert_true(loads_cost(loads, &last, 1000) > loads_cost(loads, &first, 1000));
	assert_int_equal(loads_cost(loads, &kept, 1000), 7 * 2);
	loads_give_back(loads, load);
	loads_give_back(loads, NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(each_connection_makes_the_next_one_dearer, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			each_doubling_of_the_answer_costs_as_a_connection_and_is_forgotten_in_a_second, set_up,
			tear_down),
		cmocka_unit_test_setup_teardown(the_slowest_answer_lately_counts, set_up, tear_down),
		cmocka_unit_test_setup_teardown(answers_below_8_ms_are_equally_fast, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			idle_endpoints_are_forgotten_and_those_with_connections_are_not, set_up, tear_down),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
