#include "base/settings/command_line/command_line.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
/* cmocka requires the four above */
#include <cmocka.h>

static const struct cli_command commands[] = {
	{"run", "", "runs"},
	{"ban", "ID", "a ban"},
	{"show", "[NAME] [--id ID]", "one or all"},
	{"wait", "[--id ID]", "waits"},
	{"list", "[--watch]", "lists", "--place"},
	{"end", "[NAME] [--all] [--idle]", "ends one or all", "--place", "--all"},
};
static const struct cli_also also[] = {{"that ask a place", "--place"}, {"that ask another", "--other"}};
static const struct cli_flag flags[] = {{"id", "ID", "whose", false}, {"config", "FILE", "for all", false},
	{"watch", NULL, "again", false}, {"interval", "DURATION", "how often", false, '\0', "watch"},
	{"place", "PATH", "where", false}, {"all", NULL, "each", false}, {"idle", NULL, "where idle", false}};
static const struct cli_program program = {.name = "handfast-test",
	.about = "Tests.",
	.commands = commands,
	.num_commands = sizeof commands / sizeof commands[0],
	.default_command = "run",
	.flags = flags,
	.num_flags = sizeof flags / sizeof flags[0],
	.also = also,
	.num_also = sizeof also / sizeof also[0],
	.release = "1.2.3"};

#define PARSE(line, ...)                                                                                               \
	char *argv_of_##line[] = {"handfast-test", __VA_ARGS__};                                                       \
	_cleanup_(command_line_done) struct command_line line;                                                         \
	command_line_parse(&program, (int)(sizeof argv_of_##line / sizeof argv_of_##line[0]), argv_of_##line, &line)

static void a_flag_of_another_command_is_an_error(_unused_ void **state)
{
	PARSE(line, "ban", "x", "--id", "a", "--place=b", "--config", "c", "--output", "json");
	assert_string_equal(buf_cstr(&line.errors),
		"--id: the command ban does not take it; expected: a command that takes it: show, wait; "
		"fix: see `handfast-test ban --help`\n"
		"--place: the command ban does not take it; expected: a command that takes it: list, end; fix: see "
		"`handfast-test ban --help`\n");
	PARSE(of_default, "--watch");
	assert_string_equal(buf_cstr(&of_default.errors),
		"--watch: the command run does not take it; expected: a command that "
		"takes it: list; fix: see `handfast-test --help`\n");
}

static void a_command_takes_the_flags_of_its_table(_unused_ void **state)
{
	PARSE(line, "list", "--watch", "--interval", "1s", "--place", "b", "--config", "c");
	assert_string_equal(buf_cstr(&line.errors), "");
}

static void a_part_of_a_flag_needs_it(_unused_ void **state)
{
	PARSE(line, "list", "--interval", "1s");
	assert_string_equal(buf_cstr(&line.errors),
		"--interval: it is given without --watch; expected: --watch together "
		"with it; fix: see `handfast-test list --help`\n");
	PARSE(other, "ban", "x", "--interval", "1s");
	assert_non_null(strstr(buf_cstr(&other.errors), "--interval: the command ban does not take it"));
}

static void a_flag_that_an_argument_excludes_is_an_error(_unused_ void **state)
{
	PARSE(line, "end", "x", "--all", "--idle");
	assert_string_equal(buf_cstr(&line.errors),
		"--all: the command end takes it, or 'x', not both; expected: one of "
		"the two; fix: see `handfast-test end --help`\n");
	PARSE(either, "end", "--all");
	assert_string_equal(buf_cstr(&either.errors), "");
}

static void help_has_the_flags_of_each_command(_unused_ void **state)
{
	_cleanup_(buf_done) struct buf text = BUF_INIT(65536), json = BUF_INIT(65536), page = BUF_INIT(65536),
				       alone = BUF_INIT(65536);
	assert_int_equal(command_line_help(&program, "", false, &text), ERR_NONE);
	assert_null(strstr(buf_cstr(&text), "also takes --place\n"));
	assert_non_null(strstr(buf_cstr(&text),
		"\n\nCommands that ask a place also take --place;\nthose that ask another also take --other.\n"
		"`handfast-test COMMAND --help` lists the flags of one command.\n"));
	assert_int_equal(command_line_help(&program, "list", false, &alone), ERR_NONE);
	assert_non_null(
		strstr(buf_cstr(&alone), "  handfast-test list [--watch]\n      lists\n      also takes --place\n"));
	assert_int_equal(command_line_help(&program, "", true, &json), ERR_NONE);
	assert_non_null(strstr(buf_cstr(&json), "\"config\""));
	assert_non_null(strstr(buf_cstr(&json), "\"interval\""));
	assert_int_equal(command_line_man(&program, &page), ERR_NONE);
	assert_non_null(strstr(buf_cstr(&page), "Also takes \\-\\-place."));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_flag_of_another_command_is_an_error),
		cmocka_unit_test(a_command_takes_the_flags_of_its_table),
		cmocka_unit_test(a_part_of_a_flag_needs_it),
		cmocka_unit_test(a_flag_that_an_argument_excludes_is_an_error),
		cmocka_unit_test(help_has_the_flags_of_each_command),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
