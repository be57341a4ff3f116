#include "base/core/date.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka requires the four above */
#include <cmocka.h>

static void times_are_written_in_utc(void **state)
{
	char text[DATE_TEXT_MAX];
	(void)state;
	assert_string_equal(date_format(0, text), "1970-01-01T00:00:00Z");
	assert_string_equal(date_format(1800000000, text), "2027-01-15T08:00:00Z");
	assert_string_equal(date_format(-1, text), "1969-12-31T23:59:59Z");
	assert_string_equal(date_format_ms(1800000000007, text), "2027-01-15T08:00:00.007Z");
	assert_string_equal(date_format_ms(-1, text), "1969-12-31T23:59:59.999Z");
}

static void a_time_that_no_calendar_has_is_its_number(void **state)
{
	char text[DATE_TEXT_MAX];
	(void)state;
	assert_string_equal(date_format(INT64_MAX, text), "9223372036854775807");
	assert_string_equal(date_format(INT64_MIN, text), "-9223372036854775808");
	assert_string_equal(date_format_ms(INT64_MAX, text), "292278994-08-17T07:12:55.807Z");
}

static void what_was_written_is_read_again(void **state)
{
	int64_t seconds = 0;
	(void)state;
	assert_true(date_parse("2027-01-15T08:00:00Z", &seconds));
	assert_true(seconds == 1800000000);
	static const char *const others[] = {
		"", "-", "2027-01-15", "2027-01-15T08:00:00", "2027-01-15T08:00:00Z ", "x"};
	for (size_t i = 0; i < sizeof others / sizeof others[0]; i++)
		assert_false(date_parse(others[i], &seconds));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(times_are_written_in_utc),
		cmocka_unit_test(what_was_written_is_read_again),
		cmocka_unit_test(a_time_that_no_calendar_has_is_its_number),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
