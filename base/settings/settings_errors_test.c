/* What is wrong in a file is one error each, and none is lost. */
#include "base/core/mem.h"
#include "base/settings/settings.h"
#include "base/settings/settings_record.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

static const struct setting_def rows[] = {
	{"networks", SETTING_TYPE_NETWORKS, "", "", "required", RESTART, ""},
	{"name", SETTING_TYPE_TEXT, "", "", "x", RESTART, ""},
	{"wait", SETTING_TYPE_DURATION, SETTING_WHOLE_SECONDS, "1s to 1h", "5s", RESTART, ""},
	{"workers", SETTING_TYPE_NUMBER, "", "1 to 64", "automatic", RESTART, ""},
	{"folder", SETTING_TYPE_TEXT, "", "", "/f", RESTART, ""},
};
static const struct setting_table table = {"HANDFAST_TEST", rows, sizeof(rows) / sizeof(rows[0]), NULL};

static unsigned num_errors_of(const char *yaml, struct buf *out)
{
	_cleanup_(settings_freep) struct settings *settings = settings_new(&table);
	settings_read_text(settings, "t", span_of_str(yaml));
	struct setting_node *root = settings_root(settings);
	size_t num;
	mem_free(setting_networks(settings, root, "networks", &num));
	setting_text(settings, root, "name");
	setting_duration_ms(settings, root, "wait");
	setting_number(settings, root, "workers");
	setting_path(settings, root, "folder", 8);
	unsigned errors = settings_finish(settings);
	settings_errors_put(settings, out);
	return errors;
}

static void assert_one_error(const char *yaml, const char *text)
{
	_cleanup_(buf_done) struct buf out = BUF_INIT(4096);
	assert_int_equal(num_errors_of(yaml, &out), 1);
	if (strstr(buf_cstr(&out), text) == NULL)
		fail_msg("'%s' is not in '%s'", text, buf_cstr(&out));
}

static void what_is_wrong_is_one_error_with_the_range(void **state)
{
	(void)state;
	assert_one_error("networks: [192.0.2.0/24]\nname: [a, b]\n", "(name): it is a list");
	assert_one_error("networks: [192.0.2.0/24]\nname: {a: b}\n", "(name): it is a map");
	assert_one_error("networks: {a: b}\n", "(networks): it is a map");
	assert_one_error("networks: [x]\n", "(networks[0]): the value is 'x'");
	assert_one_error("networks: []\n", "'networks' is missing");
	assert_one_error("name: y\n", "'networks' is missing");
	assert_one_error("networks: [192.0.2.0/24]\nworkers: -1\n", "a number, 1 to 64, or automatic");
	assert_one_error("networks: [192.0.2.0/24]\nworkers: 65\n", "a number, 1 to 64, or automatic");
	assert_one_error("networks: [192.0.2.0/24]\nworkers: 18446744073709551616\n", "a number, 1 to 64");
}

static void a_fraction_of_a_second_is_refused_where_seconds_count(void **state)
{
	(void)state;
	assert_one_error("networks: [192.0.2.0/24]\nwait: 1500ms\n", "1s to 1h, in whole seconds");
	_cleanup_(buf_done) struct buf out = BUF_INIT(4096);
	assert_int_equal(num_errors_of("networks: [192.0.2.0/24]\nwait: 2000ms\n", &out), 0);
}

static void a_path_is_neither_empty_nor_too_long(void **state)
{
	(void)state;
	assert_one_error("networks: [192.0.2.0/24]\nfolder:\n", "a path of 1 to 8 bytes");
	assert_one_error("networks: [192.0.2.0/24]\nfolder: /23456789\n", "the path has 9 bytes");
	_cleanup_(buf_done) struct buf out = BUF_INIT(4096);
	assert_int_equal(num_errors_of("networks: [192.0.2.0/24]\nfolder: /2345678\n", &out), 0);
}

static void a_misspelled_key_names_the_nearest(void **state)
{
	(void)state;
	assert_one_error("network: [192.0.2.0/24]\nnetworks: [192.0.2.0/24]\n", "a known key, such as networks");
	assert_one_error("networks: [192.0.2.0/24]\nfoldr: /2345678\n", "write folder, or remove it");
	assert_one_error("networks: [192.0.2.0/24]\nnothing: /2345678\n", "or check the spelling in --keys");
}

/* A file with thousands of errors: none was reported, and `handfast-sidecar --check` took it for right. */
static void errors_that_do_not_fit_are_counted(void **state)
{
	(void)state;
	_cleanup_(buf_done) struct buf yaml = BUF_INIT(SETTINGS_FILE_MAX), out = BUF_INIT(2000);
	assert_int_equal(buf_append_str(&yaml, "networks: [192.0.2.0/24]\n"), ERR_NONE);
	for (unsigned i = 0; i < 9000; i++)
		assert_int_equal(buf_printf(&yaml, "x%u: 1\n", i), ERR_NONE);
	assert_int_equal(num_errors_of(buf_cstr(&yaml), &out), 9000);
	uint64_t lines = 0, more = 0;
	const char *text = buf_cstr(&out);
	for (const char *at = text; *at != '\0'; at++)
		lines += *at == '\n';
	const char *rest = strstr(text, "settings: ");
	assert_non_null(rest);
	assert_non_null(strstr(rest, " more errors are not shown"));
	rest += strlen("settings: ");
	more = strtoull(rest, NULL, 10);
	assert_int_equal(lines - 1 + more, 9000);
	assert_non_null(strstr(text, "x0 is not a setting"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_wrong_is_one_error_with_the_range),
		cmocka_unit_test(a_fraction_of_a_second_is_refused_where_seconds_count),
		cmocka_unit_test(a_path_is_neither_empty_nor_too_long),
		cmocka_unit_test(a_misspelled_key_names_the_nearest),
		cmocka_unit_test(errors_that_do_not_fit_are_counted),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
