#include "base/core/log.h"
#include "base/core/mem.h"
#include "base/settings/settings.h"
#include "base/settings/settings_reload.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <unistd.h>

#include <cmocka.h>

struct program {
	unsigned num_name, num_mesh;
};

static void take_name(void *arg, void *fresh)
{
	struct program *program = arg;
	assert_string_equal(fresh, "fresh");
	program->num_name++;
}

static void take_mesh(void *arg, void *fresh)
{
	struct program *program = arg;
	(void)fresh;
	program->num_mesh++;
}

enum { RELOAD_NAME = 1, RELOAD_MESH, NUM_PARTS };
static const struct setting_def rows[] = {
	{"name", SETTING_TYPE_TEXT, "", "", "none", RELOAD_NAME, ""},
	{"names", SETTING_TYPE_TEXT, "", "", "", RESTART, ""},
	{"workers", SETTING_TYPE_NUMBER, "", "1 to 64", "4", RESTART, ""},
	{"mesh.grace", SETTING_TYPE_NUMBER, "", "0 to 100", "1", RELOAD_MESH, ""},
	{"services", SETTING_TYPE_SECTIONS, "", "", "", RELOAD_MESH, ""},
	{"services[].port", SETTING_TYPE_NUMBER, "", "1 to 65535", "80", RELOAD_MESH, ""},
};
static const struct setting_table table = {"HANDFAST_TEST", rows, sizeof(rows) / sizeof(rows[0]), NULL};
static settings_reload_apply_fn *const parts[NUM_PARTS] = {[RELOAD_NAME] = take_name, [RELOAD_MESH] = take_mesh};

static struct settings_record *record_of(const char *yaml)
{
	_cleanup_(settings_freep) struct settings *settings = settings_new(&table);
	struct setting_node *list;
	settings_read_text(settings, "test.yaml", span_of_str(yaml));
	struct setting_node *root = settings_root(settings), *mesh = setting_map(settings, root, "mesh");
	setting_text(settings, root, "name");
	setting_text(settings, root, "names");
	setting_number(settings, root, "workers");
	setting_number(settings, mesh, "grace");
	size_t num = setting_list(settings, root, "services", &list);
	for (size_t i = 0; i < num; i++)
		setting_number(settings, setting_item_map(settings, list, i), "port");
	assert_int_equal(settings_finish(settings), 0);
	return settings_take_record(settings);
}

/* What was logged about it. */
static const char *reload(struct program *program, struct settings_record **in_force, const char *yaml)
{
	static char text[4096];
	static char fresh_config[] = "fresh";
	int ends[2], before = dup(STDERR_FILENO);
	_cleanup_(settings_record_freep) struct settings_record *fresh = record_of(yaml);
	const struct settings_reload options = {&table, parts, NUM_PARTS, "test", program, fresh_config};
	assert_int_equal(pipe(ends), 0);
	dup2(ends[1], STDERR_FILENO);
	settings_reload_commit(&options, in_force, fresh);
	dup2(before, STDERR_FILENO);
	close(before);
	close(ends[1]);
	ssize_t len = read(ends[0], text, sizeof(text) - 1);
	close(ends[0]);
	text[len < 0 ? 0 : len] = '\0';
	return text;
}

static void finding_o3_a_reload_names_what_is_in_force_and_what_waits(void **state)
{
	(void)state;
	struct program program = {0};
	_cleanup_(settings_record_freep) struct settings_record *in_force =
		record_of("name: a\nservices: [{port: 1}]\n");
	const char *text =
		reload(&program, &in_force, "name: b\nnames: x\nworkers: 8\nservices: [{port: 2}, {port: 3}]\n");
	assert_non_null(strstr(text, "in force now: name, services\n"));
	assert_non_null(strstr(text, "only after a restart: names, workers\n"));
	assert_int_equal(program.num_name, 1);
	assert_int_equal(program.num_mesh, 1); /* once for both services */
	const struct setting_row *workers = settings_record_find(in_force, "workers");
	assert_string_equal(workers->value, "4");
	assert_true(workers->waits);
	assert_string_equal(workers->next, "8");
	assert_string_equal(settings_record_find(in_force, "name")->value, "b");
	assert_string_equal(settings_record_find(in_force, "services[1].port")->value, "3");
}

static void finding_o3_what_waits_is_named_until_it_is_taken_back(void **state)
{
	(void)state;
	struct program program = {0};
	_cleanup_(settings_record_freep) struct settings_record *in_force = record_of("workers: 2\n");
	assert_non_null(strstr(reload(&program, &in_force, "workers: 8\n"), "restart: workers\n"));
	assert_non_null(strstr(reload(&program, &in_force, "workers: 8\n"), "restart: workers\n"));
	assert_non_null(strstr(reload(&program, &in_force, "workers: 2\n"), "nothing changed\n"));
	assert_false(settings_record_find(in_force, "workers")->waits);
	assert_int_equal(program.num_name + program.num_mesh, 0);
}

static void a_reload_with_errors_names_them_and_takes_nothing_over(void **state)
{
	(void)state;
	char text[1024] = "";
	int ends[2], before = dup(STDERR_FILENO);
	assert_int_equal(pipe(ends), 0);
	dup2(ends[1], STDERR_FILENO);
	settings_reload_roll_back("test", "a.yaml:1: one\na.yaml:2: two\n");
	log_set_json(true);
	settings_reload_roll_back(
		"test", "a.yaml:3 (workers): the value is '0'; expected: a number; fix: correct it\n");
	log_set_json(false);
	dup2(before, STDERR_FILENO);
	close(before);
	close(ends[1]);
	ssize_t len = read(ends[0], text, sizeof(text) - 1);
	close(ends[0]);
	assert_true(len > 0);
	assert_non_null(strstr(text, "a.yaml:1: one\n"));
	assert_non_null(strstr(text, "a.yaml:2: two\n"));
	assert_non_null(strstr(text, "nothing was taken over\n"));
	assert_non_null(strstr(text, "\"expected\":\"a number\",\"got\":\"a.yaml:3 (workers): the value is '0'\","
				     "\"fix\":\"correct it\"}\n"));
}

/* The record cut a value at 252 bytes: a network at the end of a long list was not taken over. */
static void a_change_at_the_end_of_a_long_value_is_taken_over(void **state)
{
	(void)state;
	struct program program = {0};
	char one[1100], other[1100];
	snprintf(one, sizeof(one), "name: %01000d1\n", 7);
	snprintf(other, sizeof(other), "name: %01000d2\n", 7);
	_cleanup_(settings_record_freep) struct settings_record *in_force = record_of(one);
	assert_non_null(strstr(reload(&program, &in_force, other), "in force now: name\n"));
	assert_int_equal(program.num_name, 1);
	assert_int_equal(strlen(settings_record_find(in_force, "name")->value), 1001);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_change_at_the_end_of_a_long_value_is_taken_over),
		cmocka_unit_test(finding_o3_a_reload_names_what_is_in_force_and_what_waits),
		cmocka_unit_test(a_reload_with_errors_names_them_and_takes_nothing_over),
		cmocka_unit_test(finding_o3_what_waits_is_named_until_it_is_taken_back),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
