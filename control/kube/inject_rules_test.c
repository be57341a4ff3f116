/* Which pods are left as they are, which are refused, and what kubectl prints. */
#include "control/kube/test_inject.h"
#include <string.h>

static void expect(const char *pod, enum inject_verdict verdict, const char *warning, const char *got)
{
	struct injected *injected = test_inject(pod, NULL, NULL);
	if (injected->result.verdict != verdict)
		fail_msg("verdict %d of %s (%s)", (int)injected->result.verdict, pod, injected->result.detail.got);
	if (warning != NULL && !test_has_warning(injected, warning))
		fail_msg("no warning of %s", warning);
	if (got != NULL && strstr(injected->result.detail.got, got) == NULL)
		fail_msg("'%s' without %s", injected->result.detail.got, got);
	if (verdict == INJECT_REFUSE) {
		assert_true(injected->result.detail.expected[0] != '\0' && injected->result.detail.fix[0] != '\0');
		assert_null(strstr(injected->result.detail.fix, "..."));
		assert_int_equal(json_array_size(injected->result.patch), 0);
	}
	test_inject_free(injected);
}

static void pods_that_cannot_have_a_sidecar_stay_as_they_are(void **state)
{
	(void)state;
	expect(test_pod("", "'hostNetwork': true"), INJECT_LEAVE, "hostNetwork", NULL);
	expect(test_pod("", "'hostNetwork': false"), INJECT_CHANGE, NULL, NULL);
	expect(test_pod("", "'os': {'name': 'windows'}"), INJECT_LEAVE, "Windows", NULL);
	expect(test_pod("", "'os': {'name': 'linux'}"), INJECT_CHANGE, NULL, NULL);
	expect(test_pod("", "'nodeSelector': {'kubernetes.io/os': 'windows'}"), INJECT_LEAVE, "Windows", NULL);
	expect(test_pod("", "'nodeSelector': {'kubernetes.io/os': 'linux'}"), INJECT_CHANGE, NULL, NULL);
	expect(test_pod("", "'shareProcessNamespace': true"), INJECT_LEAVE, "shareProcessNamespace", NULL);
	expect(test_annotated("'kubernetes.io/config.mirror': 'x'"), INJECT_LEAVE, NULL, NULL);
}

static void a_pod_may_opt_out_by_annotation_or_label(void **state)
{
	(void)state;
	expect(test_annotated("'handfast.dev/inject': 'disabled'"), INJECT_LEAVE, NULL, NULL);
	expect(test_annotated("'handfast.dev/inject': 'enabled'"), INJECT_CHANGE, NULL, NULL);
	expect("{'metadata': {'labels': {'handfast.dev/inject': 'disabled'}}, 'spec': {}}", INJECT_LEAVE, NULL, NULL);
	expect("{'metadata': {'labels': {'handfast.dev/inject': 'disabled'}, 'annotations': "
	       "{'handfast.dev/inject': 'enabled'}}, 'spec': {}}",
		INJECT_CHANGE, NULL, NULL);
	expect("{'metadata': {'labels': {'handfast.dev/inject': 'no'}}, 'spec': {}}", INJECT_REFUSE, NULL,
		"label handfast.dev/inject is 'no'");
	expect("{'metadata': {'annotations': {'handfast.dev/inject': 'enabled'}}, 'spec': "
	       "{'shareProcessNamespace': true}}",
		INJECT_CHANGE, NULL, NULL);
}

static void pods_of_other_namespaces_are_never_touched(void **state)
{
	(void)state;
	static const struct inject_namespace rows[] = {
		{.name = "handfast-system"}, {.name = "shop", .is_left_alone = true}};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct injected *injected = test_inject(test_pod("", ""), &rows[i], NULL);
		assert_int_equal(injected->result.verdict, INJECT_LEAVE);
		test_inject_free(injected);
	}
}

