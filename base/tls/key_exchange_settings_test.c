#include "base/tls/key_exchange_settings.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static const struct setting_def rows[] = {
	{"tls.profile", SETTING_TYPE_KEYWORD, "", "default, fips-groups, pq-only", "default", RESTART, ""},
	{"tls.groups", SETTING_TYPE_TEXTS, "", "", "", RESTART, ""},
};
static const struct setting_table table = {"HANDFAST_TEST", rows, sizeof(rows) / sizeof(rows[0]), NULL};

static struct settings *settings_of(const char *yaml)
{
	struct settings *settings = settings_new(&table);
	settings_read_text(settings, "test.yaml", span_of_str(yaml));
	return settings;
}

static void groups_replace_those_of_the_profile(void **state)
{
	(void)state;
	static const struct {
		const char *yaml;
		unsigned num;
		enum key_exchange first;
	} cases[] = {
		{"tls: {profile: default}\n", 4, KEY_EXCHANGE_X25519MLKEM768},
		{"tls: {profile: pq-only}\n", 1, KEY_EXCHANGE_X25519MLKEM768},
		{"tls: {profile: pq-only, groups: [P-384, X25519]}\n", 2, KEY_EXCHANGE_P384},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		_cleanup_(settings_freep) struct settings *settings = settings_of(cases[i].yaml);
		struct key_exchange_list list = key_exchange_list_read(settings);
		assert_int_equal(settings_finish(settings), 0);
		assert_int_equal(list.num, cases[i].num);
		assert_int_equal(list.items[0], cases[i].first);
	}
}

static void each_wrong_group_is_an_error(void **state)
{
	(void)state;
	_cleanup_(settings_freep) struct settings *settings = settings_of("tls: {groups: [P-521, X25519, X25519]}\n");
	struct key_exchange_list list = key_exchange_list_read(settings);
	assert_int_equal(settings_finish(settings), 2);
	assert_int_equal(list.num, 1);
	assert_non_null(strstr(settings_errors(settings), "the group is 'P-521'"));
	assert_non_null(strstr(settings_errors(settings), "X25519 is given twice"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(groups_replace_those_of_the_profile),
		cmocka_unit_test(each_wrong_group_is_an_error),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
