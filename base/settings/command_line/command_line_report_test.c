#include "base/settings/command_line/command_line.h"
#include <fcntl.h>
#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
/* cmocka requires four of the above */
#include <cmocka.h>

static void put_versions(struct buf *out)
{
	assert_int_equal(buf_append_str(out, "jansson 2.14\nnghttp2 1.52.0\n"), ERR_NONE);
}

static const struct cli_command commands[] = {{"ban", "ID", "a ban"}};
static const struct cli_program program = {.name = "handfast-test",
	.about = "Tests.",
	.commands = commands,
	.num_commands = 1,
	.release = "1.2.3",
	.put_versions = put_versions};

/* What the steps print to a stream, as text. */
struct captured {
	FILE *stream, *file;
	int before;
	char text[65536];
};

static void capture(struct captured *captured, FILE *stream)
{
	captured->stream = stream;
	captured->file = tmpfile();
	assert_non_null(captured->file);
	assert_int_equal(fflush(stream), 0);
	captured->before = dup(fileno(stream));
	assert_true(captured->before >= 0 && dup2(fileno(captured->file), fileno(stream)) >= 0);
}

static const char *captured_text(struct captured *captured)
{
	assert_int_equal(fflush(captured->stream), 0);
	assert_true(dup2(captured->before, fileno(captured->stream)) >= 0);
	assert_int_equal(close(captured->before), 0);
	rewind(captured->file);
	size_t len = fread(captured->text, 1, sizeof captured->text - 1, captured->file);
	captured->text[len] = '\0';
	assert_int_equal(fclose(captured->file), 0);
	return captured->text;
}

static json_t *captured_json(struct captured *captured)
{
	json_t *object = json_loads(captured_text(captured), 0, NULL);
	assert_non_null(object);
	return object;
}

static void expect_text(const json_t *object, const char *key, const char *text)
{
	assert_string_equal(json_string_value(json_object_get(object, key)), text);
}

/* Returns whether the program is to go on. */
static bool begin(struct command_line *line, const char *first, const char *second)
{
	char *argv[] = {"handfast-test", (char *)(uintptr_t)first, (char *)(uintptr_t)second};
	return command_line_begin(&program, second == NULL ? 2 : 3, argv, line);
}

static void versions_are_the_release_and_each_library(_unused_ void **state)
{
	_cleanup_(command_line_done) struct command_line line, as_json;
	struct captured text, json;
	capture(&text, stdout);
	bool goes_on = begin(&line, "--version", NULL);
	static const char start[] = "handfast-test 1.2.3\njansson 2.14\nnghttp2 1.52.0\nglibc ";
	assert_memory_equal(captured_text(&text), start, sizeof start - 1);
	assert_false(goes_on);
	capture(&json, stdout);
	goes_on = begin(&as_json, "--version", "--output=json");
	json_t *object = captured_json(&json);
	assert_false(goes_on);
	expect_text(object, "handfast-test", "1.2.3");
	expect_text(object, "nghttp2", "1.52.0");
	assert_non_null(json_object_get(object, "libgcc"));
	json_decref(object);
}

static void what_was_asked_for_is_printed_and_the_program_ends(_unused_ void **state)
{
	static const struct {
		const char *flag, *start;
	} pages[] = {{"--help", "usage: handfast-test COMMAND [--FLAG VALUE]...\n\nTests.\n"},
		{"--keys", "handfast-test has no settings; --help lists its flags\n"}, {"--man", ".TH "},
		{"--completion=bash", "#"}};
	for (size_t i = 0; i < sizeof pages / sizeof pages[0]; i++) {
		_cleanup_(command_line_done) struct command_line line;
		struct captured text;
		capture(&text, stdout);
		bool goes_on = begin(&line, pages[i].flag, NULL);
		const char *printed = captured_text(&text);
		assert_memory_equal(printed, pages[i].start, strlen(pages[i].start));
		assert_int_equal(printed[strlen(printed) - 1], '\n');
		assert_false(goes_on);
	}
}

static void a_shell_that_is_not_known_is_an_error(_unused_ void **state)
{
	_cleanup_(command_line_done) struct command_line line;
	struct captured text;
	capture(&text, stdout);
	bool goes_on = begin(&line, "--completion=tcsh", NULL);
	assert_string_equal(captured_text(&text), "");
	assert_true(goes_on);
	assert_non_null(strstr(buf_cstr(&line.errors), "'tcsh' is not valid; expected: bash, zsh or fish"));
}

static void a_command_goes_on_and_prints_nothing(_unused_ void **state)
{
	_cleanup_(command_line_done) struct command_line line;
	struct captured text;
	capture(&text, stdout);
	bool goes_on = begin(&line, "ban", "spiffe://td/a");
	assert_string_equal(captured_text(&text), "");
	assert_true(goes_on);
}

