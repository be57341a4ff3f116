#include "base/core/mem.h"
#include "base/settings/settings.h"
#include "base/settings/settings_record.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static const struct setting_def rows[] = {
	{"mesh.networks", SETTING_TYPE_NETWORKS, "", "", "", RESTART, ""},
	{"mesh.leaf_ttl", SETTING_TYPE_DURATION, "", "1s to 10s", "1s", RESTART, ""},
	{"mesh.on", SETTING_TYPE_BOOL, "", "false, true", "false", RESTART, ""},
	{"mesh.budget", SETTING_TYPE_SIZE, "", "1MiB to 1GiB", "1MiB", RESTART, ""},
	{"mesh.mode", SETTING_TYPE_KEYWORD, "", "off, permissive, strict", "off", RESTART, ""},
	{"name", SETTING_TYPE_TEXT, "", "", "required", RESTART, ""},
	{"title", SETTING_TYPE_TEXT, "", "", "untitled", RESTART, ""},
	{"workers", SETTING_TYPE_NUMBER, "", "1 to 64", "7", RESTART, ""},
	{"threads", SETTING_TYPE_NUMBER, "", "1 to 64", "automatic", RESTART, ""},
	{"port", SETTING_TYPE_NUMBER, "", "1 to 65535", "7", RESTART, ""},
	{"listen.port", SETTING_TYPE_NUMBER, "", "1 to 65535", "7", RESTART, ""},
	{"listen.ports", SETTING_TYPE_NUMBERS, "port", "1 to 65535", "", RESTART, ""},
	{"a", SETTING_TYPE_TEXTS, "", "", "", RESTART, ""},
	{"services", SETTING_TYPE_SECTIONS, "", "", "", RESTART, ""},
	{"services[].port", SETTING_TYPE_NUMBER, "", "1 to 65535", "80", RESTART, ""},
	{"services[].target", SETTING_TYPE_NUMBER, "", "1 to 65535", "", RESTART, ""},
	{"services[].wait", SETTING_TYPE_DURATION, "", "0s to 1h", "8s", RESTART, ""},
	{"b", SETTING_TYPE_TEXT, "", "", "", RESTART, ""},
};
static const struct setting_table table = {"HANDFAST_TEST", rows, sizeof(rows) / sizeof(rows[0]), NULL};

static struct settings *read_text(const char *yaml)
{
	struct settings *settings = settings_new(&table);
	settings_read_text(settings, "test.yaml", span_of_str(yaml));
	return settings;
}

static void values_come_with_their_types(void **state)
{
	(void)state;
	_cleanup_(settings_freep) struct settings *settings = read_text(
		"name: a b\nworkers: 4\nmesh:\n  leaf_ttl: 5s\n  on: true\n  budget: 64MiB\n  mode: strict\n");
	struct setting_node *root = settings_root(settings), *mesh = setting_map(settings, root, "mesh");
	assert_string_equal(setting_text(settings, root, "name"), "a b");
	assert_int_equal(setting_number(settings, root, "workers"), 4);
	assert_int_equal(setting_duration_ms(settings, mesh, "leaf_ttl"), 5000);
	assert_true(setting_bool(settings, mesh, "on"));
	assert_int_equal(setting_bytes(settings, mesh, "budget"), 64 * 1024 * 1024);
	assert_int_equal(setting_keyword(settings, mesh, "mode"), 2);
	assert_int_equal(setting_number(settings, root, "port"), 7);
	assert_int_equal(settings_finish(settings), 0);
}

static void five_errors_are_reported_at_once_each_with_its_place(void **state)
{
	(void)state;
	_cleanup_(settings_freep) struct settings *settings =
		read_text("workers: many\nmesh:\n  leaf_ttl: 5\n  networks: [192.0.2.1/24, 2001:db8::/32]\nextra: 1\n");
	struct setting_node *root = settings_root(settings), *mesh = setting_map(settings, root, "mesh");
	size_t num;
	assert_int_equal(setting_number(settings, root, "workers"), 7);
	assert_int_equal(setting_duration_ms(settings, mesh, "leaf_ttl"), 1000);
	assert_string_equal(setting_required_text(settings, root, "name", "a name"), "");
	mem_free(setting_networks(settings, mesh, "networks", &num));
	assert_int_equal(num, 1);
	assert_int_equal(settings_finish(settings), 5);
	const char *text = settings_errors(settings);
	assert_non_null(strstr(text, "test.yaml:1 (workers): the value is 'many'; expected: a number"));
	assert_non_null(strstr(text, "test.yaml:3 (mesh.leaf_ttl): the value is '5'; expected: a duration"));
	assert_non_null(strstr(text, "test.yaml:4 (mesh.networks[0])"));
	assert_non_null(strstr(text, "'name' is missing"));
	assert_non_null(strstr(text, "test.yaml:5 (extra): extra is not a setting"));
}

