#include "base/core/version.h"
#include "cli/cluster/pods.h"
#include "cli/cluster/test_objects.h"
#include <stdio.h>

#define LABELED "{'metadata': {'name': 'shop', 'labels': {'handfast.dev/inject': 'enabled'}}}"
#define PLAIN   "{'metadata': {'name': 'other'}}"

struct state {
	json_t *namespaces;
	struct pods *pods;
	struct findings findings;
};
static struct state here;

static int start(_unused_ void **state)
{
	here.namespaces = test_object("[" LABELED "," PLAIN "]");
	here.pods = pods_new(here.namespaces, "handfast-system", HANDFAST_VERSION);
	findings_init(&here.findings);
	return 0;
}

static int stop(_unused_ void **state)
{
	pods_free(here.pods);
	json_decref(here.namespaces);
	findings_done(&here.findings);
	return 0;
}

static void add(const char *text)
{
	json_t *pod = test_object(text);
	pods_add(here.pods, pod);
	json_decref(pod);
}

/* metadata without its end, and the rest of the pod */
#define POD(metadata, rest) "{'metadata': {'name': 'cart', 'namespace': 'shop'" metadata "}, " rest "}"
#define APP                 "'spec': {'containers': [{'name': 'app'}]}"
#define INJECTED(version)   ", 'annotations': {'handfast.dev/injected': 'true', 'handfast.dev/version': '" version "'}"
#define WITH_SIDECAR        "'spec': {'initContainers': [{'name': 'handfast-init'}, {'name': 'handfast'}]}"

static void a_pod_without_a_sidecar_is_found_where_the_label_is(_unused_ void **state)
{
	for (int i = 0; i < 5; i++)
		add(POD("", APP));
	add("{'metadata': {'name': 'cart', 'namespace': 'other'}, " APP "}");
	pods_report(here.pods, &here.findings);
	test_is_wrong(&here.findings, "pods-without-sidecar",
		"5 pods of namespace shop have no sidecar: cart, cart, cart, ...");
	assert_string_equal(
		json_string_value(json_object_get(test_row(&here.findings, "pods-without-sidecar", 0), "fix")),
		"restart them: `kubectl -n shop rollout restart deployment,statefulset,daemonset`");
	assert_int_equal(here.findings.num_wrong, 1);
}

static void a_pod_that_asks_in_a_namespace_without_the_label_is_found(_unused_ void **state)
{
	add("{'metadata': {'name': 'cart', 'namespace': 'other', 'labels': {'handfast.dev/inject': 'enabled'}}, " APP
	    "}");
	add("{'metadata': {'name': 'pay', 'namespace': 'other', 'annotations': {'handfast.dev/inject': "
	    "'enabled'}}, " APP "}");
	add("{'metadata': {'name': 'web', 'namespace': 'other'}, " APP "}");
	pods_report(here.pods, &here.findings);
	test_is_wrong(&here.findings, "namespace-label",
		"2 pods of namespace other have handfast.dev/inject: enabled, and no sidecar: cart, pay");
	assert_int_equal(here.findings.num_wrong, 1);
}

static void what_the_webhook_leaves_alone_is_not_wrong(_unused_ void **state)
{
	add(POD(", 'annotations': {'handfast.dev/inject': 'disabled'}", APP));
	add(POD(", 'labels': {'handfast.dev/inject': 'disabled'}", APP));
	add(POD("", "'spec': {'hostNetwork': true, 'containers': [{'name': 'app'}]}"));
	add(POD(", 'deletionTimestamp': '2026-01-02T03:04:05Z'", APP));
	add(POD("", APP ", 'status': {'phase': 'Succeeded'}"));
	add("{'metadata': {'name': 'cart', 'namespace': 'newer'}, " APP "}");
	pods_report(here.pods, &here.findings);
	assert_int_equal(here.findings.num_wrong, 0);
	assert_non_null(strstr(
		json_string_value(json_object_get(test_row(&here.findings, "pods", 0), "detail")), "3 stay outside"));
}