static void errors_go_to_standard_error_as_text_and_as_one_object(_unused_ void **state)
{
	_cleanup_(command_line_done) struct command_line line, as_json;
	struct captured text, json;
	assert_true(begin(&line, "lift", "--color"));
	capture(&text, stderr);
	enum cli_exit code = command_line_refuse(&line);
	const char *printed = captured_text(&text);
	assert_int_equal(code, CLI_USAGE);
	assert_non_null(strstr(printed, "command: 'lift' is not valid; expected: ban; fix: "));
	assert_null(strstr(printed, "lists commands"));
	assert_true(begin(&as_json, "lift", "--output=json"));
	capture(&json, stdout);
	code = command_line_refuse(&as_json);
	json_t *object = captured_json(&json);
	assert_int_equal(code, CLI_USAGE);
	expect_text(object, "error", "usage");
	const json_t *errors = json_object_get(object, "errors");
	assert_int_equal(json_array_size(errors), 1);
	expect_text(json_array_get(errors, 0), "got", "command: 'lift' is not valid");
	expect_text(json_array_get(errors, 0), "expected", "ban");
	json_decref(object);
}

static void errors_of_a_program_with_settings_name_the_page_that_lists_them(_unused_ void **state)
{
	static const struct setting_table settings = {.prefix = "HANDFAST_TEST"};
	struct cli_program with_settings = program;
	with_settings.settings = &settings;
	_cleanup_(command_line_done) struct command_line line = {
		.program = &with_settings, .errors = BUF_INIT(CLI_ERRORS_MAX)};
	struct captured text;
	assert_int_equal(buf_append_str(&line.errors, "settings (mesh): 'networks' is missing\n"), ERR_NONE);
	capture(&text, stderr);
	enum cli_exit code = command_line_refuse(&line);
	assert_string_equal(captured_text(&text), "settings (mesh): 'networks' is missing\n"
						  "`handfast-test --help` lists commands, flags and settings\n");
	assert_int_equal(code, CLI_USAGE);
}

static void a_failure_has_its_three_clauses_and_its_exit_code(_unused_ void **state)
{
	struct command_line line = {.program = &program};
	struct captured text, json;
	struct why why = {0};
	enum err err = why_set(&why, ERR_DENIED, "root", "use sudo", "user %d", 1000);
	capture(&text, stderr);
	enum cli_exit code = command_line_fail(&line, err, &why);
	assert_string_equal(captured_text(&text), "handfast-test: user 1000; expected: root; fix: use sudo\n");
	assert_int_equal(code, cli_exit_of(ERR_DENIED));
	line.json = true;
	capture(&json, stdout);
	code = command_line_fail(&line, err, &why);
	json_t *object = captured_json(&json);
	assert_int_equal(code, cli_exit_of(ERR_DENIED));
	expect_text(object, "error", err_label(ERR_DENIED));
	expect_text(object, "expected", "root");
	expect_text(object, "got", "user 1000");
	expect_text(object, "fix", "use sudo");
	json_decref(object);
}

static void an_answer_is_one_sentence(_unused_ void **state)
{
	struct command_line line = {.program = &program};
	struct captured text, json;
	capture(&text, stdout);
	enum cli_exit code = command_line_answer(&line, "banned");
	assert_string_equal(captured_text(&text), "banned\n");
	assert_int_equal(code, CLI_DONE);
	line.json = true;
	capture(&json, stdout);
	code = command_line_answer(&line, "banned");
	json_t *object = captured_json(&json);
	assert_int_equal(code, CLI_DONE);
	expect_text(object, "answer", "banned");
	json_decref(object);
}

/* The exit code of a program that ends with `code` when it has printed its version there. */
static int exit_code_with(const char *output, int code)
{
	int status = 0;
	pid_t pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		struct command_line line;
		int fd = open(output, O_WRONLY | O_CLOEXEC);
		if (fd < 0 || dup2(fd, STDOUT_FILENO) < 0 || dup2(fd, STDERR_FILENO) < 0)
			_exit(2);
		exit(begin(&line, "--version", NULL) ? 3 : code);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void output_that_cannot_be_written_is_no_success(_unused_ void **state)
{
	assert_int_equal(fflush(stdout), 0);
	assert_int_equal(exit_code_with("/dev/null", CLI_DONE), CLI_DONE);
	assert_int_equal(exit_code_with("/dev/full", CLI_DONE), CLI_UNAVAILABLE);
	assert_int_equal(exit_code_with("/dev/full", CLI_REFUSED), CLI_REFUSED);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(versions_are_the_release_and_each_library),
		cmocka_unit_test(what_was_asked_for_is_printed_and_the_program_ends),
		cmocka_unit_test(a_shell_that_is_not_known_is_an_error),
		cmocka_unit_test(a_command_goes_on_and_prints_nothing),
		cmocka_unit_test(errors_go_to_standard_error_as_text_and_as_one_object),
		cmocka_unit_test(errors_of_a_program_with_settings_name_the_page_that_lists_them),
		cmocka_unit_test(a_failure_has_its_three_clauses_and_its_exit_code),
		cmocka_unit_test(an_answer_is_one_sentence),
		cmocka_unit_test(output_that_cannot_be_written_is_no_success),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
