#include "base/core/version.h"
#include "cli/cluster/checks.h"
#include "cli/cluster/test_objects.h"

static struct findings findings;

static int start(_unused_ void **state)
{
	findings_init(&findings);
	return 0;
}

static int stop(_unused_ void **state)
{
	findings_done(&findings);
	return 0;
}

static void version_is(const char *text, bool is_well)
{
	json_t *version = test_object(text);
	findings_done(&findings);
	findings_init(&findings);
	check_server_version(&findings, version);
	json_decref(version);
	if (is_well)
		test_is_well(&findings, "server-version");
	else
		test_is_wrong(&findings, "server-version", "the API server is Kubernetes");
}

static void kubernetes_before_1_29_is_refused(_unused_ void **state)
{
	version_is("{'major': '1', 'minor': '37', 'gitVersion': 'v1.37.2'}", true);
	version_is("{'major': '1', 'minor': '29+', 'gitVersion': 'v1.29.4-eks'}", true);
	version_is("{'major': '2', 'minor': '0', 'gitVersion': 'v2.0.0'}", true);
	version_is("{'major': '1', 'minor': '28', 'gitVersion': 'v1.28.9'}", false);
	version_is("{'major': '', 'minor': '99999999999'}", false);
	version_is("{}", false);
}

static void a_permission_is_what_the_review_allows(_unused_ void **state)
{
	json_t *yes = test_object("{'status': {'allowed': true}}"), *no = test_object("{'status': {'denied': true}}");
	assert_true(checks_is_allowed(yes));
	assert_false(checks_is_allowed(no));
	assert_false(checks_is_allowed(NULL));
	json_decref(yes);
	json_decref(no);
}

#define ISTIO                                                                                                          \
	"[{'metadata': {'name': 'istio-sidecar-injector'}, 'webhooks': ["                                              \
	"{'name': 'namespace.sidecar-injector.istio.io', 'rules': [{'resources': ['pods']}],"                          \
	" 'namespaceSelector': {'matchExpressions': [{'key': 'istio-injection', 'operator': 'In', 'values': "          \
	"['enabled']}]}},"                                                                                             \
	"{'name': 'object.sidecar-injector.istio.io', 'rules': [{'resources': ['pods']}],"                             \
	" 'objectSelector': {'matchExpressions': [{'key': 'sidecar.istio.io/inject', 'operator': 'In', 'values': "     \
	"['true']}]}}]}]"
#define LINKERD                                                                                                        \
	"[{'webhooks': [{'name': 'linkerd-proxy-injector.linkerd.io', 'rules': [{'resources': ['pods', "               \
	"'services']}]}]}]"

static void other_meshes(const char *namespaces, const char *configurations)
{
	json_t *of = test_object(namespaces), *registered = test_object(configurations);
	check_other_meshes(&findings, of, registered);
	json_decref(of);
	json_decref(registered);
}

static void a_namespace_of_two_meshes_is_wrong(_unused_ void **state)
{
	other_meshes("[{'metadata': {'name': 'shop', 'labels': {'handfast.dev/inject': 'enabled', 'istio-injection': "
		     "'enabled'}}}]",
		ISTIO);
	test_is_wrong(&findings, "other-mesh", "of Istio also takes the pods of namespace shop");
	assert_int_equal(findings.num_wrong, 1);
}

static void another_mesh_may_have_other_namespaces(_unused_ void **state)
{
	other_meshes("[{'metadata': {'name': 'shop', 'labels': {'handfast.dev/inject': 'enabled'}}},"
		     " {'metadata': {'name': 'old', 'labels': {'istio-injection': 'enabled'}}}]",
		ISTIO);
	test_is_well(&findings, "other-mesh");
}

static void linkerd_decides_by_the_namespaces_annotation(_unused_ void **state)
{
	other_meshes("[{'metadata': {'name': 'shop', 'labels': {'handfast.dev/inject': 'enabled'}}}]", LINKERD);
	test_is_well(&findings, "other-mesh");
	other_meshes("[{'metadata': {'name': 'shop', 'labels': {'handfast.dev/inject': 'enabled'},"
		     " 'annotations': {'linkerd.io/inject': 'enabled'}}}]",
		LINKERD);
	assert_int_equal(findings.num_wrong, 1);
}

static void control(const char *deployment, const char *pods)
{
	json_t *wanted = test_object(deployment), *there = test_object(pods);
	check_control(&findings, wanted, there, "handfast-system");
	json_decref(wanted);
	json_decref(there);
}

#define CONTROL(image, ready)                                                                                          \
	"{'spec': {'containers': [{'image': '" image                                                                   \
	"'}]}, 'status': {'conditions': [{'type': 'Ready', 'status': '" ready "'}]}}"

