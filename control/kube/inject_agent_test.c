/* The identity from a SPIFFE agent on the node. */
#include "control/kube/test_inject.h"
#include <string.h>

static void the_sidecar_alone_has_the_agents_socket(void **state)
{
	(void)state;
	struct injected *injected =
		test_inject(test_annotated("'handfast.dev/agent-socket': 'spire-agent.sock'"), NULL, NULL);
	assert_string_equal(test_env(injected, "handfast", "HANDFAST_SIDECAR_IDENTITY_SOURCE"), "workload_api");
	assert_string_equal(test_env(injected, "handfast", "HANDFAST_SIDECAR_IDENTITY_WORKLOAD_API_ADDRESS"),
		"unix:///run/handfast-agent/spire-agent.sock");
	assert_null(test_env(injected, "handfast", "HANDFAST_SIDECAR_IDENTITY_KUBERNETES_TOKEN_FILE"));
	const json_t *volume = test_named(injected, "/spec/volumes", "handfast-agent");
	assert_non_null(volume);
	assert_string_equal(
		json_string_value(json_object_get(json_object_get(volume, "csi"), "driver")), "csi.spiffe.io");
	assert_null(test_named(injected, "/spec/containers/0/volumeMounts", "handfast-agent"));
	struct injected *again = test_inject_again(injected);
	assert_int_equal(json_array_size(again->result.patch), 0);
	assert_false(test_has_warning(again, "agent-socket"));
	test_inject_free(again);
	test_inject_free(injected);
}

static void without_the_annotation_the_control_plane_gives_the_identity(void **state)
{
	(void)state;
	struct injected *injected = test_inject(test_annotated(""), NULL, NULL);
	assert_null(test_env(injected, "handfast", "HANDFAST_SIDECAR_IDENTITY_SOURCE"));
	assert_non_null(test_env(injected, "handfast", "HANDFAST_SIDECAR_IDENTITY_KUBERNETES_TOKEN_FILE"));
	assert_null(test_named(injected, "/spec/volumes", "handfast-agent"));
	test_inject_free(injected);
}

/* A path would lead out of the driver's folder, to a socket of the pod's own. */
static void K38_a_path_is_refused(void **state)
{
	static const char *const values[] = {"", ".", "..", "../x.sock", "/run/x.sock", "a/b", ".hidden", "a b"};
	(void)state;
	for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
		char annotation[96];
		(void)snprintf(annotation, sizeof annotation, "'handfast.dev/agent-socket': '%s'", values[i]);
		struct injected *injected = test_inject(test_annotated(annotation), NULL, NULL);
		assert_int_equal(injected->result.verdict, INJECT_REFUSE);
		test_inject_free(injected);
	}
}

/* Nor does a volume of the pod's own stand where the driver's folder belongs. */
static void K38_a_volume_of_that_name_is_refused(void **state)
{
	(void)state;
	test_volume_is_refused("'handfast.dev/agent-socket': 'a.sock'", "handfast-agent");
}

static void a_sidecar_that_is_there_keeps_its_source(void **state)
{
	(void)state;
	test_source_stays("handfast.dev/agent-socket", "a.sock");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_sidecar_alone_has_the_agents_socket),
		cmocka_unit_test(without_the_annotation_the_control_plane_gives_the_identity),
		cmocka_unit_test(K38_a_path_is_refused),
		cmocka_unit_test(K38_a_volume_of_that_name_is_refused),
		cmocka_unit_test(a_sidecar_that_is_there_keeps_its_source),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
