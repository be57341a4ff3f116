#include "cli/cluster/template.h"
#include "cli/cluster/test_objects.h"
#include <stdio.h>

static bool has_template(const char *text, const char *marked)
{
	json_t *object = test_object(text);
	json_t *found = template_of(object);
	bool is = found != NULL && json_object_get(found, marked) != NULL;
	json_decref(object);
	return is;
}

static void each_kind_that_makes_pods_has_a_template(_unused_ void **state)
{
	static const char *const kinds[][2] = {{"apps/v1", "Deployment"}, {"apps/v1", "StatefulSet"},
		{"apps/v1", "DaemonSet"}, {"apps/v1", "ReplicaSet"}, {"v1", "ReplicationController"},
		{"batch/v1", "Job"}};
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		char text[256];
		snprintf(text, sizeof(text),
			"{'apiVersion': '%s', 'kind': '%s', 'spec': {'template': {'spec': {}, 'here': 1}}}",
			kinds[i][0], kinds[i][1]);
		assert_true(has_template(text, "here"));
	}
	assert_true(has_template("{'apiVersion': 'v1', 'kind': 'Pod', 'spec': {}, 'here': 1}", "here"));
	assert_true(has_template(
		"{'apiVersion': 'batch/v1', 'kind': 'CronJob', 'spec': {'jobTemplate': {'spec': {'template':"
		" {'spec': {}, 'here': 1}}}}}",
		"here"));
}

static void other_objects_have_none(_unused_ void **state)
{
	assert_false(
		has_template("{'apiVersion': 'v1', 'kind': 'Service', 'spec': {'template': {'spec': {}}}}", "spec"));
	assert_false(has_template(
		"{'apiVersion': 'example.org/v1', 'kind': 'Deployment', 'spec': {'template': {'spec': {}}}}", "spec"));
	assert_false(
		has_template("{'apiVersion': 'apps/v1', 'kind': 'Deployment', 'spec': {'template': 'x'}}", "spec"));
	assert_false(has_template("{'apiVersion': 'v1', 'kind': 'Pod'}", "kind"));
	assert_false(has_template("{}", "spec"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_kind_that_makes_pods_has_a_template),
		cmocka_unit_test(other_objects_have_none),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
