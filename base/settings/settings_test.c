#include "base/core/mem.h"
#include "base/settings/settings.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static const char *const keys[] = {"mesh.networks", "mesh.leaf_ttl", "name", "workers", NULL};

static struct settings *read_text(const char *yaml)
{
	struct settings *settings = settings_new("HANDFAST_TEST");
	settings_read_text(settings, "test.yaml", span_of_str(yaml));
	return settings;
}

static void values_come_with_their_types(void **state)
{
	(void)state;
	_cleanup_(settings_freep) struct settings *settings = read_text(
		"name: a b\nworkers: 4\nmesh:\n  leaf_ttl: 5s\n  on: true\n  budget: 64MiB\n  mode: strict\n");
	struct setting_node *root = settings_root(settings), *mesh = setting_map(settings, root, "mesh");
	static const char *const modes[] = {"off", "permissive", "strict", NULL};
	assert_string_equal(setting_text(settings, root, "name", ""), "a b");
	assert_int_equal(setting_number(settings, root, "workers", 1, 64, 1), 4);
	assert_int_equal(setting_duration_ms(settings, mesh, "leaf_ttl", 1000, 10000, 1), 5000);
	assert_true(setting_bool(settings, mesh, "on", false));
	assert_int_equal(setting_bytes(settings, mesh, "budget", 0, UINT64_MAX, 0), 64 * 1024 * 1024);
	assert_int_equal(setting_word(settings, mesh, "mode", modes, 0), 2);
	assert_int_equal(setting_number(settings, root, "absent", 1, 64, 7), 7);
	assert_int_equal(settings_finish(settings), 0);
}

static void five_mistakes_are_told_at_once_each_with_its_place(void **state)
{
	(void)state;
	_cleanup_(settings_freep) struct settings *settings =
		read_text("workers: many\nmesh:\n  leaf_ttl: 5\n  networks: [192.0.2.1/24, 2001:db8::/32]\nextra: 1\n");
	struct setting_node *root = settings_root(settings), *mesh = setting_map(settings, root, "mesh");
	size_t num;
	assert_int_equal(setting_number(settings, root, "workers", 1, 64, 1), 1);
	assert_int_equal(setting_duration_ms(settings, mesh, "leaf_ttl", 1000, 10000, 42), 42);
	assert_string_equal(setting_required_text(settings, root, "name", "a name"), "");
	mem_free(setting_networks(settings, mesh, "networks", &num));
	assert_int_equal(num, 1);
	assert_int_equal(settings_finish(settings), 5);
	const char *text = settings_mistakes(settings);
	assert_non_null(strstr(text, "test.yaml:1 (workers): expected a number, got 'many'"));
	assert_non_null(strstr(text, "test.yaml:3 (mesh.leaf_ttl): expected a duration"));
	assert_non_null(strstr(text, "test.yaml:4 (mesh.networks[0])"));
	assert_non_null(strstr(text, "no 'name'"));
	assert_non_null(strstr(text, "test.yaml:5 (extra): expected a known key"));
}

static void flags_beat_the_environment_and_that_beats_the_file(void **state)
{
	(void)state;
	_cleanup_(settings_freep) struct settings *settings =
		read_text("name: file\nworkers: 1\nmesh:\n  leaf_ttl: 1s\n");
	char *environment[] = {(char *)"HANDFAST_TEST_NAME=environment", (char *)"HANDFAST_TEST_MESH_LEAF_TTL=2s",
		(char *)"PATH=/bin", NULL};
	char *argv[] = {(char *)"program", (char *)"--mesh.leaf-ttl=3s", (char *)"--mesh.networks",
		(char *)"192.0.2.0/24,198.51.100.0/24", (char *)"run"};
	settings_read_environment(settings, keys, environment);
	int at = 1;
	while (at < 5 && settings_read_flag(settings, keys, 5, argv, &at))
		;
	assert_int_equal(at, 4);
	struct setting_node *root = settings_root(settings), *mesh = setting_map(settings, root, "mesh");
	size_t num;
	assert_string_equal(setting_text(settings, root, "name", ""), "environment");
	assert_int_equal(setting_number(settings, root, "workers", 1, 64, 9), 1);
	assert_int_equal(setting_duration_ms(settings, mesh, "leaf_ttl", 1, 10000, 1), 3000);
	mem_free(setting_networks(settings, mesh, "networks", &num));
	assert_int_equal(num, 2);
	assert_int_equal(settings_finish(settings), 0);
}

static void an_unknown_variable_of_our_prefix_is_a_mistake(void **state)
{
	(void)state;
	_cleanup_(settings_freep) struct settings *settings = read_text("");
	char *environment[] = {(char *)"HANDFAST_TEST_NAMES=x", (char *)"HANDFAST_TESTNAME=y", NULL};
	settings_read_environment(settings, keys, environment);
	assert_int_equal(settings_finish(settings), 1);
	assert_non_null(strstr(settings_mistakes(settings), "HANDFAST_TEST_NAMES"));
}

static void hostile_files_end_in_one_clear_mistake(void **state)
{
	(void)state;
	char deep[4096] = "a: ";
	memset(deep + 3, '[', 2000);
	const char *files[] = {deep, "a: &x [1]\nb: *x\n", "a: 1\na: 2\n", "- a\n", "text", "a: [1\n",
		"a: 1\n---\nb: 2\n", "{a: b}: c\n", "a: \"x\\0y\"\n"};
	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
		_cleanup_(settings_freep) struct settings *settings = read_text(files[i]);
		struct setting_node *list;
		setting_list(settings, settings_root(settings), "a", &list);
		setting_text(settings, settings_root(settings), "b", "");
		assert_true(settings_finish(settings) >= 1);
		assert_non_null(strstr(settings_mistakes(settings), "expected "));
	}
}

static void an_empty_file_has_no_mistakes(void **state)
{
	(void)state;
	_cleanup_(settings_freep) struct settings *settings = read_text("# nothing but this\n");
	assert_int_equal(settings_finish(settings), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(values_come_with_their_types),
		cmocka_unit_test(five_mistakes_are_told_at_once_each_with_its_place),
		cmocka_unit_test(flags_beat_the_environment_and_that_beats_the_file),
		cmocka_unit_test(an_unknown_variable_of_our_prefix_is_a_mistake),
		cmocka_unit_test(hostile_files_end_in_one_clear_mistake),
		cmocka_unit_test(an_empty_file_has_no_mistakes),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
