#include "cli/cluster/json_patch.h"
#include "cli/cluster/test_objects.h"

#define DOCUMENT "{'a': {'b/c': 1, 'd~e': 2}, 'l': [1, 2, 3]}"

static enum err applied(const char *operation, json_t **out)
{
	json_t *patch = test_object(operation);
	*out = test_object(DOCUMENT);
	enum err err = json_patch_apply(*out, patch);
	json_decref(patch);
	return err;
}

static void becomes(const char *operations, const char *expected)
{
	json_t *document, *wanted = test_object(expected);
	assert_int_equal(applied(operations, &document), ERR_NONE);
	assert_true(json_equal(document, wanted));
	json_decref(document);
	json_decref(wanted);
}

static void each_operation_does_what_rfc_6902_has(_unused_ void **state)
{
	becomes("[]", DOCUMENT);
	becomes("[{'op': 'add', 'path': '/l/1', 'value': 9}]", "{'a': {'b/c': 1, 'd~e': 2}, 'l': [1, 9, 2, 3]}");
	becomes("[{'op': 'add', 'path': '/l/-', 'value': 9}]", "{'a': {'b/c': 1, 'd~e': 2}, 'l': [1, 2, 3, 9]}");
	becomes("[{'op': 'replace', 'path': '/a/b~1c', 'value': []}]", "{'a': {'b/c': [], 'd~e': 2}, 'l': [1, 2, 3]}");
	becomes("[{'op': 'replace', 'path': '/l/0', 'value': 9}]", "{'a': {'b/c': 1, 'd~e': 2}, 'l': [9, 2, 3]}");
	becomes("[{'op': 'remove', 'path': '/a/d~0e'}, {'op': 'remove', 'path': '/l/2'}]",
		"{'a': {'b/c': 1}, 'l': [1, 2]}");
	becomes("[{'op': 'move', 'from': '/l/2', 'path': '/l/0'}]", "{'a': {'b/c': 1, 'd~e': 2}, 'l': [3, 1, 2]}");
	becomes("[{'op': 'add', 'path': '/n', 'value': {}}, {'op': 'add', 'path': '/n/x', 'value': null}]",
		"{'a': {'b/c': 1, 'd~e': 2}, 'l': [1, 2, 3], 'n': {'x': null}}");
}

static void what_does_not_fit_is_refused(_unused_ void **state)
{
	static const char *const rows[] = {
		"[{'op': 'replace', 'path': '/x', 'value': 1}]",
		"[{'op': 'remove', 'path': '/l/3'}]",
		"[{'op': 'add', 'path': '/l/4', 'value': 1}]",
		"[{'op': 'add', 'path': '/l/x', 'value': 1}]",
		"[{'op': 'add', 'path': '/x/y', 'value': 1}]",
		"[{'op': 'add', 'path': '/a/b~1c/x', 'value': 1}]",
		"[{'op': 'add', 'path': '/l/1'}]",
		"[{'op': 'add', 'path': 'l', 'value': 1}]",
		"[{'op': 'add', 'path': '', 'value': 1}]",
		"[{'op': 'move', 'from': '/l/7', 'path': '/l/0'}]",
		"[{'op': 'move', 'from': '/l/0', 'path': '/x/0'}]",
		"[{'op': 'move', 'path': '/l/0'}]",
		"[{'op': 'copy', 'from': '/l/0', 'path': '/l/0'}]",
		"[{'path': '/l/0'}]",
		"[1]",
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		json_t *document;
		if (applied(rows[i], &document) != ERR_MALFORMED)
			assert_string_equal(rows[i], "");
		json_decref(document);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_operation_does_what_rfc_6902_has),
		cmocka_unit_test(what_does_not_fit_is_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