static void every_replica_must_be_ready(_unused_ void **state)
{
	control("{'spec': {'replicas': 2}}", "[" CONTROL("c:1", "True") "," CONTROL("c:1", "False") "]");
	test_is_wrong(&findings, "control-plane", "1 of 2 replicas");
	test_is_well(&findings, "control-plane-version");
	check_control(&findings, NULL, NULL, "elsewhere");
	assert_int_equal(findings.num_wrong, 2);
}

static void replicas_must_be_of_one_release(_unused_ void **state)
{
	control("{'spec': {'replicas': 2}}", "[" CONTROL("c:1", "True") "," CONTROL("c:2", "True") "]");
	test_is_well(&findings, "control-plane");
	test_is_wrong(&findings, "control-plane-version", "c:1 and c:2");
}

static void registration_is(const char *text, const char *part)
{
	json_t *configuration = test_object(text);
	findings_done(&findings);
	findings_init(&findings);
	check_registration(&findings, configuration);
	json_decref(configuration);
	if (part == NULL)
		test_is_well(&findings, "webhook");
	else
		test_is_wrong(&findings, "webhook", part);
}

static void the_webhook_needs_its_authorities_and_to_fail_closed(_unused_ void **state)
{
	registration_is("{'webhooks': [{'clientConfig': {'caBundle': 'YQ=='}, 'failurePolicy': 'Fail'}]}", NULL);
	registration_is("{'webhooks': [{'clientConfig': {'caBundle': 'YQ=='}, 'failurePolicy': 'Ignore'}]}",
		"without a sidecar while the webhook is away");
	registration_is("{'webhooks': [{'clientConfig': {}, 'failurePolicy': 'Fail'}]}", "no caBundle");
	registration_is("{'webhooks': []}", "no webhook is registered");
}

static void a_service_needs_a_ready_endpoint(_unused_ void **state)
{
	json_t *slices =
		test_object("[{'endpoints': [{'addresses': ['192.0.2.1'], 'conditions': {'ready': false}}]}, {}]");
	check_service(&findings, "handfast-webhook", slices);
	test_is_wrong(&findings, "service", "handfast-webhook");
	json_decref(slices);
	slices = test_object("[{'endpoints': [{'addresses': ['192.0.2.1']}, {'addresses': ['192.0.2.2']}]}]");
	check_service(&findings, "handfast-webhook", slices);
	assert_int_equal(findings.num_wrong, 1);
	json_decref(slices);
	/* of one pod, by both families */
	slices = test_object("[{'endpoints': [{'addresses': ['192.0.2.1'], 'targetRef': {'name': 'a'}}]}, "
			     "{'endpoints': [{'addresses': ['2001:db8::1'], 'targetRef': {'name': 'a'}}]}]");
	check_service(&findings, "handfast-control", slices);
	assert_string_equal(json_string_value(json_object_get(test_row(&findings, "service", 2), "detail")),
		"handfast-control has 1 endpoint");
	json_decref(slices);
}

static void a_definition_must_serve_this_releases_version(_unused_ void **state)
{
	json_t *served = test_object(
		"{'spec': {'versions': [{'name': 'v1', 'served': false}, {'name': 'v2', 'served': true}]}}");
	check_definition(&findings, "a.handfast.dev", "v2", served);
	test_is_well(&findings, "definition");
	check_definition(&findings, "a.handfast.dev", "v1", served);
	check_definition(&findings, "a.handfast.dev", "v2", NULL);
	assert_int_equal(findings.num_wrong, 2);
	json_decref(served);
}

static void pod_security_is_a_finding_only_where_the_label_is(_unused_ void **state)
{
	json_t *namespaces = test_object(
		"[{'metadata': {'name': 'shop', 'labels': {'handfast.dev/inject': 'enabled',"
		" 'pod-security.kubernetes.io/enforce': 'baseline'}}},"
		" {'metadata': {'name': 'ends', 'deletionTimestamp': '2026-11-29T02:00:00Z', 'labels':"
		" {'handfast.dev/inject': 'enabled', 'pod-security.kubernetes.io/enforce': 'baseline'}}},"
		" {'metadata': {'name': 'other', 'labels': {'pod-security.kubernetes.io/enforce': 'restricted'}}}]");
	check_pod_security(&findings, namespaces, true);
	assert_int_equal(findings.num_wrong, 0);
	check_pod_security(&findings, namespaces, false);
	assert_int_equal(findings.num_wrong, 1);
	test_is_wrong(&findings, "pod-security", "namespace shop enforces baseline");
	json_decref(namespaces);
}

