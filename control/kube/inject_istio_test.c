/* The identity from the CA of an Istio mesh. */
#include "control/kube/test_inject.h"
#include <string.h>

#define ASKED "'handfast.dev/istio-ca': 'istiod.istio-system.svc:15012'"

static const json_t *source_of(const struct injected *injected, size_t i, const char *kind)
{
	const json_t *volume = test_named(injected, "/spec/volumes", "handfast-istio");
	assert_non_null(volume);
	const json_t *sources = json_object_get(json_object_get(volume, "projected"), "sources");
	assert_int_equal(json_array_size(sources), 2);
	return json_object_get(json_array_get(sources, i), kind);
}

static void the_sidecar_alone_has_the_token_and_the_roots(void **state)
{
	(void)state;
	struct injected *injected = test_inject(test_annotated(ASKED), NULL, NULL);
	assert_string_equal(test_env(injected, "handfast", "HANDFAST_SIDECAR_IDENTITY_SOURCE"), "istio_ca");
	assert_string_equal(test_env(injected, "handfast", "HANDFAST_SIDECAR_IDENTITY_ISTIO_ADDRESS"),
		"istiod.istio-system.svc:15012");
	assert_string_equal(test_env(injected, "handfast", "HANDFAST_SIDECAR_IDENTITY_ISTIO_TOKEN_FILE"),
		"/run/handfast-istio/token");
	assert_null(test_env(injected, "handfast", "HANDFAST_SIDECAR_IDENTITY_KUBERNETES_TOKEN_FILE"));
	const json_t *token = source_of(injected, 0, "serviceAccountToken");
	assert_string_equal(json_string_value(json_object_get(token, "audience")), "istio-ca");
	const json_t *roots = source_of(injected, 1, "configMap");
	assert_string_equal(json_string_value(json_object_get(roots, "name")), "istio-ca-root-cert");
	assert_null(test_named(injected, "/spec/containers/0/volumeMounts", "handfast-istio"));
	struct injected *again = test_inject_again(injected);
	assert_int_equal(json_array_size(again->result.patch), 0);
	assert_false(test_has_warning(again, "istio-ca"));
	test_inject_free(again);
	test_inject_free(injected);
}

#define LABEL_63         "a2345678901234567890123456789012345678901234567890123456789-123"
#define TOO_LONG_A_LABEL (LABEL_63 "a:1")
#define TOO_LONG_A_NAME  (LABEL_63 "." LABEL_63 "." LABEL_63 "." LABEL_63 ":1")

/* Of 253 bytes. */
static void a_long_name_of_the_ca_is_taken(void **state)
{
	(void)state;
	static const char name[] =
		LABEL_63 "." LABEL_63 "." LABEL_63 ".a234567890123456789012345678901234567890123456789012345678901";
	_Static_assert(sizeof name - 1 == 253, "the longest");
	char annotation[512];
	(void)snprintf(annotation, sizeof annotation, "'handfast.dev/istio-ca': '%s:15012'", name);
	struct injected *injected = test_inject(test_annotated(annotation), NULL, NULL);
	assert_int_not_equal(injected->result.verdict, INJECT_REFUSE);
	test_inject_free(injected);
}

static void an_address_without_a_port_or_with_other_bytes_is_refused(void **state)
{
	static const char *const values[] = {"", "istiod", "istiod:", ":15012", "istiod:0", "istiod:65536", "a b:1",
		"a:1:2", "-a.b:1", "a-:1", "a.-b:1", "a.b-.c:1", "a..b:1", ".a:1", "a.:1", TOO_LONG_A_LABEL,
		TOO_LONG_A_NAME, "https://istiod:15012", "istiod:15012,b:1", "istiod:15012 "};
	(void)state;
	for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
		char annotation[512];
		(void)snprintf(annotation, sizeof annotation, "'handfast.dev/istio-ca': '%s'", values[i]);
		struct injected *injected = test_inject(test_annotated(annotation), NULL, NULL);
		assert_int_equal(injected->result.verdict, INJECT_REFUSE);
		test_inject_free(injected);
	}
}

static void two_sources_of_the_identity_are_refused(void **state)
{
	(void)state;
	struct injected *injected =
		test_inject(test_annotated(ASKED ", 'handfast.dev/agent-socket': 'a.sock'"), NULL, NULL);
	assert_int_equal(injected->result.verdict, INJECT_REFUSE);
	assert_non_null(strstr(injected->result.detail.expected, "one source"));
	test_inject_free(injected);
}

/* K38: nor does a volume of the pod's own stand where these files belong. */
static void K38_a_volume_of_that_name_is_refused(void **state)
{
	(void)state;
	test_volume_is_refused(ASKED, "handfast-istio");
}

static void a_sidecar_that_is_there_keeps_its_source(void **state)
{
	(void)state;
	test_source_stays("handfast.dev/istio-ca", "a:1");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_sidecar_alone_has_the_token_and_the_roots),
		cmocka_unit_test(an_address_without_a_port_or_with_other_bytes_is_refused),
		cmocka_unit_test(a_long_name_of_the_ca_is_taken),
		cmocka_unit_test(two_sources_of_the_identity_are_refused),
		cmocka_unit_test(K38_a_volume_of_that_name_is_refused),
		cmocka_unit_test(a_sidecar_that_is_there_keeps_its_source),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
