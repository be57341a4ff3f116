#include "base/settings/settings.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
/* cmocka requires the three above */
#include <cmocka.h>

static const struct setting_renamed renamed[] = {
	{"old.first", "new.first"}, {"limits.old_one", "limits.new_one"}, {NULL, NULL}};
static const struct setting_def rows[] = {
	{"new.first", SETTING_TYPE_TEXT, "", "", "", RESTART, ""},
	{"limits.new_one", SETTING_TYPE_TEXT, "", "", "", RESTART, ""},
};
static const struct setting_table table = {"HANDFAST_TEST", rows, 2, renamed};

static void a_former_name_in_the_file_is_refused_with_the_new_one(void **state)
{
	(void)state;
	_cleanup_(settings_freep) struct settings *settings = settings_new(&table);
	settings_read_text(settings, "a.yaml", SPAN_LITERAL("old:\n  first: 5s\nlimits: {old_one: 3}\n"));
	setting_map(settings, settings_root(settings), "limits");
	assert_int_equal(settings_finish(settings), 2);
	assert_string_equal(settings_errors(settings),
		"a.yaml:2: 'old.first' is its name in 0.1.0; expected: the name new.first; fix: write the new name\n"
		"a.yaml:3: 'limits.old_one' is its name in 0.1.0; expected: the name limits.new_one; "
		"fix: write the new name\n");
}

static void what_else_stands_in_a_former_section_is_an_unknown_key(void **state)
{
	(void)state;
	_cleanup_(settings_freep) struct settings *settings = settings_new(&table);
	settings_read_text(settings, "a.yaml", SPAN_LITERAL("old: {second: 5s}\nolder: 1\n"));
	assert_int_equal(settings_finish(settings), 2);
	assert_non_null(strstr(settings_errors(settings), "(old.second): second is not a setting"));
	assert_non_null(strstr(settings_errors(settings), "(older): older is not a setting"));
}

static void a_former_name_in_the_environment_is_refused_with_the_new_one(void **state)
{
	(void)state;
	_cleanup_(settings_freep) struct settings *settings = settings_new(&table);
	char *environment[] = {(char *)"HANDFAST_TEST_OLD_FIRST=1s", (char *)"HANDFAST_LIMITS_OLD_ONE=1",
		(char *)"HANDFAST_TEST_LIMITS_OLD_ONE=", NULL};
	settings_read_former_environment(settings, "HANDFAST", environment);
	settings_read_environment(settings, environment);
	assert_int_equal(settings_finish(settings), 2); /* an empty one is not set */
	assert_non_null(strstr(settings_errors(settings),
		"HANDFAST_TEST_OLD_FIRST: 'old.first' is its name in 0.1.0; expected: the name new.first"));
	assert_non_null(strstr(settings_errors(settings), "expected: the name limits.new_one"));
}

static void former_names_are_found_in_the_spelling_of_flags(void **state)
{
	(void)state;
	assert_string_equal(setting_renamed_find(renamed, "limits.old-one", 14)->new_key, "limits.new_one");
	assert_null(setting_renamed_find(renamed, "limits.old-one", 13));
	assert_null(setting_renamed_find(renamed, "limits.old_ones", 15));
	assert_null(setting_renamed_find(NULL, "limits.old_one", 14));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_former_name_in_the_file_is_refused_with_the_new_one),
		cmocka_unit_test(what_else_stands_in_a_former_section_is_an_unknown_key),
		cmocka_unit_test(a_former_name_in_the_environment_is_refused_with_the_new_one),
		cmocka_unit_test(former_names_are_found_in_the_spelling_of_flags),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
