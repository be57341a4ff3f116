#include "cli/cluster/services.h"
#include "cli/cluster/test_objects.h"

static const char NAMESPACES[] = "[{'metadata': {'name': 'shop', 'labels': {'handfast.dev/inject': 'enabled'}}}, "
				 "{'metadata': {'name': 'plain'}}]";

static void add_pod(struct services *services, const char *space, const char *name, enum pods_kind kind)
{
	json_t *pod = json_pack("{s:{s:s, s:s}}", "metadata", "namespace", space, "name", name);
	services_add_pod(services, pod, kind);
	json_decref(pod);
}

/* Of one endpoint: a pod, or where pod is NULL an address alone. */
static void add_slice(struct services *services, const char *space, const char *service, const char *pod)
{
	json_t *target = pod == NULL ? NULL : json_pack("{s:s, s:s}", "kind", "Pod", "name", pod);
	json_t *slice = json_pack("{s:{s:s, s:{s:s}}, s:[{s:[s], s:o*}]}", "metadata", "namespace", space, "labels",
		"kubernetes.io/service-name", service, "endpoints", "addresses", "192.0.2.1", "targetRef", target);
	services_add_slice(services, slice);
	json_decref(slice);
}

static void a_service_needs_one_endpoint_with_a_sidecar(void **state)
{
	json_t *namespaces = test_object(NAMESPACES);
	struct services *services = services_new(namespaces);
	struct findings findings;
	(void)state;
	findings_init(&findings);
	add_pod(services, "shop", "new", PODS_WITH_SIDECAR);
	add_pod(services, "shop", "old", PODS_WITHOUT_SIDECAR);
	add_pod(services, "shop", "out", PODS_OUTSIDE);
	add_pod(services, "plain", "any", PODS_WITHOUT_SIDECAR);
	add_slice(services, "shop", "mixed", "old");
	add_slice(services, "shop", "mixed", "new"); /* in another slice */
	add_slice(services, "shop", "bare", "old");
	add_slice(services, "shop", "opted-out", "out");
	add_slice(services, "shop", "external", NULL);
	add_slice(services, "shop", "unknown", "pod-of-later");
	add_slice(services, "plain", "any", "any");
	services_report(services, &findings);
	assert_int_equal(findings.num_wrong, 1);
	test_is_wrong(&findings, "services", "1 Service of namespace shop has no endpoint with a sidecar: bare");
	assert_string_equal(json_string_value(json_object_get(test_row(&findings, "services", 1), "detail")),
		"1 with a sidecar at an endpoint; all endpoints of 3 stay outside by their own annotation or kind");
	services_free(services);
	findings_done(&findings);
	json_decref(namespaces);
}

static void many_are_one_row(void **state)
{
	json_t *namespaces = test_object(NAMESPACES);
	struct services *services = services_new(namespaces);
	struct findings findings;
	(void)state;
	findings_init(&findings);
	add_pod(services, "shop", "old", PODS_WITHOUT_SIDECAR);
	for (int i = 0; i < 5; i++) {
		char name[16];
		snprintf(name, sizeof name, "s%d", i);
		add_slice(services, "shop", name, "old");
	}
	services_report(services, &findings);
	assert_int_equal(findings.num_wrong, 1);
	test_is_wrong(
		&findings, "services", "5 Services of namespace shop have no endpoint with a sidecar: s0, s1, s2, ...");
	services_free(services);
	findings_done(&findings);
	json_decref(namespaces);
}

static void a_slice_without_endpoints_or_service_is_left_out(void **state)
{
	json_t *namespaces = test_object(NAMESPACES);
	struct services *services = services_new(namespaces);
	struct findings findings;
	json_t *slices =
		test_object("[{}, {'metadata': {'namespace': 'shop'}, 'endpoints': [{}]}, {'metadata': {'namespace': "
			    "'shop', 'labels': {'kubernetes.io/service-name': 'none'}}}]");
	(void)state;
	findings_init(&findings);
	for (size_t i = 0; i < json_array_size(slices); i++)
		services_add_slice(services, json_array_get(slices, i));
	services_report(services, &findings);
	test_is_well(&findings, "services");
	json_decref(slices);
	services_free(services);
	findings_done(&findings);
	json_decref(namespaces);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_service_needs_one_endpoint_with_a_sidecar),
		cmocka_unit_test(many_are_one_row),
		cmocka_unit_test(a_slice_without_endpoints_or_service_is_left_out),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
