#include "base/settings/command_line/given.h"

#include "base/core/mem.h"
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
/* cmocka requires the headers above */
#include <cmocka.h>

static const struct setting_def rows[] = {
	{"name", SETTING_TYPE_TEXT, "", "", "", RESTART, ""},
	{"log.level", SETTING_TYPE_TEXT, "", "", "", RESTART, ""},
	{"ports[].port", SETTING_TYPE_NUMBER, "", "1 to 64", "7", RESTART, ""},
	{"networks", SETTING_TYPE_NETWORKS, "", "", "", RESTART, ""},
	{"socket", SETTING_TYPE_PATH, "", "", "", RESTART, ""},
	{"token_file", SETTING_TYPE_PATH, "", "", "", RESTART, ""},
	{"state_dir", SETTING_TYPE_PATH, "", "", "", RESTART, ""},
};
static const struct setting_table table = {"GIVEN_TEST", rows, sizeof rows / sizeof *rows, NULL, NULL};
static const struct cli_flag flags[] = {{"config", "FILE", "settings", false}};
static const struct cli_program program = {
	.name = "handfast-test", .flags = flags, .num_flags = 1, .settings = &table, .release = "1"};
static const char *const also[] = {"GIVEN_ALSO", NULL};
static const char *const names[] = {"GIVEN_TEST_NAME", "GIVEN_TEST_LOG_LEVEL", "GIVEN_TEST_NETWORKS",
	"GIVEN_TEST_OTHER", "GIVEN_ALSO", "PRELOAD", "GIVEN_TEST_TOKEN_FILE", "GIVEN_TEST_STATE_DIR"};

static int tidy_up(_unused_ void **state)
{
	for (size_t i = 0; i < sizeof names / sizeof *names; i++)
		assert_int_equal(unsetenv(names[i]), 0);
	return chdir("/");
}

static void parse(struct command_line *line, const char *word, const char *value)
{
	char *argv[] = {(char *)"handfast-test", (char *)word, (char *)value};
	command_line_parse(&program, word == NULL ? 1 : 3, argv, line);
	assert_int_equal(buf_len(&line->errors), 0);
}

/* The records, each behind a bar. */
static char *shown(const struct command_line *line)
{
	_cleanup_(buf_done) struct buf bytes = BUF_INIT(GIVEN_MAX);
	assert_int_equal(given_encode(line, also, &bytes), ERR_NONE);
	struct span span = buf_span(&bytes);
	char *text = mem_printf("%*s", (int)span.len, "");
	for (size_t i = 0; i < span.len; i++)
		if (span.ptr[i] == 0)
			text[i] = '|';
		else
			memcpy(&text[i], &span.ptr[i], 1);
	return text;
}

static enum err take(struct given *given, struct command_line *line, struct span bytes)
{
	*given = (struct given){.bytes = BUF_INIT(GIVEN_MAX)};
	assert_int_equal(buf_append(&given->bytes, bytes), ERR_NONE);
	return given_take(given, also, line);
}

static void flags_come_before_variables_and_nothing_else_is_given(_unused_ void **state)
{
	_cleanup_(command_line_done) struct command_line line;
	setenv("GIVEN_TEST_NAME", "of the environment", 1);
	setenv("GIVEN_TEST_LOG_LEVEL", "debug", 1);
	setenv("GIVEN_TEST_NETWORKS", "", 1);
	setenv("GIVEN_TEST_OTHER", "no setting", 1);
	setenv("GIVEN_ALSO", "it is read, too", 1);
	parse(&line, "--name", "of the flag");
	_cleanup_(mem_freep) char *text = shown(&line);
	assert_string_equal(
		text, "/||GIVEN_TEST_NAME=of the flag|GIVEN_TEST_LOG_LEVEL=debug|GIVEN_ALSO=it is read, too||");
}

static void the_path_is_absolute_as_the_folder_is(_unused_ void **state)
{
	_cleanup_(command_line_done) struct command_line line;
	assert_int_equal(chdir("/usr"), 0);
	parse(&line, "--config", "my.yaml");
	_cleanup_(mem_freep) char *text = shown(&line);
	assert_string_equal(text, "/usr|/usr/my.yaml||");
}

static void what_is_not_given_here_is_taken(_unused_ void **state)
{
	_cleanup_(command_line_done) struct command_line line;
	_cleanup_(given_done) struct given given = {0};
	static const char bytes[] = "/usr\0/etc/my.yaml\0GIVEN_TEST_NAME=a=b\nc\0GIVEN_TEST_LOG_LEVEL=debug\0"
				    "GIVEN_TEST_NETWORKS=192.0.2.0/24\0GIVEN_ALSO=x\0";
	char folder[PATH_MAX];
	parse(&line, "--log.level", "error");
	setenv("GIVEN_TEST_NETWORKS", "", 1);
	assert_int_equal(take(&given, &line, span_of(bytes, sizeof bytes)), ERR_NONE);
	assert_string_equal(getenv("GIVEN_TEST_NAME"), "a=b\nc");
	assert_string_equal(getenv("GIVEN_ALSO"), "x");
	assert_null(getenv("GIVEN_TEST_LOG_LEVEL")); /* the flag */
	assert_string_equal(getenv("GIVEN_TEST_NETWORKS"), "");
	assert_string_equal(command_line_value(&line, "config"), "/etc/my.yaml");
	assert_string_equal(getcwd(folder, sizeof folder), "/usr");
}