static void a_key_with_a_dot_is_to_be_nested(_unused_ void **state)
{
	_cleanup_(settings_freep) struct settings *settings =
		read_text("listen.port: 9\nmesh: {leaf.ttl: 1s}\nno.such: 1\n");
	setting_map(settings, settings_root(settings), "mesh");
	assert_int_equal(settings_finish(settings), 3);
	const char *text = settings_errors(settings);
	assert_non_null(strstr(text,
		"test.yaml:1 (listen.port): listen.port is a key with a dot; expected: sections nested, as in YAML; "
		"fix: write listen: {port: ...}\n"));
	assert_non_null(strstr(text, "no.such is not a setting"));
}

/* The cause alone is reported: what is missing may be in the part of the file that could not be read. */
static void nothing_is_missing_from_a_file_that_cannot_be_read(void **state)
{
	static const char *const files[] = {"", "# a comment\n", "- a list\n", "mesh:\n\tname: x\n", "b: 1\nb: 2\n"};
	(void)state;
	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
		_cleanup_(settings_freep) struct settings *settings = read_text(files[i]);
		struct setting_node *root = settings_root(settings);
		assert_string_equal(setting_required_text(settings, root, "name", "a name"), "");
		(void)setting_text(settings, root, "b");
		(void)setting_map(settings, root, "mesh");
		assert_int_equal(settings_finish(settings), 1);
		assert_null(strstr(settings_errors(settings), "missing"));
	}
	_cleanup_(settings_freep) struct settings *settings = settings_new(&table);
	settings_read_file(settings, "/nonexistent/test.yaml");
	assert_string_equal(setting_required_text(settings, settings_root(settings), "name", "a name"), "");
	assert_int_equal(settings_finish(settings), 1);
}

static void a_key_that_is_given_twice_is_named(void **state)
{
	(void)state;
	_cleanup_(settings_freep) struct settings *settings =
		read_text("name: x\nmesh:\n  on: true\nmesh:\n  on: true\n");
	assert_non_null(strstr(settings_errors(settings), "'mesh' is given twice; expected: each key once"));
}

static void flags_beat_the_environment_and_that_beats_the_file(void **state)
{
	(void)state;
	_cleanup_(settings_freep) struct settings *settings =
		read_text("name: file\nworkers: 1\nmesh:\n  leaf_ttl: 1s\n");
	char *environment[] = {(char *)"HANDFAST_TEST_NAME=environment", (char *)"HANDFAST_TEST_MESH_LEAF_TTL=2s",
		(char *)"PATH=/bin", NULL};
	settings_read_environment(settings, environment);
	settings_read_flag(settings, "mesh.leaf_ttl", "3s");
	settings_read_flag(settings, "mesh.networks", "192.0.2.0/24,198.51.100.0/24");
	struct setting_node *root = settings_root(settings), *mesh = setting_map(settings, root, "mesh");
	size_t num;
	assert_string_equal(setting_text(settings, root, "name"), "environment");
	assert_int_equal(setting_number(settings, root, "workers"), 1);
	assert_int_equal(setting_duration_ms(settings, mesh, "leaf_ttl"), 3000);
	mem_free(setting_networks(settings, mesh, "networks", &num));
	assert_int_equal(num, 2);
	assert_int_equal(settings_finish(settings), 0);
}

static unsigned num_lines(const char *text)
{
	unsigned num = 0;
	for (; *text != '\0'; text++)
		num += *text == '\n';
	return num;
}

static void finding_o4_an_unknown_variable_of_our_prefix_is_a_warning(void **state)
{
	(void)state;
	_cleanup_(settings_freep) struct settings *settings = settings_new(&table);
	char *environment[] = {(char *)"HANDFAST_TEST_NAMES=x", (char *)"HANDFAST_TESTNAME=y", NULL};
	settings_read_environment(settings, environment);
	assert_int_equal(settings_finish(settings), 0);
	assert_int_equal(num_lines(settings_warnings(settings)), 1);
	assert_non_null(strstr(settings_warnings(settings), "HANDFAST_TEST_NAMES: "));
	assert_non_null(strstr(settings_warnings(settings), "the nearest is that of name"));
}

