/* What an injected pod has, and that a second run changes nothing or repairs. */
#include "control/kube/test_inject.h"
#include <stdio.h>
#include <string.h>

#define AUDIENCE "/spec/volumes/0/projected/sources/0/serviceAccountToken/audience"

static const char *name_of(const struct injected *injected, size_t index)
{
	const json_t *list = test_at(injected, "/spec/initContainers");
	return json_string_value(json_object_get(json_array_get(list, index), "name"));
}

static size_t num_init(const struct injected *injected)
{
	return json_array_size(test_at(injected, "/spec/initContainers"));
}

static void the_init_container_and_the_sidecar_come_first(void **state)
{
	(void)state;
	struct injected *injected = test_inject(test_pod("", "'initContainers': [{'name': 'migrate'}]"), NULL, NULL);
	assert_int_equal(injected->result.verdict, INJECT_CHANGE);
	assert_string_equal(name_of(injected, 0), "handfast-init");
	assert_string_equal(name_of(injected, 1), "handfast");
	assert_string_equal(name_of(injected, 2), "migrate");
	assert_string_equal(test_text_at(injected, "/spec/initContainers/1/restartPolicy"), "Always");
	assert_string_equal(test_text_at(injected, "/metadata/annotations/handfast.dev~1injected"), "true");
	assert_string_equal(test_text_at(injected, "/metadata/annotations/handfast.dev~1version"), "0.2.0");
	assert_int_equal(json_array_size(test_at(injected, "/spec/volumes")), 3);
	assert_int_equal(json_array_size(injected->result.warnings), 0);
	test_inject_free(injected);
}

static void the_sidecar_fits_restricted_and_the_init_container_has_net_admin_alone(void **state)
{
	(void)state;
	struct injected *injected = test_inject(test_pod("", ""), NULL, NULL);
	json_t *sidecar = test_json(
		"{'runAsUser': 1337, 'runAsGroup': 1337, 'runAsNonRoot': true, 'allowPrivilegeEscalation': false, "
		"'readOnlyRootFilesystem': true, 'capabilities': {'drop': ['ALL']}, "
		"'seccompProfile': {'type': 'RuntimeDefault'}}");
	json_t *init =
		test_json("{'runAsUser': 0, 'runAsGroup': 0, 'runAsNonRoot': false, 'allowPrivilegeEscalation': false, "
			  "'readOnlyRootFilesystem': true, 'capabilities': {'drop': ['ALL'], 'add': ['NET_ADMIN']}, "
			  "'seccompProfile': {'type': 'RuntimeDefault'}}");
	assert_true(json_equal(test_at(injected, "/spec/initContainers/1/securityContext"), sidecar));
	assert_true(json_equal(test_at(injected, "/spec/initContainers/0/securityContext"), init));
	json_decref(sidecar);
	json_decref(init);
	test_inject_free(injected);
}

static void the_sidecar_is_configured_by_variables(void **state)
{
	(void)state;
	struct injected *injected = test_inject(test_pod("", ""), NULL, NULL);
	static const char *const rows[][2] = {
		{"HANDFAST_SIDECAR_TRUST_DOMAIN", "cluster.local"},
		{"HANDFAST_SIDECAR_CONTROL_ADDRESS", "192.0.2.10:15012"},
		{"HANDFAST_SIDECAR_IDENTITY_KUBERNETES_TOKEN_FILE", "/var/run/secrets/handfast/token"},
		{"HANDFAST_SIDECAR_IDENTITY_CLAIM_ADDRESS", "false"},
		{"HANDFAST_SIDECAR_STATE_DIR", "/var/lib/handfast-sidecar/state"},
		{"HANDFAST_SIDECAR_DRAIN_MINIMUM", "0s"},
		{"HANDFAST_SIDECAR_DRAIN_DEADLINE", "25s"},
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		assert_string_equal(test_env(injected, "handfast", rows[i][0]), rows[i][1]);
	assert_null(test_env(injected, "handfast", "HANDFAST_SIDECAR_PROBES"));
	assert_string_equal(test_text_at(injected, "/spec/initContainers/1/lifecycle/preStop/exec/command/1"), "drain");
	assert_string_equal(
		test_text_at(injected, "/spec/initContainers/1/lifecycle/postStart/exec/command/2"), "--started");
	assert_null(json_object_get(test_at(injected, "/spec/initContainers/1"), "startupProbe"));
	test_inject_free(injected);
}

/* The API server mounts the account's token where nothing is mounted yet. */
static void our_containers_have_no_token_of_the_api(void **state)
{
	(void)state;
	struct injected *injected = test_inject(test_pod("", ""), NULL, NULL);
	static const char *const places[] = {
		"/spec/initContainers/0/volumeMounts/0", "/spec/initContainers/1/volumeMounts/3"};
	json_t *expected = test_json("{'name': 'handfast-run', 'mountPath': "
				     "'/var/run/secrets/kubernetes.io/serviceaccount', 'readOnly': true}");
	for (size_t i = 0; i < 2; i++)
		assert_true(json_equal(test_at(injected, places[i]), expected));
	json_decref(expected);
	test_inject_free(injected);
}

static void a_short_grace_period_shortens_the_drain(void **state)
{
	(void)state;
	static const struct {
		const char *spec, *deadline;
	} rows[] = {{"'terminationGracePeriodSeconds': 0", "1s"}, {"'terminationGracePeriodSeconds': 12", "7s"},
		{"'terminationGracePeriodSeconds': 600", "25s"}};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct injected *injected = test_inject(test_pod("", rows[i].spec), NULL, NULL);
		assert_string_equal(
			test_env(injected, "handfast", "HANDFAST_SIDECAR_DRAIN_DEADLINE"), rows[i].deadline);
		test_inject_free(injected);
	}
}

