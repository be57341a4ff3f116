#include "cli/cluster/selector.h"
#include "cli/cluster/test_objects.h"

static bool matches(const char *selector, const char *labels)
{
	json_t *parsed = test_object(selector), *of = test_object(labels);
	bool is = selector_matches(parsed, of);
	json_decref(parsed);
	json_decref(of);
	return is;
}

static void an_absent_or_empty_selector_selects_everything(_unused_ void **state)
{
	assert_true(selector_matches(NULL, NULL));
	assert_true(matches("{}", "{}"));
	assert_true(matches("{'matchLabels': {}, 'matchExpressions': []}", "{'a': 'b'}"));
}

static void labels_must_all_match(_unused_ void **state)
{
	assert_true(matches("{'matchLabels': {'a': 'b'}}", "{'a': 'b', 'c': 'd'}"));
	assert_false(matches("{'matchLabels': {'a': 'b', 'c': 'e'}}", "{'a': 'b', 'c': 'd'}"));
	assert_false(matches("{'matchLabels': {'a': 'b'}}", "{}"));
	assert_false(matches("{'matchLabels': {'a': 1}}", "{'a': '1'}"));
}

static void expressions_are_judged_by_their_operator(_unused_ void **state)
{
	static const struct {
		const char *selector;
		bool with, without;
	} rows[] = {
		{"{'matchExpressions': [{'key': 'a', 'operator': 'In', 'values': ['b']}]}", true, false},
		{"{'matchExpressions': [{'key': 'a', 'operator': 'In', 'values': ['c']}]}", false, false},
		{"{'matchExpressions': [{'key': 'a', 'operator': 'NotIn', 'values': ['b']}]}", false, true},
		{"{'matchExpressions': [{'key': 'a', 'operator': 'Exists'}]}", true, false},
		{"{'matchExpressions': [{'key': 'a', 'operator': 'DoesNotExist'}]}", false, true},
		{"{'matchExpressions': [{'key': 'a', 'operator': 'Newer'}]}", true, true},
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		assert_int_equal(matches(rows[i].selector, "{'a': 'b'}"), rows[i].with);
		assert_int_equal(matches(rows[i].selector, "{}"), rows[i].without);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_absent_or_empty_selector_selects_everything),
		cmocka_unit_test(labels_must_all_match),
		cmocka_unit_test(expressions_are_judged_by_their_operator),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
