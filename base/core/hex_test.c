#include "base/core/hex.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka requires the four above */
#include <cmocka.h>

static void parses_what_it_has_formatted(void **state)
{
	(void)state;
	uint8_t bytes[256], back[256];
	char text[2 * sizeof(bytes) + 1];
	for (unsigned i = 0; i < 256; i++)
		bytes[i] = (uint8_t)i;
	hex_format(span_of(bytes, sizeof(bytes)), text);
	assert_int_equal(strlen(text), 512);
	assert_memory_equal(text + 2 * 0xa9, "a9aaab", 6);
	assert_true(hex_parse(span_of_str(text), back, sizeof(back)));
	assert_memory_equal(back, bytes, sizeof(bytes));
	hex_format(span_of(NULL, 0), text);
	assert_string_equal(text, "");
}

static void refuses_what_it_does_not_format(void **state)
{
	(void)state;
	static const char *const wrong[] = {"", "0", "0a0", "0a0b0c", "0A0b", "0a 0", "0x0a", "0a0g"};
	uint8_t out[2] = {7, 7};
	for (unsigned i = 0; i < sizeof(wrong) / sizeof(*wrong); i++)
		assert_false(hex_parse(span_of_str(wrong[i]), out, sizeof(out)));
	assert_int_equal(out[0], 7);
	assert_int_equal(out[1], 7);
}

static void a_digit_has_a_value_in_either_case(void **state)
{
	(void)state;
	for (unsigned byte = 1; byte < 256; byte++) {
		const char *lower = strchr(HEX_LOWER, (int)byte), *upper = strchr(HEX_UPPER, (int)byte);
		int value = lower != NULL ? 16 - (int)strlen(lower) : upper != NULL ? 16 - (int)strlen(upper) : -1;
		assert_int_equal(hex_value((uint8_t)byte), value);
	}
	assert_int_equal(hex_value(0), -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(parses_what_it_has_formatted),
		cmocka_unit_test(refuses_what_it_does_not_format),
		cmocka_unit_test(a_digit_has_a_value_in_either_case),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