static void with_the_cni_plugin_there_is_no_init_container(void **state)
{
	(void)state;
	struct inject_options options = test_inject_options;
	const struct inject_namespace hard = {.name = "hard", .pod_security = "restricted"};
	options.has_cni = true;
	struct injected *injected = test_inject(test_pod("", ""), &hard, &options);
	assert_int_equal(injected->result.verdict, INJECT_CHANGE);
	assert_int_equal(num_init(injected), 1);
	assert_string_equal(name_of(injected, 0), "handfast");
	assert_string_equal(
		test_text_at(injected, "/spec/initContainers/0/lifecycle/postStart/exec/command/2"), "--listening");
	test_inject_free(injected);
}

static void a_second_run_changes_nothing(void **state)
{
	(void)state;
	struct injected *first =
		test_inject(test_pod("'livenessProbe': {'httpGet': {'port': 80}}", "'initContainers': [{'name': 'x'}]"),
			NULL, NULL);
	struct injected *second = test_inject_again(first);
	assert_int_equal(second->result.verdict, INJECT_LEAVE);
	assert_int_equal(json_array_size(second->result.warnings), 0);
	test_inject_free(second);
	test_inject_free(first);
}

static void a_dropped_restart_policy_comes_back_with_a_warning(void **state)
{
	(void)state;
	struct injected *first = test_inject(test_pod("", ""), NULL, NULL);
	json_object_del(test_at(first, "/spec/initContainers/1"), "restartPolicy");
	struct injected *second = test_inject_again(first);
	assert_string_equal(test_text_at(second, "/spec/initContainers/1/restartPolicy"), "Always");
	assert_int_equal(json_array_size(second->result.patch), 1);
	assert_true(test_has_warning(second, "restartPolicy: Always of the sidecar was missing"));
	test_inject_free(second);
	test_inject_free(first);
}

static void containers_that_another_webhook_puts_before_ours_move_behind(void **state)
{
	(void)state;
	struct injected *first = test_inject(test_pod("", "'initContainers': [{'name': 'migrate'}]"), NULL, NULL);
	json_array_insert_new(test_at(first, "/spec/initContainers"), 0, test_json("{'name': 'vault'}"));
	json_array_insert_new(test_at(first, "/spec/initContainers"), 2, test_json("{'name': 'between'}"));
	struct injected *second = test_inject_again(first);
	static const char *const names[] = {"handfast-init", "handfast", "vault", "between", "migrate"};
	assert_int_equal(num_init(second), 5);
	for (size_t i = 0; i < 5; i++)
		assert_string_equal(name_of(second, i), names[i]);
	struct injected *third = test_inject_again(second);
	assert_int_equal(third->result.verdict, INJECT_LEAVE);
	test_inject_free(third);
	test_inject_free(second);
	test_inject_free(first);
}

static void an_init_container_and_volumes_that_were_dropped_come_back(void **state)
{
	(void)state;
	struct injected *first = test_inject(test_pod("", ""), NULL, NULL);
	json_array_remove(test_at(first, "/spec/initContainers"), 0);
	json_array_remove(test_at(first, "/spec/volumes"), 1);
	struct injected *second = test_inject_again(first);
	assert_string_equal(name_of(second, 0), "handfast-init");
	assert_string_equal(name_of(second, 1), "handfast");
	assert_int_equal(json_array_size(test_at(second, "/spec/volumes")), 3);
	test_inject_free(second);
	test_inject_free(first);
}

/* Attestation refuses tokens for another audience, so injection has no other setting. */
static void K23_the_token_is_for_the_audience_that_attestation_takes(void **state)
{
	(void)state;
	struct inject_options options = test_inject_options;
	options.audience = "mesh.example.org";
	struct injected *injected = test_inject_json(test_json(test_pod("", "")), NULL, &options);
	assert_string_equal(test_text_at(injected, AUDIENCE), "mesh.example.org");
	test_inject_free(injected);
}