static void a_settings_file_of_its_own_stays_in_its_folder(_unused_ void **state)
{
	_cleanup_(command_line_done) struct command_line line;
	_cleanup_(given_done) struct given given = {0};
	static const char bytes[] = "/usr\0/etc/theirs.yaml\0";
	assert_int_equal(chdir("/etc"), 0);
	parse(&line, "--config", "own.yaml");
	assert_int_equal(take(&given, &line, span_of(bytes, sizeof bytes)), ERR_NONE);
	assert_string_equal(command_line_value(&line, "config"), "/etc/own.yaml");
}

static void paths_of_its_own_stay_in_its_folder(_unused_ void **state)
{
	_cleanup_(command_line_done) struct command_line line;
	_cleanup_(given_done) struct given given = {0};
	static const char bytes[] = "/usr\0\0GIVEN_TEST_STATE_DIR=theirs\0";
	assert_int_equal(chdir("/etc"), 0);
	setenv("GIVEN_TEST_TOKEN_FILE", "my/token", 1);
	setenv("GIVEN_TEST_NAME", "no/path", 1);
	parse(&line, "--socket", "m/my.sock");
	assert_int_equal(take(&given, &line, span_of(bytes, sizeof bytes)), ERR_NONE);
	assert_string_equal(command_line_setting(&line, "socket"), "/etc/m/my.sock");
	assert_string_equal(getenv("GIVEN_TEST_TOKEN_FILE"), "/etc/my/token");
	assert_string_equal(getenv("GIVEN_TEST_NAME"), "no/path");
	assert_string_equal(getenv("GIVEN_TEST_STATE_DIR"), "theirs"); /* in /usr, where the process is now */
}

static void a_name_that_is_no_setting_stays_out_of_the_environment(_unused_ void **state)
{
	_cleanup_(command_line_done) struct command_line line;
	_cleanup_(given_done) struct given given = {0};
	static const char bytes[] = "/\0\0PRELOAD=/tmp/evil.so\0GIVEN_TEST_OTHER=1\0GIVEN_TEST_NAME=n\0";
	parse(&line, NULL, NULL);
	assert_int_equal(take(&given, &line, span_of(bytes, sizeof bytes)), ERR_NONE);
	assert_null(getenv("PRELOAD"));
	assert_null(getenv("GIVEN_TEST_OTHER"));
	assert_string_equal(getenv("GIVEN_TEST_NAME"), "n");
	assert_null(command_line_value(&line, "config"));
}

static void what_is_cut_or_has_another_form_changes_nothing(_unused_ void **state)
{
	static const char whole[] = "/usr\0/x\0GIVEN_TEST_NAME=n\0";
	static const struct {
		const char *bytes;
		size_t len;
	} wrong[] = {{"", 0}, {"", 1}, {"/\0", 2}, {"/\0", 3}, {"unknown command", 15}, {"usr\0x\0", 7},
		{"/usr\0x\0=n\0", 11}, {"/usr\0x\0no value\0", 17}, {"/usr\0x\0A=b\0\0C=d\0", 17}};
	_cleanup_(command_line_done) struct command_line line;
	parse(&line, NULL, NULL);
	for (size_t len = 0; len < sizeof whole; len++) {
		_cleanup_(given_done) struct given given = {0};
		assert_int_equal(take(&given, &line, span_of(whole, len)), ERR_MALFORMED);
	}
	for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
		_cleanup_(given_done) struct given given = {0};
		assert_int_equal(take(&given, &line, span_of(wrong[i].bytes, wrong[i].len)), ERR_MALFORMED);
	}
	assert_null(getenv("GIVEN_TEST_NAME"));
	assert_null(command_line_value(&line, "config"));
}

static void more_than_the_maximum_is_an_error(_unused_ void **state)
{
	_cleanup_(command_line_done) struct command_line line;
	_cleanup_(buf_done) struct buf bytes = BUF_INIT(GIVEN_MAX);
	_cleanup_(mem_freep) char *value = mem_printf("%*s", GIVEN_MAX, "x");
	parse(&line, "--name", value);
	assert_int_equal(given_encode(&line, also, &bytes), ERR_LIMIT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(flags_come_before_variables_and_nothing_else_is_given, tidy_up),
		cmocka_unit_test_teardown(the_path_is_absolute_as_the_folder_is, tidy_up),
		cmocka_unit_test_teardown(what_is_not_given_here_is_taken, tidy_up),
		cmocka_unit_test_teardown(a_settings_file_of_its_own_stays_in_its_folder, tidy_up),
		cmocka_unit_test_teardown(paths_of_its_own_stay_in_its_folder, tidy_up),
		cmocka_unit_test_teardown(a_name_that_is_no_setting_stays_out_of_the_environment, tidy_up),
		cmocka_unit_test_teardown(what_is_cut_or_has_another_form_changes_nothing, tidy_up),
		cmocka_unit_test_teardown(more_than_the_maximum_is_an_error, tidy_up),
	};
	return tidy_up(NULL) != 0 ? 1 : cmocka_run_group_tests(tests, NULL, NULL);
}
