#include "base/core/cleanup.h"
#include "base/core/mem.h"
#include "bench/load/histogram.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka requires the four above */
#include <cmocka.h>

static void counts_small_values_exactly(_unused_ void **state)
{
	_cleanup_(mem_freep) struct histogram *histogram = mem_new(struct histogram);
	for (uint64_t value = 1; value <= 100; value++)
		histogram_record(histogram, value);
	assert_int_equal(histogram_permille(histogram, 500), 50);
	assert_int_equal(histogram_permille(histogram, 990), 99);
	assert_int_equal(histogram_permille(histogram, 1000), 100);
}

static void is_never_off_by_more_than_a_64th(_unused_ void **state)
{
	for (uint64_t value = 1; value < (uint64_t)1 << 62; value += value / 3 + 1) {
		_cleanup_(mem_freep) struct histogram *histogram = mem_new(struct histogram);
		histogram_record(histogram, value);
		histogram_record(histogram, UINT64_MAX);
		uint64_t result = histogram_permille(histogram, 500);
		assert_true(result >= value);
		assert_true(result - value <= value / 64);
	}
}

static void records_the_largest_possible_value(_unused_ void **state)
{
	_cleanup_(mem_freep) struct histogram *histogram = mem_new(struct histogram);
	histogram_record(histogram, UINT64_MAX);
	assert_true(histogram_permille(histogram, 1000) == UINT64_MAX);
}

static void returns_zero_when_empty(_unused_ void **state)
{
	_cleanup_(mem_freep) struct histogram *histogram = mem_new(struct histogram);
	assert_int_equal(histogram_permille(histogram, 990), 0);
}

static void shows_a_stall_in_the_tail_and_not_in_the_median(_unused_ void **state)
{
	_cleanup_(mem_freep) struct histogram *histogram = mem_new(struct histogram);
	for (unsigned i = 0; i < 995; i++)
		histogram_record(histogram, 100);
	for (unsigned i = 0; i < 5; i++)
		histogram_record(histogram, 200000);
	assert_int_equal(histogram_permille(histogram, 990), 100);
	assert_int_equal(histogram_permille(histogram, 999), 200000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(counts_small_values_exactly),
		cmocka_unit_test(is_never_off_by_more_than_a_64th),
		cmocka_unit_test(records_the_largest_possible_value),
		cmocka_unit_test(returns_zero_when_empty),
		cmocka_unit_test(shows_a_stall_in_the_tail_and_not_in_the_median),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
