/* The Workload API for the user's containers. */
#include "control/kube/test_inject.h"
#include <string.h>

static unsigned num_volumes(const struct injected *injected)
{
	const json_t *volumes = test_at(injected, "/spec/volumes"), *volume;
	unsigned num = 0;
	size_t i;
	json_array_foreach(volumes, i, volume)
	{
		num += strcmp(json_string_value(json_object_get(volume, "name")), "handfast-workload") == 0;
	}
	return num;
}

static void each_container_has_the_folder_and_the_variable(void **state)
{
	(void)state;
	struct injected *injected = test_inject(test_annotated("'handfast.dev/workload-api': 'enabled'"), NULL, NULL);
	assert_string_equal(
		test_env(injected, "app", "SPIFFE_ENDPOINT_SOCKET"), "unix:///run/handfast-workload/workload.sock");
	assert_string_equal(test_env(injected, "handfast", "HANDFAST_SIDECAR_WORKLOAD_API_SOCKET"),
		"/run/handfast-workload/workload.sock");
	assert_string_equal(test_env(injected, "handfast", "HANDFAST_SIDECAR_WORKLOAD_API_UIDS"), "any");
	const json_t *mount = test_named(injected, "/spec/containers/0/volumeMounts", "handfast-workload");
	assert_string_equal(json_string_value(json_object_get(mount, "mountPath")), "/run/handfast-workload");
	assert_true(json_is_true(json_object_get(mount, "readOnly")));
	assert_int_equal(num_volumes(injected), 1);
	struct injected *again = test_inject_again(injected);
	assert_int_equal(json_array_size(again->result.patch), 0);
	test_inject_free(again);
	test_inject_free(injected);
}

static void the_users_own_variable_stays(void **state)
{
	(void)state;
	json_t *pod = test_json("{'metadata': {'annotations': {'handfast.dev/workload-api': 'enabled'}}, 'spec': {"
				"'initContainers': [{'name': 'once'}], 'containers': [{'name': 'app', 'env': [{'name': "
				"'SPIFFE_ENDPOINT_SOCKET', 'value': 'unix:///other'}]}]}}");
	struct injected *injected = test_inject_json(pod, NULL, NULL);
	assert_string_equal(test_env(injected, "app", "SPIFFE_ENDPOINT_SOCKET"), "unix:///other");
	assert_string_equal(
		test_env(injected, "once", "SPIFFE_ENDPOINT_SOCKET"), "unix:///run/handfast-workload/workload.sock");
	test_inject_free(injected);
}

static void without_the_annotation_nothing_is_shared(void **state)
{
	static const char *const annotations[] = {"", "'handfast.dev/workload-api': 'disabled'"};
	(void)state;
	for (size_t i = 0; i < 2; i++) {
		struct injected *injected = test_inject(test_annotated(annotations[i]), NULL, NULL);
		assert_null(test_env(injected, "app", "SPIFFE_ENDPOINT_SOCKET"));
		assert_null(test_env(injected, "handfast", "HANDFAST_SIDECAR_WORKLOAD_API_SOCKET"));
		assert_null(test_named(injected, "/spec/containers/0/volumeMounts", "handfast-workload"));
		assert_int_equal(num_volumes(injected), 0);
		test_inject_free(injected);
	}
}

static void an_injected_pod_that_asks_for_it_later_gets_it(void **state)
{
	(void)state;
	struct injected *first = test_inject(test_annotated(""), NULL, NULL);
	json_t *pod = json_deep_copy(first->after);
	json_t *annotations = json_object_get(json_object_get(pod, "metadata"), "annotations");
	assert_int_equal(json_object_set_new(annotations, "handfast.dev/workload-api", json_string("enabled")), 0);
	struct injected *second = test_inject_json(pod, NULL, NULL);
	assert_string_equal(test_env(second, "handfast", "HANDFAST_SIDECAR_WORKLOAD_API_UIDS"), "any");
	assert_non_null(test_env(second, "app", "SPIFFE_ENDPOINT_SOCKET"));
	assert_int_equal(num_volumes(second), 1);
	struct injected *third = test_inject_again(second);
	assert_int_equal(json_array_size(third->result.patch), 0);
	test_inject_free(third);
	test_inject_free(second);
	test_inject_free(first);
}

static void another_value_is_refused(void **state)
{
	(void)state;
	struct injected *injected = test_inject(test_annotated("'handfast.dev/workload-api': 'yes'"), NULL, NULL);
	assert_int_equal(injected->result.verdict, INJECT_REFUSE);
	test_inject_free(injected);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_container_has_the_folder_and_the_variable),
		cmocka_unit_test(the_users_own_variable_stays),
		cmocka_unit_test(without_the_annotation_nothing_is_shared),
		cmocka_unit_test(an_injected_pod_that_asks_for_it_later_gets_it),
		cmocka_unit_test(another_value_is_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
