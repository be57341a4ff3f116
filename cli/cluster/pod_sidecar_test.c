#include "cli/cluster/pod_sidecar.h"
#include "cli/cluster/test_objects.h"

static void a_pod_is_named_as_kubectl_takes_it(void **state)
{
	static const char *const good[] = {"web-1", "pod/web-1", "pods/web-1", "po/web-1"};
	static const char *const bad[] = {"", "pod/", "deployment/web", "pod/a/b", "a b", "..", "a?b", "a%2f", "Web"};
	char too_long[260];
	(void)state;
	for (size_t i = 0; i < sizeof good / sizeof good[0]; i++)
		assert_string_equal(pod_sidecar_name(good[i]), "web-1");
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
		assert_null(pod_sidecar_name(bad[i]));
	memset(too_long, 'a', sizeof too_long);
	too_long[254] = '\0';
	assert_null(pod_sidecar_name(too_long));
}

static enum err judge(const char *text, struct why *why)
{
	json_t *pod = test_object(text);
	enum err err = pod_sidecar_judge(pod, why);
	json_decref(pod);
	return err;
}

#define META "'metadata': {'namespace': 'shop', 'name': 'web'}, "

static void a_sidecar_that_runs_is_well(void **state)
{
	struct why why = {0};
	(void)state;
	assert_int_equal(judge("{" META "'spec': {'initContainers': [{'name': 'handfast'}]}, 'status': "
			       "{'initContainerStatuses': [{'name': 'handfast', 'state': {'running': {}}}]}}",
				 &why),
		ERR_NONE);
	assert_int_equal(judge("{" META "'spec': {'containers': [{'name': 'app'}, {'name': 'handfast'}]}, 'status': "
			       "{'containerStatuses': [{'name': 'handfast', 'state': {'running': {}}}]}}",
				 &why),
		ERR_NONE);
}

static void what_is_missing_is_named(void **state)
{
	static const struct {
		const char *pod, *part;
		enum err err;
	} rows[] = {
		{"{" META "'spec': {'containers': [{'name': 'app'}]}}", "pod shop/web has no sidecar", ERR_NOT_FOUND},
		{"{" META "'spec': {'containers': [{'name': 'handfast'}]}}", "has not reported it", ERR_UNAVAILABLE},
		{"{" META "'spec': {'initContainers': [{'name': 'handfast'}]}, 'status': {'initContainerStatuses': "
		 "[{'name': 'handfast', 'state': {'waiting': {'reason': 'ImagePullBackOff', 'message': 'm'}}}]}}",
			"it waits: ImagePullBackOff m", ERR_UNAVAILABLE},
		{"{" META "'spec': {'initContainers': [{'name': 'handfast'}]}, 'status': {'initContainerStatuses': "
		 "[{'name': 'handfast', 'state': {'terminated': {'exitCode': 64, 'reason': 'Error'}}}]}}",
			"it ended with 64: Error", ERR_UNAVAILABLE},
		{"{}", "has no sidecar", ERR_NOT_FOUND},
	};
	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct why why = {0};
		assert_int_equal(judge(rows[i].pod, &why), rows[i].err);
		assert_non_null(strstr(why.got, rows[i].part));
		assert_true(why.expected[0] != '\0' && why.fix[0] != '\0');
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_pod_is_named_as_kubectl_takes_it),
		cmocka_unit_test(a_sidecar_that_runs_is_well),
		cmocka_unit_test(what_is_missing_is_named),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