/* Of a Service named handfast-test, and of one named handfast-test-metrics, with a named port. */
static void finding_o4_what_kubernetes_makes_of_a_services_name_is_ignored(void **state)
{
	(void)state;
	_cleanup_(settings_freep) struct settings *settings = settings_new(&table);
	char *environment[] = {(char *)"HANDFAST_TEST_SERVICE_HOST=10.0.0.1",
		(char *)"HANDFAST_TEST_SERVICE_PORT=15012", (char *)"HANDFAST_TEST_SERVICE_PORT_STREAMS=15012",
		(char *)"HANDFAST_TEST_PORT_15012_TCP=tcp://10.0.0.1:15012",
		(char *)"HANDFAST_TEST_PORT_15012_TCP_PROTO=tcp", (char *)"HANDFAST_TEST_PORT_15012_TCP_PORT=15012",
		(char *)"HANDFAST_TEST_PORT_15012_TCP_ADDR=10.0.0.1",
		(char *)"HANDFAST_TEST_PORT_53_UDP=udp://10.0.0.1:53",
		(char *)"HANDFAST_TEST_METRICS_SERVICE_HOST=10.0.0.2",
		(char *)"HANDFAST_TEST_METRICS_PORT=tcp://10.0.0.2:80",
		(char *)"HANDFAST_TEST_METRICS_PORT_80_TCP_ADDR=10.0.0.2", (char *)"HANDFAST_TEST_LISTEN_PORT=81",
		(char *)"HANDFAST_TEST_LISTENS_PORT=82", NULL};
	settings_read_environment(settings, environment);
	struct setting_node *root = settings_root(settings), *listen = setting_map(settings, root, "listen");
	assert_int_equal(setting_number(settings, listen, "port"), 81);
	assert_int_equal(settings_finish(settings), 0);
	assert_int_equal(num_lines(settings_warnings(settings)), 1); /* a misspelled key is none of them */
	assert_non_null(strstr(settings_warnings(settings), "HANDFAST_TEST_LISTENS_PORT: "));
}

/* Of Services named handfast-test-listen and handfast-listen: the name is that of a setting, the value is none. */
static void finding_o4_a_service_link_with_the_name_of_a_setting_is_ignored(void **state)
{
	(void)state;
	_cleanup_(settings_freep) struct settings *settings = settings_new(&table);
	char *environment[] = {(char *)"HANDFAST_TEST_LISTEN_PORT=tcp://10.0.0.1:80",
		(char *)"HANDFAST_LISTEN_PORT=tcp://10.0.0.2:80", NULL};
	settings_read_former_environment(settings, "HANDFAST", environment);
	settings_read_environment(settings, environment);
	struct setting_node *listen = setting_map(settings, settings_root(settings), "listen");
	assert_int_equal(setting_number(settings, listen, "port"), 7);
	assert_int_equal(settings_finish(settings), 0);
	assert_int_equal(num_lines(settings_warnings(settings)), 0);
}

static void finding_o4_a_former_name_still_counts_and_is_warned_of(void **state)
{
	(void)state;
	_cleanup_(settings_freep) struct settings *settings = settings_new(&table);
	char *environment[] = {(char *)"HANDFAST_NAME=old", (char *)"HANDFAST_WORKERS=2", (char *)"HANDFAST_OTHER=1",
		(char *)"HANDFAST_TEST_NAME=new", NULL};
	settings_read_former_environment(settings, "HANDFAST", environment);
	settings_read_environment(settings, environment);
	struct setting_node *root = settings_root(settings);
	assert_string_equal(setting_text(settings, root, "name"), "new");
	assert_int_equal(setting_number(settings, root, "workers"), 2);
	assert_int_equal(settings_finish(settings), 0);
	assert_non_null(strstr(settings_warnings(settings), "HANDFAST_WORKERS: "));
	assert_non_null(strstr(settings_warnings(settings), "HANDFAST_TEST_WORKERS"));
	assert_null(strstr(settings_warnings(settings), "HANDFAST_OTHER"));
}

