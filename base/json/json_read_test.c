#include "base/json/json_read.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka requires the headers above */
#include <cmocka.h>

static void is_read_as(const char *text, const char *expected)
{
	json_t *value = json_read(span_of_str(text), NULL);
	assert_non_null(value);
	assert_string_equal(json_string_value(json_array_get(value, 0)), expected);
	json_decref(value);
}

static void a_nul_in_a_text_is_a_replacement_character(void **state)
{
	(void)state;
	is_read_as("[\"a\\u0000b\"]", "a\xef\xbf\xbd"
				      "b");
	is_read_as("[\"\\u0000\\u0000\"]", "\xef\xbf\xbd\xef\xbf\xbd");
	is_read_as("[\"\\\\u0000\"]", "\\u0000");
	is_read_as("[\"\\\\\\u0000\\\\u0000\"]", "\\\xef\xbf\xbd\\u0000");
	is_read_as("[\"\\n\\\"\"]", "\n\"");
}

static void a_nul_in_a_name_too(void **state)
{
	(void)state;
	json_t *value = json_read(span_of_str("{\"a\\u0000\":1}"), NULL);
	assert_int_equal(json_integer_value(json_object_get(value, "a\xef\xbf\xbd")), 1);
	json_decref(value);
}

static void what_is_no_json_is_refused(void **state)
{
	(void)state;
	static const char *const rows[] = {"", "{", "[\"\\u000", "[\"\\u0000", "\\u0000", "[\"\\", "[\"\\u0000\\"};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		json_error_t error = {.text = ""};
		assert_null(json_read(span_of_str(rows[i]), &error));
		assert_true(error.text[0] != '\0');
	}
	assert_null(json_read(span_of(NULL, 0), NULL));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_nul_in_a_text_is_a_replacement_character),
		cmocka_unit_test(a_nul_in_a_name_too),
		cmocka_unit_test(what_is_no_json_is_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