static void the_mark_without_the_container_is_no_sidecar(_unused_ void **state)
{
	add(POD(INJECTED(HANDFAST_VERSION), APP));
	pods_report(here.pods, &here.findings);
	test_is_wrong(&here.findings, "pods-without-sidecar", "1 pod of namespace shop has no sidecar");
}

static void a_sidecar_of_another_release_is_found(_unused_ void **state)
{
	add(POD(INJECTED(HANDFAST_VERSION), WITH_SIDECAR));
	add(POD(INJECTED("0.0.1"), WITH_SIDECAR));
	pods_report(here.pods, &here.findings);
	test_is_wrong(&here.findings, "sidecar-version", "1 pod of namespace shop");
	assert_int_equal(here.findings.num_wrong, 1);
}

static void a_sidecar_that_is_not_ready_is_found_with_the_reason(_unused_ void **state)
{
	add(POD(INJECTED(HANDFAST_VERSION),
		WITH_SIDECAR ", 'status': {'initContainerStatuses': [{'name': 'handfast-init', 'ready': true},"
			     " {'name': 'handfast', 'ready': false, 'state': {'waiting': {'reason': "
			     "'ImagePullBackOff', 'message': 'no image'}}}]}"));
	pods_report(here.pods, &here.findings);
	test_is_wrong(&here.findings, "sidecar-ready", "handfast waits: ImagePullBackOff no image");
}

static bool asked(void *arg, const char *namespace_, const char *pod, char *out, size_t cap)
{
	++*(int *)arg;
	assert_string_equal(namespace_, "shop");
	assert_string_equal(pod, "cart");
	snprintf(out, cap, "not ready: no identity");
	return true;
}

static void a_sidecar_that_runs_is_asked_itself(_unused_ void **state)
{
	int times = 0;
	for (int i = 0; i < 2; i++)
		add(POD(INJECTED(HANDFAST_VERSION),
			WITH_SIDECAR ", 'status': {'initContainerStatuses': [{'name': 'handfast', 'ready': false, "
				     "'state': {'running': {}}}]}"));
	pods_ask(here.pods, asked, &times);
	assert_int_equal(times, 1);
	pods_report(here.pods, &here.findings);
	test_is_wrong(&here.findings, "sidecar-ready",
		"2 sidecars of namespace shop not ready: cart, cart (not ready: no identity)");
}

static void the_init_containers_failure_is_the_reason(_unused_ void **state)
{
	add(POD(INJECTED(HANDFAST_VERSION),
		WITH_SIDECAR ", 'status': {'initContainerStatuses': [{'name': 'handfast-init', 'ready': false, "
			     "'state': {'terminated':"
			     " {'reason': 'Error', 'exitCode': 77}}}, {'name': 'handfast', 'ready': false}]}"));
	pods_report(here.pods, &here.findings);
	test_is_wrong(&here.findings, "sidecar-ready", "(handfast-init ended with 77: Error)");
}

static void an_uninstall_names_namespaces_with_sidecars(_unused_ void **state)
{
	add(POD(INJECTED("0.0.1"), WITH_SIDECAR));
	add(POD("", APP));
	pods_report_left(here.pods, &here.findings);
	test_is_wrong(&here.findings, "pods-with-sidecar", "1 pod of namespace shop still has a sidecar");
	assert_int_equal(here.findings.num_wrong, 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, start, stop)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_pod_without_a_sidecar_is_found_where_the_label_is),
		TEST(a_pod_that_asks_in_a_namespace_without_the_label_is_found),
		TEST(what_the_webhook_leaves_alone_is_not_wrong),
		TEST(the_mark_without_the_container_is_no_sidecar),
		TEST(a_sidecar_of_another_release_is_found),
		TEST(a_sidecar_that_is_not_ready_is_found_with_the_reason),
		TEST(a_sidecar_that_runs_is_asked_itself),
		TEST(the_init_containers_failure_is_the_reason),
		TEST(an_uninstall_names_namespaces_with_sidecars),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
