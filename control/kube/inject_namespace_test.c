/* What injection learns of a namespace. */
#include "control/kube/inject_namespace.h"
#include "control/kube/test_cluster.h"
#include "control/kube/test_inject.h"

static enum inject_verdict verdict_in(const struct cluster *cluster, const char *name)
{
	struct inject_namespace ns = {.name = name};
	inject_namespace_fill(cluster->view, &ns);
	struct injected *injected = test_inject(test_pod("", ""), &ns, NULL);
	enum inject_verdict verdict = injected->result.verdict;
	test_inject_free(injected);
	return verdict;
}

static void K21_a_pod_of_a_namespace_whose_label_has_not_come_in_is_injected(void **state)
{
	const struct cluster *cluster = *state;
	cluster_put(*state, KUBE_NAMESPACES, "{'metadata':{'name':'shop','uid':'a','labels':{}}}");
	assert_int_equal(verdict_in(cluster, "shop"), INJECT_CHANGE);
	cluster_put(*state, KUBE_NAMESPACES,
		"{'metadata':{'name':'shop','uid':'a','labels':{'handfast.dev/inject':'disabled'}}}");
	assert_int_equal(verdict_in(cluster, "shop"), INJECT_CHANGE);
	assert_int_equal(verdict_in(cluster, "unknown"), INJECT_CHANGE);
}

static void K21_a_pod_that_opts_out_is_left_in_every_namespace(void **state)
{
	const struct cluster *cluster = *state;
	struct inject_namespace ns = {.name = "shop"};
	inject_namespace_fill(cluster->view, &ns);
	struct injected *injected = test_inject(test_annotated("'handfast.dev/inject': 'disabled'"), &ns, NULL);
	assert_int_equal(injected->result.verdict, INJECT_LEAVE);
	test_inject_free(injected);
}

static void the_level_of_pod_security_is_known(void **state)
{
	const struct cluster *cluster = *state;
	cluster_put(*state, KUBE_NAMESPACES,
		"{'metadata':{'name':'shop','uid':'a','labels':{'pod-security.kubernetes.io/enforce':'restricted'}}}");
	assert_int_equal(verdict_in(cluster, "shop"), INJECT_REFUSE);
}

/* A value that the table has no room for is cut, and is no other mode by that. */
static void the_mode_of_the_namespace_is_known(void **state)
{
	static const struct {
		const char *annotations, *expected;
	} rows[] = {{"'handfast.dev/interception':'tproxy'", "tproxy"}, {"", NULL},
		{"'handfast.dev/interception':'redirect'", "redirect"},
		{"'handfast.dev/interception':'tproxy and more'", "tproxy and more"},
		{"'handfast.dev/interception':'tproxy and more of it'", "tproxy and more"}};
	const struct cluster *cluster = *state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct inject_namespace ns = {.name = "shop"};
		cluster_put(*state, KUBE_NAMESPACES, "{'metadata':{'name':'shop','uid':'a','annotations':{%s}}}",
			rows[i].annotations);
		inject_namespace_fill(cluster->view, &ns);
		if (rows[i].expected == NULL)
			assert_null(ns.interception);
		else
			assert_string_equal(ns.interception, rows[i].expected);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CLUSTER_TEST(K21_a_pod_of_a_namespace_whose_label_has_not_come_in_is_injected),
		CLUSTER_TEST(K21_a_pod_that_opts_out_is_left_in_every_namespace),
		CLUSTER_TEST(the_level_of_pod_security_is_known),
		CLUSTER_TEST(the_mode_of_the_namespace_is_known),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
