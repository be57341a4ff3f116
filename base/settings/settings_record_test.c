#include "base/core/mem.h"
#include "base/settings/settings.h"
#include "base/settings/settings_record.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

static const struct setting_def rows[] = {
	{"name", SETTING_TYPE_TEXT, "", "", "", RESTART, ""},
	{"mode", SETTING_TYPE_KEYWORD, "", "off, strict", "strict", RESTART, ""},
	{"claim", SETTING_TYPE_BOOL, "", "false, true", "true", RESTART, ""},
	{"timeouts.resolve", SETTING_TYPE_DURATION, "", "0s to 100s", "5s", RESTART, ""},
	{"timeouts.idle", SETTING_TYPE_DURATION, "", "0s to 100s", "0s", RESTART, ""},
	{"limits.budget", SETTING_TYPE_SIZE, "", "1MiB to 1GiB", "64MiB", RESTART, ""},
	{"mesh.networks", SETTING_TYPE_NETWORKS, "", "", "", RESTART, ""},
	{"services", SETTING_TYPE_SECTIONS, "", "", "", RESTART, ""},
	{"services[].port", SETTING_TYPE_NUMBER, "", "1 to 65535", "80", RESTART, ""},
};
static const struct setting_table table = {"HANDFAST_TEST", rows, sizeof(rows) / sizeof(rows[0]), NULL};

/* What a program with these settings would ask for. */
static struct settings_record *record_of(const char *yaml, char *const *environment)
{
	_cleanup_(settings_freep) struct settings *settings = settings_new(&table);
	struct setting_node *list;
	size_t num;
	settings_read_text(settings, "test.yaml", span_of_str(yaml));
	settings_read_environment(settings, environment);
	struct setting_node *root = settings_root(settings), *timeouts = setting_map(settings, root, "timeouts");
	setting_text(settings, root, "name");
	setting_duration_ms(settings, timeouts, "resolve");
	setting_duration_ms(settings, timeouts, "idle");
	setting_bytes(settings, setting_map(settings, root, "limits"), "budget");
	setting_keyword(settings, root, "mode");
	setting_bool(settings, root, "claim");
	mem_free(setting_networks(settings, setting_map(settings, root, "mesh"), "networks", &num));
	size_t num_services = setting_list(settings, root, "services", &list);
	for (size_t i = 0; i < num_services; i++)
		setting_number(settings, setting_item_map(settings, list, i), "port");
	assert_string_equal(settings_errors(settings), "");
	assert_int_equal(settings_finish(settings), 0);
	return settings_take_record(settings);
}

static void assert_row(const struct settings_record *record, const char *key, const char *value, enum setting_from from,
	const char *origin)
{
	const struct setting_row *row = settings_record_find(record, key);
	assert_non_null(row);
	if (value == NULL)
		assert_null(row->value);
	else
		assert_string_equal(row->value, value);
	assert_int_equal(row->from, from);
	assert_string_equal(row->origin, origin);
}

static void finding_o3_each_value_is_there_with_its_origin(void **state)
{
	(void)state;
	char *environment[] = {(char *)"HANDFAST_TEST_TIMEOUTS_RESOLVE=2000ms", NULL};
	_cleanup_(settings_record_freep) struct settings_record *record =
		record_of("name: a\nmode: 'off'\nmesh:\n  networks: [192.0.2.0/24, '2001:db8::/32']\nservices:\n- "
			  "{}\n- {port: 81}\n",
			environment);
	assert_row(record, "name", "a", SETTING_FROM_FILE, "test.yaml:1");
	assert_row(record, "timeouts.resolve", "2s", SETTING_FROM_ENVIRONMENT, "HANDFAST_TEST_TIMEOUTS_RESOLVE");
	assert_row(record, "timeouts.idle", "0s", SETTING_FROM_DEFAULT, "default");
	assert_row(record, "limits.budget", "64MiB", SETTING_FROM_DEFAULT, "default");
	assert_row(record, "mode", "off", SETTING_FROM_FILE, "test.yaml:2");
	assert_row(record, "claim", "true", SETTING_FROM_DEFAULT, "default");
	assert_row(record, "mesh.networks", "192.0.2.0/24, 2001:db8::/32", SETTING_FROM_FILE, "test.yaml:4");
	assert_row(record, "services[0].port", "80", SETTING_FROM_DEFAULT, "default");
	assert_row(record, "services[1].port", "81", SETTING_FROM_FILE, "test.yaml:7");
	assert_null(settings_record_find(record, "services"));
	_cleanup_(settings_record_freep) struct settings_record *bare = record_of("{}", environment + 1);
	assert_row(bare, "name", NULL, SETTING_FROM_DEFAULT, "default");
	assert_row(bare, "services", NULL, SETTING_FROM_DEFAULT, "default");
	assert_string_equal(setting_from_text(SETTING_FROM_FLAG), "flag");
}

static void note_change(void *arg, const struct setting_row *old, const struct setting_row *fresh)
{
	char *text = arg;
	size_t len = strlen(text);
	const struct setting_row *row = old != NULL ? old : fresh;
	if (row == NULL)
		return;
	const char *from = old == NULL ? "-" : old->value, *to = fresh == NULL ? "-" : fresh->value;
	snprintf(text + len, 512 - len, "%s %s>%s; ", row->key, from == NULL ? "none" : from, to == NULL ? "none" : to);
}

static void finding_o3_a_comparison_names_what_differs_and_nothing_else(void **state)
{
	(void)state;
	char *environment[] = {NULL};
	char text[512] = "";
	_cleanup_(settings_record_freep) struct settings_record *old =
		record_of("timeouts: {resolve: 5000ms}\nservices: [{port: 1}, {port: 2}]\nname: a\n", environment);
	_cleanup_(settings_record_freep) struct settings_record *fresh = record_of(
		"# moved\ntimeouts: {resolve: 5s, idle: 1s}\nservices: [{port: 3}]\nmode: 'off'\n", environment);
	settings_record_compare(old, fresh, note_change, text);
	assert_string_equal(text, "name a>none; timeouts.idle 0s>1s; mode strict>off; services[0].port 1>3; "
				  "services[1].port 2>-; ");
	text[0] = '\0';
	settings_record_compare(fresh, old, note_change, text);
	assert_non_null(strstr(text, "services[1].port ->2; "));
	text[0] = '\0';
	settings_record_compare(old, old, note_change, text);
	assert_string_equal(text, "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(finding_o3_each_value_is_there_with_its_origin),
		cmocka_unit_test(finding_o3_a_comparison_names_what_differs_and_nothing_else),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