/* A pod that was copied out of another cluster, or before the control plane's Service was made anew. */
static void a_copied_pod_gets_the_present_control_plane(void **state)
{
	(void)state;
	struct inject_options moved = test_inject_options;
	struct injected *first = test_inject(test_pod("", ""), NULL, NULL);
	moved.control_address = "192.0.2.11:15012";
	moved.audience = "mesh.example.org";
	moved.bootstrap_root_sha256 = "ff112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";
	struct injected *second = test_inject_json(json_deep_copy(first->after), NULL, &moved);
	assert_int_equal(json_array_size(second->result.patch), 3);
	assert_string_equal(test_text_at(second, AUDIENCE), moved.audience);
	assert_string_equal(test_env(second, "handfast", "HANDFAST_SIDECAR_CONTROL_ADDRESS"), moved.control_address);
	assert_string_equal(test_env(second, "handfast", "HANDFAST_SIDECAR_CONTROL_BOOTSTRAP_ROOT_SHA256"),
		moved.bootstrap_root_sha256);
	test_inject_free(second);
	test_inject_free(first);
}

static void an_annotation_without_the_sidecar_is_no_injection(void **state)
{
	(void)state;
	struct injected *injected = test_inject(test_annotated("'handfast.dev/injected': 'true'"), NULL, NULL);
	assert_string_equal(name_of(injected, 1), "handfast");
	test_inject_free(injected);
}

/* `kubectl debug --copy-to` takes spec over, and leaves labels and annotations out. */
static void a_copy_without_its_annotations_gets_them_back(void **state)
{
	(void)state;
	struct injected *first = test_inject(test_pod("", "'shareProcessNamespace': false"), NULL, NULL);
	json_t *copy = json_deep_copy(first->after);
	json_object_del(json_object_get(copy, "metadata"), "annotations");
	json_object_set_new(json_object_get(copy, "spec"), "shareProcessNamespace", json_true());
	struct injected *second = test_inject_json(copy, NULL, NULL);
	assert_int_equal(num_init(second), 2);
	assert_string_equal(test_text_at(second, "/metadata/annotations/handfast.dev~1injected"), "true");
	struct injected *third = test_inject_again(second);
	assert_int_equal(third->result.verdict, INJECT_LEAVE);
	test_inject_free(third);
	test_inject_free(second);
	test_inject_free(first);
}

static void probes_that_are_added_make_the_list_of_variables_where_there_is_none(void **state)
{
	(void)state;
	struct injected *first = test_inject(test_pod("", ""), NULL, NULL);
	json_object_del(test_at(first, "/spec/initContainers/1"), "env");
	json_array_append_new(test_at(first, "/spec/containers"),
		test_json("{'name': 'late', 'livenessProbe': {'tcpSocket': {'port': 81}}}"));
	struct injected *second = test_inject_again(first);
	assert_string_equal(test_env(second, "handfast", "HANDFAST_SIDECAR_PROBES"), "late/liveness tcp 81\n");
	test_inject_free(second);
	test_inject_free(first);
}

/* The API server refuses a pod whose containers request more in sum than the pod has. */
static void a_pod_with_resources_of_its_own_shares_them_with_the_sidecar(void **state)
{
	(void)state;
	static const char pod[] =
		"{'metadata': {'annotations': {%s}}, 'spec': {'containers': [{'name': 'app', 'resources': {'limits': "
		"{'cpu': '1', 'memory': '1Gi'}}}], 'resources': {'limits': {'cpu': '1', 'memory': '1Gi'}}}}";
	static const char *const rows[][2] = {
		{"", "{'requests': {}}"}, {"'handfast.dev/cpu-request': '5m'", "{'requests': {'cpu': '5m'}}"}};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char text[512];
		snprintf(text, sizeof(text), pod, rows[i][0]);
		struct injected *injected = test_inject(text, NULL, NULL);
		json_t *expected = test_json(rows[i][1]);
		assert_true(json_equal(test_at(injected, "/spec/initContainers/0/resources"), expected));
		assert_true(json_equal(test_at(injected, "/spec/initContainers/1/resources"), expected));
		assert_false(test_has_warning(injected, "Guaranteed"));
		json_decref(expected);
		test_inject_free(injected);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_init_container_and_the_sidecar_come_first),
		cmocka_unit_test(the_sidecar_fits_restricted_and_the_init_container_has_net_admin_alone),
		cmocka_unit_test(the_sidecar_is_configured_by_variables),
		cmocka_unit_test(our_containers_have_no_token_of_the_api),
		cmocka_unit_test(a_short_grace_period_shortens_the_drain),
		cmocka_unit_test(with_the_cni_plugin_there_is_no_init_container),
		cmocka_unit_test(a_second_run_changes_nothing),
		cmocka_unit_test(a_dropped_restart_policy_comes_back_with_a_warning),
		cmocka_unit_test(containers_that_another_webhook_puts_before_ours_move_behind),
		cmocka_unit_test(an_init_container_and_volumes_that_were_dropped_come_back),
		cmocka_unit_test(K23_the_token_is_for_the_audience_that_attestation_takes),
		cmocka_unit_test(a_copied_pod_gets_the_present_control_plane),
		cmocka_unit_test(an_annotation_without_the_sidecar_is_no_injection),
		cmocka_unit_test(a_copy_without_its_annotations_gets_them_back),
		cmocka_unit_test(probes_that_are_added_make_the_list_of_variables_where_there_is_none),
		cmocka_unit_test(a_pod_with_resources_of_its_own_shares_them_with_the_sidecar),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
