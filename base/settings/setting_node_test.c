#include "base/core/mem.h"
#include "base/settings/setting_node.h"
#include <setjmp.h>
#include <stdarg.h>
/* cmocka requires <setjmp.h> and <stdarg.h> */
#include <cmocka.h>

static void free_root(struct setting_node **root)
{
	setting_node_clear(*root);
	mem_free((*root)->key);
	mem_free((*root)->origin);
	mem_free(*root);
}

/* port: 1, services: [{name: a}, {name: b}] */
static struct setting_node *make_tree(void)
{
	struct setting_node *root = setting_node_add(NULL, SETTING_MAP, NULL, "x.yaml:1");
	setting_node_add(root, SETTING_SCALAR, "port", "x.yaml:1")->text = mem_strdup("1");
	struct setting_node *list = setting_node_add(root, SETTING_LIST, "services", "x.yaml:2");
	for (int i = 0; i < 2; i++) {
		struct setting_node *service = setting_node_add(list, SETTING_MAP, NULL, "x.yaml:3");
		setting_node_add(service, SETTING_SCALAR, "name", "x.yaml:3")->text = mem_strdup(i == 0 ? "a" : "b");
	}
	return root;
}

static void what_is_added_is_found_by_its_key_and_stays_in_order(_unused_ void **state)
{
	_cleanup_(free_root) struct setting_node *root = make_tree();
	const struct setting_node *list = setting_node_find(root, "services");
	assert_int_equal(root->num, 2);
	assert_string_equal(root->first->key, "port");
	assert_ptr_equal(root->last, list);
	assert_int_equal(list->num, 2);
	assert_string_equal(setting_node_find(list->first, "name")->text, "a");
	assert_string_equal(setting_node_find(list->last, "name")->text, "b");
	assert_ptr_equal(list->first->parent, list);
	assert_string_equal(list->origin, "x.yaml:2");
}

static void what_is_not_there_is_null(_unused_ void **state)
{
	_cleanup_(free_root) struct setting_node *root = make_tree();
	const struct setting_node *list = setting_node_find(root, "services");
	assert_null(setting_node_find(root, "por"));
	assert_null(setting_node_find(root, ""));
	assert_null(setting_node_find(root, "name"));
	assert_null(setting_node_find(list, "name")); /* entries of a list have no keys */
	assert_null(setting_node_find(root->first, "port"));
}

static void a_path_has_keys_and_indexes_and_is_cut(_unused_ void **state)
{
	_cleanup_(free_root) struct setting_node *root = make_tree();
	const struct setting_node *name = setting_node_find(setting_node_find(root, "services")->last, "name");
	char path[64], small[12];
	assert_string_equal(setting_node_path(name, path, sizeof path), "services[1].name");
	assert_string_equal(setting_node_path(name->parent, path, sizeof path), "services[1]");
	assert_string_equal(setting_node_path(root->first, path, sizeof path), "port");
	assert_string_equal(setting_node_path(root, path, sizeof path), "");
	assert_string_equal(setting_node_path(NULL, path, sizeof path), "");
	assert_string_equal(setting_node_path(name, small, sizeof small), "services[1]");
}

/* As an overlay does it: what is below is released, the node itself and its place stay. */
static void one_that_is_cleared_can_be_filled_anew(_unused_ void **state)
{
	_cleanup_(free_root) struct setting_node *root = make_tree();
	struct setting_node *list = setting_node_find(root, "services");
	setting_node_clear(list);
	setting_node_clear(root->first);
	assert_int_equal(list->num, 0);
	assert_null(list->first);
	assert_null(list->last);
	assert_null(root->first->text);
	assert_ptr_equal(setting_node_find(root, "services"), list);
	setting_node_add(list, SETTING_SCALAR, NULL, "--services");
	assert_int_equal(list->num, 1);
	assert_ptr_equal(list->first, list->last);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_added_is_found_by_its_key_and_stays_in_order),
		cmocka_unit_test(what_is_not_there_is_null),
		cmocka_unit_test(a_path_has_keys_and_indexes_and_is_cut),
		cmocka_unit_test(one_that_is_cleared_can_be_filled_anew),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
