#include "base/settings/command_line/command_line.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
/* cmocka requires the four above */
#include <cmocka.h>

static const struct cli_command commands[] = {
	{"ban", "ID", "a ban"}, {"list", "[--watch]", "lists", "--place"}, {"list all", "[--idle]", "lists each"}};
static const struct cli_flag flags[] = {{"config", "FILE", "for all", false}, {"watch", NULL, "again", false},
	{"interval", "DURATION", "how often", false, '\0', "watch"}, {"place", "PATH", "where", false},
	{"idle", NULL, "where idle", false}, {"id", "ID", "of ban", false}};
static const struct cli_program program = {.name = "handfast-test",
	.about = "Tests.",
	.commands = commands,
	.num_commands = sizeof commands / sizeof commands[0],
	.flags = flags,
	.num_flags = sizeof flags / sizeof flags[0],
	.release = "1.2.3"};

static void expect_about(const char *expected, int argc, char *const *argv)
{
	_cleanup_(command_line_done) struct command_line line;
	command_line_parse(&program, argc, argv, &line);
	assert_string_equal(line.about, expected);
	assert_int_equal(buf_len(&line.errors), 0);
}

static void help_is_about_the_words_that_name_commands(_unused_ void **state)
{
	expect_about("list", 4, (char *[]){"handfast-test", "list", "x", "--help"});
	expect_about("list", 3, (char *[]){"handfast-test", "--help", "list"});
	expect_about("list all", 4, (char *[]){"handfast-test", "list", "--help", "all"});
	expect_about("", 3, (char *[]){"handfast-test", "lis", "--help"});
	expect_about("", 2, (char *[]){"handfast-test", "--help"});
}

static void help_of_a_command_has_its_flags_alone(_unused_ void **state)
{
	_cleanup_(buf_done) struct buf text = BUF_INIT(65536), json = BUF_INIT(65536), group = BUF_INIT(65536);
	assert_int_equal(command_line_help(&program, "list all", false, &text), ERR_NONE);
	assert_non_null(strstr(buf_cstr(&text), "usage:\n  handfast-test list all [--idle]\n      lists each\n"));
	assert_non_null(strstr(buf_cstr(&text), "  --idle\n"));
	assert_non_null(strstr(buf_cstr(&text), "  --output text|json\n"));
	assert_null(strstr(buf_cstr(&text), "--watch"));
	assert_null(strstr(buf_cstr(&text), "a ban"));
	assert_int_equal(command_line_help(&program, "list", false, &group), ERR_NONE);
	assert_non_null(strstr(buf_cstr(&group), "  handfast-test list [--watch]\n"));
	assert_non_null(strstr(buf_cstr(&group), "  handfast-test list all [--idle]\n"));
	assert_non_null(strstr(buf_cstr(&group), "  --interval DURATION\n"));
	assert_int_equal(command_line_help(&program, "list", true, &json), ERR_NONE);
	assert_non_null(strstr(buf_cstr(&json), "\"interval\""));
	assert_null(strstr(buf_cstr(&json), "\"ban\""));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(help_is_about_the_words_that_name_commands),
		cmocka_unit_test(help_of_a_command_has_its_flags_alone),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
