#include "cli/options.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
/* cmocka wants the four above first */
#include <cmocka.h>

static void takes_flags_anywhere_in_both_spellings(void **state)
{
	(void)state;
	char *argv[] = {"handfast", "--output", "json", "token", "--id=spiffe://td/a", "create", "--network",
		"192.0.2.0/24", "--network=198.51.100.0/24", "--ttl", "1h"};
	struct command_line line;
	assert_int_equal(command_line_parse(11, argv, &line, NULL), ERR_NONE);
	assert_int_equal(line.num_words, 2);
	assert_string_equal(line.words[1], "create");
	assert_true(line.options.json);
	assert_string_equal(line.options.id, "spiffe://td/a");
	assert_int_equal(line.options.num_networks, 2);
	assert_string_equal(line.options.ttl, "1h");
	assert_string_equal(line.options.socket, "/run/handfast/control.sock");
}

static void names_the_flag_that_is_none(void **state)
{
	(void)state;
	struct command_line line;
	struct why why = {0};
	char *unknown[] = {"handfast", "--colour=red"};
	assert_int_equal(command_line_parse(2, unknown, &line, &why), ERR_CONFIG);
	assert_non_null(strstr(why.got, "--colour"));
	char *missing[] = {"handfast", "--id"};
	assert_int_equal(command_line_parse(2, missing, &line, &why), ERR_CONFIG);
	char *format[] = {"handfast", "--output=xml"};
	assert_int_equal(command_line_parse(2, format, &line, &why), ERR_CONFIG);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(takes_flags_anywhere_in_both_spellings),
		cmocka_unit_test(names_the_flag_that_is_none),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
