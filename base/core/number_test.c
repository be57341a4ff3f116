#include "base/core/number.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
/* cmocka requires the headers above */
#include <cmocka.h>

static void a_number_is_digits_alone(_unused_ void **state)
{
	static const char *const bad[] = {"", "+1", "-1", " 1", "1 ", "1.0", "0x1", "1a", "00", "01", "0000000000"};
	uint64_t number = 7;
	assert_int_equal(number_parse(SPAN_LITERAL("0"), 0, &number), ERR_NONE);
	assert_int_equal(number, 0);
	assert_int_equal(number_parse(SPAN_LITERAL("1024"), 1024, &number), ERR_NONE);
	assert_int_equal(number, 1024);
	assert_int_equal(number_parse(span_of("123", 2), 100, &number), ERR_NONE); /* the span's end counts */
	assert_int_equal(number, 12);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(number_parse(span_of_str(bad[i]), UINT64_MAX, &number), ERR_MALFORMED);
	assert_int_equal(number_parse(span_of("1\0", 2), UINT64_MAX, &number), ERR_MALFORMED);
	assert_int_equal(number, 12); /* untouched on failure */
}

static void a_number_above_the_maximum_is_another_error(_unused_ void **state)
{
	static const struct {
		const char *text;
		uint64_t max;
	} above[] = {{"1", 0}, {"6", 5}, {"10", 9}, {"65536", 65535}, {"99999999999999999999999", 65535},
		{"18446744073709551616", UINT64_MAX}, {"184467440737095516150", UINT64_MAX}};
	uint64_t number = 7;
	for (size_t i = 0; i < sizeof(above) / sizeof(above[0]); i++)
		assert_int_equal(number_parse(span_of_str(above[i].text), above[i].max, &number), ERR_TOO_LARGE);
	assert_int_equal(number, 7);
	assert_int_equal(number_parse(SPAN_LITERAL("18446744073709551615"), UINT64_MAX, &number), ERR_NONE);
	assert_true(number == UINT64_MAX);
}

static void ports_are_from_1_to_65535(_unused_ void **state)
{
	static const char *const bad[] = {"", "0", "080", "65536", "99999", "1x", "4294967297"};
	uint16_t port = 7;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(port_parse(span_of_str(bad[i]), &port), ERR_MALFORMED);
	assert_int_equal(port, 7);
	assert_int_equal(port_parse(SPAN_LITERAL("1"), &port), ERR_NONE);
	assert_int_equal(port, 1);
	assert_int_equal(port_parse(SPAN_LITERAL("65535"), &port), ERR_NONE);
	assert_int_equal(port, 65535);
}

static void takes_digits_off_a_text(_unused_ void **state)
{
	struct span text = SPAN_LITERAL("0012 34");
	assert_int_equal(number_take(&text, UINT64_MAX), 12);
	assert_true(span_eq(text, SPAN_LITERAL(" 34")));
	assert_int_equal(number_take(&text, UINT64_MAX), 0);
	assert_true(span_eq(text, SPAN_LITERAL(" 34")));
	text = SPAN_LITERAL("65536x");
	assert_int_equal(number_take(&text, 65535), 65535);
	assert_true(span_eq(text, SPAN_LITERAL("x")));
	text = (struct span){0};
	assert_int_equal(number_take(&text, 9), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_number_is_digits_alone),
		cmocka_unit_test(a_number_above_the_maximum_is_another_error),
		cmocka_unit_test(ports_are_from_1_to_65535),
		cmocka_unit_test(takes_digits_off_a_text),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
