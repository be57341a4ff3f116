#include "base/core/mem.h"
#include "base/kube/test_kubeconfig.h"
#include <setjmp.h>
#include <stdarg.h>
/* cmocka requires <setjmp.h> and <stdarg.h> */
#include <cmocka.h>

static void the_text_of_a_member_is_found(_unused_ void **state)
{
	_cleanup_(test_kubeconfig_done) struct kubeconfig file;
	const yaml_node_t *root = test_kubeconfig_parse("one: a\ntwo: {three: 'b c', four: 5}\n", &file);
	const yaml_node_t *two = kubeconfig_child(&file, root, "two");
	assert_string_equal(kubeconfig_text(&file, root, "one"), "a");
	assert_string_equal(kubeconfig_text(&file, two, "three"), "b c");
	assert_string_equal(kubeconfig_text(&file, two, "four"), "5"); /* numbers are texts */
	assert_string_equal(kubeconfig_text(&file, kubeconfig_child(&file, two, "four"), NULL), "5");
}

static void what_is_not_there_is_null(_unused_ void **state)
{
	_cleanup_(test_kubeconfig_done) struct kubeconfig file;
	const yaml_node_t *root = test_kubeconfig_parse("empty: ''\nnothing:\nmap: {a: b}\nlist: [a]\n[k]: v\n", &file);
	assert_null(kubeconfig_child(&file, root, "absent"));
	assert_null(kubeconfig_child(&file, root, "k"));
	assert_null(kubeconfig_child(&file, NULL, "map"));
	assert_null(kubeconfig_child(&file, kubeconfig_child(&file, root, "list"), "a"));
	assert_null(kubeconfig_child(&file, kubeconfig_child(&file, root, "empty"), "a"));
	assert_null(kubeconfig_text(&file, NULL, "map"));
	assert_null(kubeconfig_text(&file, NULL, NULL));
	for (const char *const *key = (const char *const[]){"absent", "empty", "nothing", "map", "list", NULL};
		*key != NULL; key++)
		assert_null(kubeconfig_text(&file, root, *key));
}

/* C would see its beginning alone. */
static void a_text_with_a_zero_byte_is_none(_unused_ void **state)
{
	_cleanup_(test_kubeconfig_done) struct kubeconfig file;
	const yaml_node_t *root = test_kubeconfig_parse("server: \"https://a\\0b\"\n\"na\\0me\": c\n", &file);
	assert_non_null(kubeconfig_child(&file, root, "server"));
	assert_null(kubeconfig_text(&file, root, "server"));
	assert_null(kubeconfig_child(&file, root, "na"));
}

static void the_first_of_two_members_counts_and_an_alias_is_followed(_unused_ void **state)
{
	_cleanup_(test_kubeconfig_done) struct kubeconfig file;
	const yaml_node_t *root = test_kubeconfig_parse("a: &x one\na: two\nb: *x\n", &file);
	assert_string_equal(kubeconfig_text(&file, root, "a"), "one");
	assert_string_equal(kubeconfig_text(&file, root, "b"), "one");
}

static void a_path_is_relative_to_the_folder_of_the_file(_unused_ void **state)
{
	static const struct {
		const char *file, *path, *full;
	} rows[] = {
		{"/etc/kube/config", "ca.crt", "/etc/kube/ca.crt"},
		{"/etc/kube/config", "../ca.crt", "/etc/kube/../ca.crt"},
		{"/etc/kube/config", "/run/ca.crt", "/run/ca.crt"},
		{"/config", "ca.crt", "/ca.crt"},
		{"kube/config", "ca.crt", "kube/ca.crt"},
		{"config", "ca.crt", "ca.crt"},
	};
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		const struct kubeconfig file = {.path = rows[i].file};
		_cleanup_(mem_freep) char *full = kubeconfig_path(&file, rows[i].path);
		assert_string_equal(full, rows[i].full);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_text_of_a_member_is_found),
		cmocka_unit_test(what_is_not_there_is_null),
		cmocka_unit_test(a_text_with_a_zero_byte_is_none),
		cmocka_unit_test(the_first_of_two_members_counts_and_an_alias_is_followed),
		cmocka_unit_test(a_path_is_relative_to_the_folder_of_the_file),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
