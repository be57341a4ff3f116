#include "base/settings/setting_node.h"
#include <setjmp.h>
#include <stdarg.h>
/* cmocka requires <setjmp.h> and <stdarg.h> */
#include <cmocka.h>

static void durations_have_a_unit(_unused_ void **state)
{
	static const struct {
		const char *text;
		uint64_t ms;
	} rows[] = {{"0s", 0}, {"250ms", 250}, {"5s", 5000}, {"007s", 7000}, {"10m", 600000}, {"1h", 3600000},
		{"7d", 604800000}, {"18446744073709551615ms", UINT64_MAX}, {"213503982334d", 213503982334u * 86400000}};
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		uint64_t ms = 1;
		assert_int_equal(duration_parse(span_of_str(rows[i].text), &ms), ERR_NONE);
		assert_true(ms == rows[i].ms);
	}
}

static void a_duration_that_is_none_leaves_the_output_as_it_was(_unused_ void **state)
{
	static const char *const texts[] = {"", "5", "s", "-5s", "+5s", " 5s", "5s ", "5 s", "5S", "1.5s", "0x5s",
		"5sm", "1h30m", "00000000000000000000000000000005s"};
	uint64_t ms = 42;
	for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
		assert_int_equal(duration_parse(span_of_str(texts[i]), &ms), ERR_MALFORMED);
	assert_int_equal(duration_parse(span_of("5s\0", 3), &ms), ERR_MALFORMED);
	assert_int_equal(ms, 42);
}

static void what_does_not_fit_is_too_large_and_never_wraps(_unused_ void **state)
{
	static const char *const texts[] = {
		"18446744073709551616ms", "18446744073709551615s", "213503982335d", "99999999999999999999999s"};
	uint64_t ms = 42;
	for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
		assert_int_equal(duration_parse(span_of_str(texts[i]), &ms), ERR_TOO_LARGE);
}

static void a_number_is_digits_alone(_unused_ void **state)
{
	static const char *const texts[] = {"", "5s", "5KiB", "-1", "+1", "1e3", "0x10", "1_000", "1,000"};
	uint64_t number = 0;
	assert_int_equal(setting_quantity_number(SPAN_LITERAL("18446744073709551615"), &number), ERR_NONE);
	assert_true(number == UINT64_MAX);
	assert_int_equal(setting_quantity_number(SPAN_LITERAL("12 "), &number), ERR_MALFORMED);
	assert_int_equal(setting_quantity_number(span_of("123", 2), &number), ERR_NONE); /* the span's end counts */
	assert_int_equal(number, 12);
	for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
		assert_int_equal(setting_quantity_number(span_of_str(texts[i]), &number), ERR_MALFORMED);
	assert_int_equal(setting_quantity_number(SPAN_LITERAL("18446744073709551616"), &number), ERR_TOO_LARGE);
	assert_int_equal(number, 12);
}

static void both_ends_of_a_range_are_in_it(_unused_ void **state)
{
	static const struct {
		struct setting_def def;
		uint64_t min, max;
	} rows[] = {
		{{.type = SETTING_TYPE_NUMBER, .range = "1 to 64"}, 1, 64},
		{{.type = SETTING_TYPE_DURATION, .range = "250ms to 1d"}, 250, 86400000},
		{{.type = SETTING_TYPE_SIZE, .range = "4096 to 64MiB"}, 4096, 64 * 1024 * 1024},
		{{.type = SETTING_TYPE_SIZE, .range = "32KiB to 1GiB"}, 32 * 1024, 1024 * 1024 * 1024},
	};
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		assert_false(setting_is_in_range(&rows[i].def, rows[i].min - 1));
		assert_true(setting_is_in_range(&rows[i].def, rows[i].min));
		assert_true(setting_is_in_range(&rows[i].def, rows[i].max));
		assert_false(setting_is_in_range(&rows[i].def, rows[i].max + 1));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(durations_have_a_unit),
		cmocka_unit_test(a_duration_that_is_none_leaves_the_output_as_it_was),
		cmocka_unit_test(what_does_not_fit_is_too_large_and_never_wraps),
		cmocka_unit_test(a_number_is_digits_alone),
		cmocka_unit_test(both_ends_of_a_range_are_in_it),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