static void finding_i2_an_empty_variable_counts_as_not_set(void **state)
{
	(void)state;
	_cleanup_(settings_freep) struct settings *settings = read_text("workers: 3\n");
	char *environment[] = {(char *)"HANDFAST_TEST_WORKERS=", (char *)"HANDFAST_TEST_NAME=",
		(char *)"HANDFAST_TEST_", (char *)"=", (char *)"", NULL};
	settings_read_environment(settings, environment);
	struct setting_node *root = settings_root(settings);
	assert_int_equal(setting_number(settings, root, "workers"), 3);
	assert_string_equal(setting_text(settings, root, "title"), "untitled");
	assert_int_equal(settings_finish(settings), 0);
	assert_string_equal(settings_warnings(settings), "");
}

static void what_is_automatic_reads_as_zero_and_may_be_written(void **state)
{
	(void)state;
	_cleanup_(settings_freep) struct settings *none = read_text("{}"), *written = read_text("threads: automatic\n"),
						  *wrong = read_text("workers: automatic\nthreads: 0\n");
	assert_int_equal(setting_number(none, settings_root(none), "threads"), 0);
	assert_int_equal(setting_number(written, settings_root(written), "threads"), 0);
	assert_int_equal(settings_finish(written), 0);
	setting_number(wrong, settings_root(wrong), "workers");
	setting_number(wrong, settings_root(wrong), "threads");
	assert_int_equal(settings_finish(wrong), 2);
	_cleanup_(settings_record_freep) struct settings_record *record = settings_take_record(none);
	assert_string_equal(settings_record_find(record, "threads")->value, "automatic");
}

static void a_default_follows_another_setting(void **state)
{
	(void)state;
	_cleanup_(settings_freep) struct settings *settings = read_text("services: [{}, {target: 2, wait: 1h}, 5]\n");
	struct setting_node *list;
	assert_int_equal(setting_list(settings, settings_root(settings), "services", &list), 3);
	struct setting_node *first = setting_item_map(settings, list, 0), *second = setting_item_map(settings, list, 1);
	assert_int_equal(setting_number_or(settings, first, "target", 81), 81);
	assert_int_equal(setting_number_or(settings, second, "target", 81), 2);
	assert_int_equal(setting_duration_ms_at_most(settings, first, "wait", 5000), 5000);
	assert_int_equal(setting_duration_ms_at_most(settings, first, "wait", 9000), 8000);
	assert_int_equal(setting_duration_ms_at_most(settings, second, "wait", 5000), 3600000);
	assert_null(setting_item_map(settings, list, 2));
	assert_int_equal(setting_number(settings, NULL, "port"), 0);
	assert_int_equal(settings_finish(settings), 1);
}

static void a_section_that_is_none_is_one_error_and_its_keys_have_their_defaults(void **state)
{
	(void)state;
	_cleanup_(settings_freep) struct settings *settings = read_text("listen: 5\nmesh: [a]\n");
	struct setting_node *root = settings_root(settings);
	assert_int_equal(setting_number(settings, setting_map(settings, root, "listen"), "port"), 7);
	assert_int_equal(setting_keyword(settings, setting_map(settings, root, "mesh"), "mode"), 0);
	assert_int_equal(settings_finish(settings), 2);
}

static void numbers_of_a_list_have_its_range(void **state)
{
	(void)state;
	_cleanup_(settings_freep) struct settings *settings = read_text("listen: {ports: [80, 0, x]}\n");
	struct setting_node *list, *listen = setting_map(settings, settings_root(settings), "listen");
	assert_int_equal(setting_list(settings, listen, "ports", &list), 3);
	assert_int_equal(setting_item_number(settings, list, 0), 80);
	assert_int_equal(setting_item_number(settings, list, 1), 0);
	assert_int_equal(setting_item_number(settings, list, 2), 0);
	assert_int_equal(settings_finish(settings), 2);
	assert_non_null(strstr(settings_errors(settings), "the value is '0'; expected: a port, 1 to 65535"));
}

