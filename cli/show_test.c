#include "cli/show.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
/* cmocka requires the headers above */
#include <cmocka.h>

static void a_number_has_the_digits_that_it_needs(void **state)
{
	static const struct {
		double value;
		const char *text;
	} rows[] = {{0.1, "0.1"}, {1.0 / 3, "0.3333333333333333"}, {0.1 + 0.2, "0.30000000000000004"}, {-2.5, "-2.5"},
		{1e300, "1e+300"}, {0, "0"}};
	char text[64];
	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		snprintf(text, sizeof text, "%.*g", show_digits(rows[i].value), rows[i].value);
		assert_string_equal(text, rows[i].text);
	}
}

static void json_is_printed_without_invented_digits(void **state)
{
	char printed[256] = "";
	FILE *real = stdout, *taken = fmemopen(printed, sizeof printed, "w");
	(void)state;
	assert_non_null(taken);
	stdout = taken;
	show_json(json_pack("{s:f, s:[f]}", "cpu", 0.1, "rest", 2.2));
	stdout = real;
	assert_int_equal(fclose(taken), 0);
	assert_string_equal(printed, "{\n  \"cpu\": 0.1,\n  \"rest\": [\n    2.2\n  ]\n}\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_number_has_the_digits_that_it_needs),
		cmocka_unit_test(json_is_printed_without_invented_digits),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
