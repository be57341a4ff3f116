#include "base/settings/command_line/program_settings.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
/* cmocka requires the six above */
#include <cmocka.h>

static const struct setting_def rows[] = {
	{"name", SETTING_TYPE_TEXT, "", "", "", RESTART, ""},
	{"workers", SETTING_TYPE_NUMBER, "", "1 to 64", "7", RESTART, ""},
	{"threads", SETTING_TYPE_NUMBER, "", "1 to 64", "7", RESTART, ""},
	{"probes", SETTING_TYPE_NUMBER, "", "1 to 64", "7", RESTART, ""},
};
static const struct setting_table table = {"HANDFAST_TEST", rows, 4, NULL, "HANDFAST"};
static const struct cli_flag flags[] = {{"config", "FILE", "settings", false}};
static const struct cli_program program = {
	.name = "handfast-test", .flags = flags, .num_flags = 1, .settings = &table, .release = "1"};

static void file_environment_and_flags_override_each_other_in_this_order(void **state)
{
	(void)state;
	char path[] = "/tmp/program_settings_XXXXXX";
	static const char yaml[] = "name: file\nworkers: 1\nthreads: 1\nprobes: 1\n";
	int fd = mkstemp(path);
	assert_int_equal(write(fd, yaml, sizeof(yaml) - 1), sizeof(yaml) - 1);
	close(fd);
	char *argv[] = {(char *)"handfast-test", (char *)"--config", path, (char *)"--workers=4"};
	char *environment[] = {(char *)"HANDFAST_TEST_WORKERS=3", (char *)"HANDFAST_TEST_THREADS=3",
		(char *)"HANDFAST_THREADS=2", (char *)"HANDFAST_PROBES=2", NULL};
	_cleanup_(command_line_done) struct command_line line;
	command_line_parse(&program, 4, argv, &line);
	_cleanup_(settings_freep) struct settings *settings = program_settings_read(&line, environment);
	unlink(path);
	struct setting_node *root = settings_root(settings);
	assert_string_equal(setting_text(settings, root, "name"), "file");
	assert_int_equal(setting_number(settings, root, "probes"), 2);
	assert_int_equal(setting_number(settings, root, "threads"), 3);
	assert_int_equal(setting_number(settings, root, "workers"), 4);
	assert_int_equal(settings_finish(settings), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(file_environment_and_flags_override_each_other_in_this_order),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
