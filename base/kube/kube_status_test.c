#include "base/kube/kube_status.h"
#include <setjmp.h>
#include <stdarg.h>
/* cmocka requires <setjmp.h> and <stdarg.h> */
#include <cmocka.h>

#define BODY "{\"kind\":\"Status\",\"message\":\"the server's reason\",\"code\":0}"

static enum err explain(unsigned status, const char *path, struct why *why)
{
	return kube_status_explain(status, SPAN_LITERAL(BODY), path, "\"list\", \"watch\"", why);
}

static void names_the_rule_that_is_missing(void **state)
{
	(void)state;
	static const struct {
		const char *path, *group, *resource;
	} cases[] = {
		{"/api/v1/pods?watch=1", "apiGroups [\"\"]", "resources [\"pods\"]"},
		{"/api/v1/namespaces", "apiGroups [\"\"]", "resources [\"namespaces\"]"},
		{"/api/v1/namespaces/shop", "apiGroups [\"\"]", "resources [\"namespaces\"]"},
		{"/apis/discovery.k8s.io/v1/endpointslices", "[\"discovery.k8s.io\"]", "[\"endpointslices\"]"},
		{"/apis/coordination.k8s.io/v1/namespaces/shop/leases/a", "[\"coordination.k8s.io\"]", "[\"leases\"]"},
		{"/apis/handfast.dev/v1alpha1/namespaces/shop/policies/cart/status", "[\"handfast.dev\"]",
			"[\"policies/status\"]"},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct why why = {0};
		assert_int_equal(explain(403, cases[i].path, &why), ERR_DENIED);
		assert_non_null(strstr(why.got, cases[i].group));
		assert_non_null(strstr(why.got, cases[i].resource));
		assert_non_null(strstr(why.got, "the server's reason"));
	}
}

static void knows_a_role_from_a_cluster_role(void **state)
{
	(void)state;
	struct why why = {0};
	(void)explain(403, "/apis/coordination.k8s.io/v1/namespaces/shop/leases", &why);
	assert_non_null(strstr(why.fix, "our Role "));
	(void)explain(403, "/api/v1/pods", &why);
	assert_non_null(strstr(why.fix, "ClusterRole"));
}

static void explains_the_other_refusals(void **state)
{
	(void)state;
	struct why why = {0};
	assert_int_equal(explain(401, "/api/v1/pods", &why), ERR_DENIED);
	assert_non_null(strstr(why.got, "token"));
	assert_int_equal(explain(404, "/apis/handfast.dev/v1alpha1/policies", &why), ERR_NOT_FOUND);
	assert_non_null(strstr(why.got, "policies of handfast.dev"));
	assert_int_equal(explain(409, "/api/v1/pods", &why), ERR_CONFLICT);
	assert_int_equal(explain(410, "/api/v1/pods", &why), ERR_NOT_FOUND);
	assert_int_equal(explain(422, "/api/v1/pods", &why), ERR_UNSUPPORTED);
	assert_int_equal(explain(429, "/api/v1/pods", &why), ERR_LIMIT);
	assert_int_equal(explain(503, "/api/v1/pods", &why), ERR_UNAVAILABLE);
	assert_non_null(strstr(why.got, "503"));
}

static void any_body_and_any_path_will_do(void **state)
{
	(void)state;
	static const char *const paths[] = {"", "/", "//", "/api", "/apis/", "/version", "x", "/apis/a/b/namespaces/"};
	struct why why = {0};
	for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++)
		assert_int_equal(
			kube_status_explain(403, SPAN_LITERAL("404 page not found"), paths[i], "", &why), ERR_DENIED);
	assert_int_equal(kube_status_explain(500, (struct span){0}, "/", "", &why), ERR_UNAVAILABLE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names_the_rule_that_is_missing),
		cmocka_unit_test(knows_a_role_from_a_cluster_role),
		cmocka_unit_test(explains_the_other_refusals),
		cmocka_unit_test(any_body_and_any_path_will_do),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