static void a_label_that_selects_nothing_is_a_finding(_unused_ void **state)
{
	json_t *namespaces =
		test_object("[{'metadata': {'name': 'shop', 'labels': {'handfast.dev/inject': 'true'}}},"
			    " {'metadata': {'name': 'off', 'labels': {'handfast.dev/inject': 'disabled'}}},"
			    " {'metadata': {'name': 'other', 'labels': {'app': 'true'}}}]");
	check_pod_security(&findings, namespaces, false);
	test_is_wrong(&findings, "namespace-label", "namespace shop has the label handfast.dev/inject=true");
	assert_int_equal(findings.num_wrong, 1);
	json_decref(namespaces);
}

/* Also with the CNI plugin: the capability is the sidecar's. */
static void a_namespace_that_refuses_its_own_mode_is_a_finding(_unused_ void **state)
{
	json_t *namespaces = test_object("[{'metadata': {'name': 'shop', 'labels': {'handfast.dev/inject': 'enabled',"
					 " 'pod-security.kubernetes.io/enforce': 'baseline'}, 'annotations': "
					 "{'handfast.dev/interception': 'tproxy'}}},"
					 " {'metadata': {'name': 'free', 'labels': {'handfast.dev/inject': 'enabled'},"
					 " 'annotations': {'handfast.dev/interception': 'tproxy'}}},"
					 " {'metadata': {'name': 'plain', 'labels': {'handfast.dev/inject': 'enabled',"
					 " 'pod-security.kubernetes.io/enforce': 'baseline'}}}]");
	check_pod_security(&findings, namespaces, true);
	assert_int_equal(findings.num_wrong, 1);
	test_is_wrong(&findings, "pod-security",
		"namespace shop enforces baseline, which refuses the sidecars of the mode tproxy");
	json_decref(namespaces);
}

static void the_control_plane_is_of_this_programs_release(_unused_ void **state)
{
	check_release(&findings, "");
	assert_null(test_row(&findings, "release", 0));
	check_release(&findings, HANDFAST_VERSION);
	test_is_well(&findings, "release");
	check_release(&findings, "0.0.1");
	assert_int_equal(findings.num_wrong, 1);
}

static void an_agent_is_needed_on_each_node(_unused_ void **state)
{
	json_t *agents = test_object("[{'status': {'desiredNumberScheduled': 2, 'numberReady': 2}}]");
	assert_true(check_cni(&findings, agents));
	test_is_well(&findings, "cni");
	json_decref(agents);
	agents = test_object("[]");
	assert_false(check_cni(&findings, agents));
	assert_int_equal(findings.num_wrong, 0);
	json_decref(agents);
	agents = test_object("[{'status': {'desiredNumberScheduled': 2, 'numberReady': 1}}]");
	assert_true(check_cni(&findings, agents));
	assert_int_equal(findings.num_wrong, 1);
	json_decref(agents);
}

static void a_pod_that_was_tried_must_have_a_sidecar(_unused_ void **state)
{
	json_t *pod = checks_trial_pod();
	assert_non_null(pod);
	check_tried_injection(&findings, "shop", pod);
	test_is_wrong(&findings, "injection", "namespace shop");
	json_decref(pod);
}

static void a_webhook_that_an_uninstall_left_is_wrong(_unused_ void **state)
{
	json_t *one = test_object("{}");
	check_left_registration(&findings, one, one);
	check_left_registration(&findings, NULL, NULL);
	assert_int_equal(findings.num_wrong, 0);
	check_left_registration(&findings, one, NULL);
	assert_int_equal(findings.num_wrong, 1);
	json_decref(one);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, start, stop)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(kubernetes_before_1_29_is_refused),
		TEST(a_permission_is_what_the_review_allows),
		TEST(a_namespace_of_two_meshes_is_wrong),
		TEST(another_mesh_may_have_other_namespaces),
		TEST(linkerd_decides_by_the_namespaces_annotation),
		TEST(every_replica_must_be_ready),
		TEST(replicas_must_be_of_one_release),
		TEST(the_webhook_needs_its_authorities_and_to_fail_closed),
		TEST(a_service_needs_a_ready_endpoint),
		TEST(a_definition_must_serve_this_releases_version),
		TEST(pod_security_is_a_finding_only_where_the_label_is),
		TEST(a_label_that_selects_nothing_is_a_finding),
		TEST(a_namespace_that_refuses_its_own_mode_is_a_finding),
		TEST(the_control_plane_is_of_this_programs_release),
		TEST(an_agent_is_needed_on_each_node),
		TEST(a_pod_that_was_tried_must_have_a_sidecar),
		TEST(a_webhook_that_an_uninstall_left_is_wrong),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
