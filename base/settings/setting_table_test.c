#include "base/settings/setting_table.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
/* cmocka requires the three above */
#include <cmocka.h>

static const struct setting_def rows[] = {
	{"services", SETTING_TYPE_SECTIONS, "", "", "", 1, "."},
	{"services[].ports[].port", SETTING_TYPE_NUMBER, "", "1 to 65535", "", 1, "."},
	{"mesh.leaf_ttl", SETTING_TYPE_DURATION, "", "1s to 1h", "1m", RESTART, "."},
};
static const struct setting_table table = {"HANDFAST_TEST", rows, 3, NULL};

static void a_key_is_found_whatever_its_indexes(void **state)
{
	(void)state;
	assert_ptr_equal(setting_table_find(&table, "services[12].ports[0].port"), &rows[1]);
	assert_ptr_equal(setting_table_find(&table, "services[].ports[].port"), &rows[1]);
	assert_ptr_equal(setting_table_find(&table, "services"), &rows[0]);
	static const char *const others[] = {"service", "services[0]", "services[0].ports",
		"services[0].ports[0].ports", "services[x].ports[0].port", "services[0.ports[0].port", "mesh.leaf-ttl",
		"", "mesh.leaf_ttl.x"};
	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
		assert_null(setting_table_find(&table, others[i]));
}

static void a_flag_has_either_spelling_and_lists_of_sections_have_none(void **state)
{
	(void)state;
	assert_ptr_equal(setting_table_find_flag(&table, SPAN_LITERAL("mesh.leaf-ttl")), &rows[2]);
	assert_ptr_equal(setting_table_find_flag(&table, SPAN_LITERAL("mesh.leaf_ttl")), &rows[2]);
	assert_null(setting_table_find_flag(&table, SPAN_LITERAL("mesh.leaf_tt")));
	assert_null(setting_table_find_flag(&table, SPAN_LITERAL("services")));
	assert_null(setting_table_find_flag(&table, SPAN_LITERAL("services[].ports[].port")));
	assert_true(setting_def_is_in_file_only(&rows[0]) && setting_def_is_in_file_only(&rows[1]));
}

static void a_variable_is_the_key_in_capitals(void **state)
{
	(void)state;
	static const struct setting_renamed renamed[] = {{"mesh.old_ttl", "mesh.leaf_ttl"}, {NULL, NULL}};
	assert_ptr_equal(setting_table_find_variable(&table, "MESH_LEAF_TTL"), &rows[2]);
	assert_null(setting_table_find_variable(&table, "mesh_leaf_ttl"));
	assert_null(setting_table_find_variable(&table, "SERVICES"));
	assert_ptr_equal(setting_renamed_find_variable(renamed, "MESH_OLD_TTL"), &renamed[0]);
	assert_null(setting_renamed_find_variable(renamed, "MESH_OLD_TT"));
}

static void types_have_names(void **state)
{
	(void)state;
	assert_string_equal(setting_type_text(SETTING_TYPE_SECTIONS), "list of sections");
	assert_string_equal(setting_type_text(SETTING_TYPE_BOOL), "boolean");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_key_is_found_whatever_its_indexes),
		cmocka_unit_test(a_flag_has_either_spelling_and_lists_of_sections_have_none),
		cmocka_unit_test(a_variable_is_the_key_in_capitals),
		cmocka_unit_test(types_have_names),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