static void names_users_and_ports_of_the_sidecar_are_refused(void **state)
{
	(void)state;
	static const char *const rows[][3] = {
		{"'securityContext': {'runAsUser': 1337}", "", "app has runAsUser 1337"},
		{"'securityContext': {'runAsGroup': 1337}", "", "app has runAsGroup 1337"},
		{"", "'securityContext': {'runAsUser': 1337}", "the pod has runAsUser 1337"},
		{"", "'initContainers': [{'name': 'i', 'securityContext': {'runAsUser': 1337}}]", "i has runAsUser"},
		{"", "'securityContext': {'fsGroup': 1337}", "the pod has fsGroup 1337"},
		{"", "'securityContext': {'supplementalGroups': [7, 1337]}", "the pod has supplementalGroups 1337"},
		{"", "'initContainers': [{'name': 'handfast'}]", "has the name handfast,"},
		{"", "'initContainers': [{'name': 'handfast-init'}]", "has the name handfast-init,"},
		{"", "'volumes': [{'name': 'handfast-state'}]", "has the name handfast-state"},
		{"'volumeMounts': [{'name': 'handfast-token'}]", "", "mounts handfast-token"},
		{"'ports': [{'containerPort': 15008}]", "", "port 15008"},
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		expect(test_pod(rows[i][0], rows[i][1]), INJECT_REFUSE, NULL, rows[i][2]);
	expect("{'metadata': {}, 'spec': {'containers': [{'name': 'handfast'}]}}", INJECT_REFUSE, NULL, "handfast");
	expect(test_pod("'securityContext': {'runAsUser': 1338}, 'ports': [{'containerPort': 15009}]", ""),
		INJECT_CHANGE, NULL, NULL);
	expect(test_pod("", "'securityContext': {'fsGroup': 1338, 'supplementalGroups': [7, 1338]}"), INJECT_CHANGE,
		NULL, NULL);
}

/* What a user adds to a pod that claims to be injected is checked as before. */
static void a_second_run_checks_the_containers_of_the_user(void **state)
{
	(void)state;
	struct injected *first = test_inject(test_pod("", ""), NULL, NULL);
	json_array_append_new(test_at(first, "/spec/containers"),
		test_json("{'name': 'thief', 'volumeMounts': [{'name': 'handfast-state'}]}"));
	struct injected *second = test_inject_again(first);
	assert_int_equal(second->result.verdict, INJECT_REFUSE);
	assert_non_null(strstr(second->result.detail.got, "thief mounts handfast-state"));
	test_inject_free(second);
	test_inject_free(first);
}

static void a_namespace_that_refuses_net_admin_is_named_with_the_label(void **state)
{
	(void)state;
	static const struct {
		const char *level;
		enum inject_verdict verdict;
	} rows[] = {{"restricted", INJECT_REFUSE}, {"baseline", INJECT_REFUSE}, {"privileged", INJECT_CHANGE},
		{NULL, INJECT_CHANGE}};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const struct inject_namespace ns = {.name = "hard", .pod_security = rows[i].level};
		struct injected *injected = test_inject(test_pod("", ""), &ns, NULL);
		assert_int_equal(injected->result.verdict, rows[i].verdict);
		if (rows[i].verdict == INJECT_REFUSE) {
			assert_non_null(strstr(injected->result.detail.got, "pod-security.kubernetes.io/enforce"));
			assert_non_null(strstr(injected->result.detail.fix, "kubernetes.cni"));
			assert_null(strstr(injected->result.detail.fix, "..."));
		}
		test_inject_free(injected);
	}
}

static void without_the_control_planes_address_pods_are_refused(void **state)
{
	(void)state;
	struct inject_options options = test_inject_options;
	options.control_address = NULL;
	struct injected *injected = test_inject(test_pod("", ""), NULL, &options);
	assert_int_equal(injected->result.verdict, INJECT_REFUSE);
	assert_non_null(strstr(injected->result.detail.got, "handfast-system/handfast-control"));
	test_inject_free(injected);
}

static void host_ports_are_warned_of(void **state)
{
	(void)state;
	expect(test_pod("'ports': [{'containerPort': 80, 'hostPort': 8080}]", ""), INJECT_CHANGE, "hostPort 8080",
		NULL);
}

static void hooks_by_http_are_warned_of(void **state)
{
	(void)state;
	expect(test_pod("'lifecycle': {'preStop': {'httpGet': {'port': 80}}}", ""), INJECT_CHANGE, "the preStop hook",
		NULL);
}

static void a_pod_that_is_no_longer_guaranteed_is_warned_of(void **state)
{
	(void)state;
	static const struct {
		const char *resources;
		bool is_warned;
	} rows[] = {
		{"'resources': {'limits': {'cpu': '1', 'memory': '1Gi'}}", true},
		{"'resources': {'limits': {'cpu': '1', 'memory': '1Gi'}, 'requests': {'cpu': '1'}}", true},
		{"'resources': {'limits': {'cpu': '1', 'memory': '1Gi'}, 'requests': {'cpu': '100m'}}", false},
		{"'resources': {'limits': {'cpu': '1'}}", false},
		{"", false},
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct injected *injected = test_inject(test_pod(rows[i].resources, ""), NULL, NULL);
		assert_true(test_has_warning(injected, "not Guaranteed") == rows[i].is_warned);
		test_inject_free(injected);
	}
}

static void warnings_are_bounded(void **state)
{
	(void)state;
	json_t *pod = test_json(test_pod("'ports': []", ""));
	for (int i = 0; i < 100; i++)
		json_array_append_new(test_pointer(pod, "/spec/containers/0/ports"),
			json_pack("{s:i, s:i}", "containerPort", 80, "hostPort", 1 + i));
	struct injected *injected = test_inject_json(pod, NULL, NULL);
	assert_int_equal(json_array_size(injected->result.warnings), INJECT_WARNINGS_MAX);
	test_inject_free(injected);
}

static void members_of_wrong_types_count_as_absent(void **state)
{
	(void)state;
	expect("{'metadata': {'annotations': {}}, 'spec': {'containers': 5, 'hostNetwork': 'true', 'volumes': []}}",
		INJECT_CHANGE, NULL, NULL);
	expect("{'metadata': {'annotations': {'handfast.dev/inject': 5}}, 'spec': {}}", INJECT_REFUSE, NULL, "is ''");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(pods_that_cannot_have_a_sidecar_stay_as_they_are),
		cmocka_unit_test(a_pod_may_opt_out_by_annotation_or_label),
		cmocka_unit_test(pods_of_other_namespaces_are_never_touched),
		cmocka_unit_test(names_users_and_ports_of_the_sidecar_are_refused),
		cmocka_unit_test(a_second_run_checks_the_containers_of_the_user),
		cmocka_unit_test(a_namespace_that_refuses_net_admin_is_named_with_the_label),
		cmocka_unit_test(without_the_control_planes_address_pods_are_refused),
		cmocka_unit_test(host_ports_are_warned_of),
		cmocka_unit_test(hooks_by_http_are_warned_of),
		cmocka_unit_test(a_pod_that_is_no_longer_guaranteed_is_warned_of),
		cmocka_unit_test(warnings_are_bounded),
		cmocka_unit_test(members_of_wrong_types_count_as_absent),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