static void a_list_with_line_ends_has_items_with_spaces_and_commas(void **state)
{
	(void)state;
	_cleanup_(settings_freep) struct settings *settings = settings_new(&table);
	char *environment[] = {(char *)"HANDFAST_TEST_A=app/liveness http 80 /a,b\napp/readiness tcp 81\n", NULL};
	settings_read_environment(settings, environment);
	struct setting_node *list;
	assert_int_equal(setting_list(settings, settings_root(settings), "a", &list), 2);
	assert_string_equal(setting_item_text(settings, list, 0), "app/liveness http 80 /a,b");
	assert_string_equal(setting_item_text(settings, list, 1), "app/readiness tcp 81");
	assert_int_equal(settings_finish(settings), 0);
}

static void hostile_files_end_in_one_clear_error(void **state)
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
		setting_text(settings, settings_root(settings), "b");
		assert_true(settings_finish(settings) >= 1);
		assert_non_null(strstr(settings_errors(settings), "expected: "));
	}
}

static void finding_i2_an_empty_settings_file_is_refused(void **state)
{
	(void)state;
	const char *const files[] = {"", "\n\n", "# nothing but this\n", "---\n", "--- # nothing\n...\n",
		"\xef\xbb\xbf", "''\n", "\xef\xbb\xbf# nothing\n", "~\n", "null\n", "5\n", "- a\n", "[]\n"};
	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
		_cleanup_(settings_freep) struct settings *settings = read_text(files[i]);
		assert_int_equal(settings_finish(settings), 1);
		assert_non_null(strstr(settings_errors(settings), "test.yaml:1: "));
		assert_non_null(strstr(settings_errors(settings), "expected: keys and values"));
	}
	_cleanup_(settings_freep) struct settings *settings = settings_new(&table);
	settings_read_text(settings, "test.yaml", (struct span){0}); /* where an empty file lies */
	assert_int_equal(settings_finish(settings), 1);
}

static void a_byte_order_mark_and_an_empty_map_are_fine(void **state)
{
	(void)state;
	_cleanup_(settings_freep) struct settings *settings = read_text("\xef\xbb\xbfname: a\n");
	_cleanup_(settings_freep) struct settings *none = read_text("{}\n");
	assert_string_equal(setting_text(settings, settings_root(settings), "name"), "a");
	assert_int_equal(settings_finish(settings), 0);
	assert_int_equal(settings_finish(none), 0);
}

static void finding_i2_what_is_no_file_is_named(void **state)
{
	(void)state;
	_cleanup_(settings_freep) struct settings *settings = settings_new(&table);
	settings_read_file(settings, "/");
	settings_read_file(settings, "/dev/null");
	assert_int_equal(settings_finish(settings), 2);
	assert_non_null(
		strstr(settings_errors(settings), "the settings file / is a folder; expected: a regular file; fix: "));
	assert_non_null(strstr(settings_errors(settings),
		"the settings file /dev/null is a pipe, socket or device; expected: a regular file"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(values_come_with_their_types),
		cmocka_unit_test(five_errors_are_reported_at_once_each_with_its_place),
		cmocka_unit_test(a_key_with_a_dot_is_to_be_nested),
		cmocka_unit_test(nothing_is_missing_from_a_file_that_cannot_be_read),
		cmocka_unit_test(a_key_that_is_given_twice_is_named),
		cmocka_unit_test(flags_beat_the_environment_and_that_beats_the_file),
		cmocka_unit_test(finding_o4_an_unknown_variable_of_our_prefix_is_a_warning),
		cmocka_unit_test(finding_o4_what_kubernetes_makes_of_a_services_name_is_ignored),
		cmocka_unit_test(finding_o4_a_service_link_with_the_name_of_a_setting_is_ignored),
		cmocka_unit_test(finding_o4_a_former_name_still_counts_and_is_warned_of),
		cmocka_unit_test(finding_i2_an_empty_variable_counts_as_not_set),
		cmocka_unit_test(what_is_automatic_reads_as_zero_and_may_be_written),
		cmocka_unit_test(a_default_follows_another_setting),
		cmocka_unit_test(a_section_that_is_none_is_one_error_and_its_keys_have_their_defaults),
		cmocka_unit_test(numbers_of_a_list_have_its_range),
		cmocka_unit_test(a_list_with_line_ends_has_items_with_spaces_and_commas),
		cmocka_unit_test(hostile_files_end_in_one_clear_error),
		cmocka_unit_test(finding_i2_an_empty_settings_file_is_refused),
		cmocka_unit_test(a_byte_order_mark_and_an_empty_map_are_fine),
		cmocka_unit_test(finding_i2_what_is_no_file_is_named),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
