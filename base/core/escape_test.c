#include "base/core/cleanup.h"
#include "base/core/escape.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka requires the four headers above */
#include <cmocka.h>

static void keeps_printable_ascii_and_escapes_every_other_byte(_unused_ void **state)
{
	for (unsigned byte = 0; byte < 256; byte++) {
		uint8_t raw = (uint8_t)byte;
		char out[8];
		size_t len = escape_ascii(span_of(&raw, 1), out, sizeof out);
		assert_int_equal(len, strlen(out));
		assert_int_equal(len, byte >= 0x20 && byte < 0x7f ? 1 : 4);
		for (size_t i = 0; i < len; i++)
			assert_true(out[i] >= 0x20 && out[i] < 0x7f);
	}
}

static void writes_no_partial_escape_and_always_terminates(_unused_ void **state)
{
	char out[6] = "?????";
	assert_int_equal(escape_ascii(SPAN_LITERAL("a\n"), out, sizeof out), 5);
	assert_int_equal(out[5], '\0');
	assert_int_equal(escape_ascii(SPAN_LITERAL("a"), out, 1), 0);
	assert_string_equal(out, "");
	assert_int_equal(escape_ascii(span_of(NULL, 0), out, sizeof out), 0);
}

static void a_text_that_is_cut_ends_in_dots(_unused_ void **state)
{
	char out[6];
	assert_int_equal(escape_ascii(SPAN_LITERAL("abcde"), out, sizeof out), 5);
	assert_string_equal(out, "abcde"); /* it just fits */
	assert_int_equal(escape_ascii(SPAN_LITERAL("abcdef"), out, sizeof out), 5);
	assert_string_equal(out, "ab...");
	assert_int_equal(escape_ascii(SPAN_LITERAL("a\n\n"), out, sizeof out), 4);
	assert_string_equal(out, "a..."); /* no part of an escape */
	assert_int_equal(escape_ascii(SPAN_LITERAL("ab"), out, 2), 1);
	assert_string_equal(out, ".");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(keeps_printable_ascii_and_escapes_every_other_byte),
		cmocka_unit_test(writes_no_partial_escape_and_always_terminates),
		cmocka_unit_test(a_text_that_is_cut_ends_in_dots),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
