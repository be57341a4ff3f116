/* Clusters and namespaces beyond the limits. */
#include "control/kube/test_cluster.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
/* cmocka requires the headers above */
#include <cmocka.h>

enum {
	PODS = KUBE_VIEW_PODS_MAX / KUBE_VIEW_SHARES,
	SERVICES = KUBE_VIEW_SERVICES_MAX / KUBE_VIEW_SHARES,
	ENDPOINTS = KUBE_VIEW_ENDPOINTS_MAX / KUBE_VIEW_SHARES,
	IN_A_SLICE = 1000,
};

/* Takes `more`: the members besides metadata. */
static enum err put(
	struct cluster *cluster, enum kube_kind kind, const char *namespace_, const char *name, json_t *more)
{
	struct why why = {0};
	json_t *meta = json_pack("{sssssss{ss}}", "namespace", namespace_, "name", name, "uid", name, "labels",
		"kubernetes.io/service-name", "cart");
	json_object_set_new(more, "metadata", meta);
	enum err err = kube_view_put(cluster->view, kind, more, &why);
	assert_true(err == why.err);
	json_decref(more);
	return err;
}

static enum err put_numbered(struct cluster *cluster, enum kube_kind kind, const char *namespace_, unsigned n)
{
	char name[64];
	snprintf(name, sizeof(name), "%s-%u", namespace_, n);
	return put(cluster, kind, namespace_, name, json_pack("{s{}}", "spec"));
}

static enum err put_service(struct cluster *cluster, const char *namespace_, const char *ip)
{
	return put(cluster, KUBE_SERVICES, namespace_, "last",
		json_pack("{s{s[s]s[s]}}", "spec", "clusterIPs", ip, "externalIPs", "203.0.113.200"));
}

static enum err put_pod(struct cluster *cluster, const char *namespace_, const char *ip)
{
	return put(cluster, KUBE_PODS, namespace_, "last", json_pack("{s{}s{ss}}", "spec", "status", "podIP", ip));
}

static void K9_a_cluster_beyond_the_limits_is_not_taken_for_plaintext(void **state)
{
	struct cluster *cluster = *state;
	for (unsigned n = 0; n < KUBE_VIEW_SHARES; n++) {
		char namespace_[16];
		snprintf(namespace_, sizeof(namespace_), "n%u", n);
		for (unsigned i = 0; i < SERVICES; i++)
			assert_int_equal(put_numbered(cluster, KUBE_SERVICES, namespace_, i), ERR_NONE);
	}
	assert_int_equal(put_service(cluster, "more", "198.51.100.1"), ERR_LIMIT);
	cluster_expect_unknown(cluster, "203.0.113.200:80");
	cluster_begin(cluster, KUBE_SERVICES);
	cluster_expect_unknown(cluster, "203.0.113.200:80"); /* until it is known to be gone */
	cluster_synced(cluster, KUBE_SERVICES);
	cluster_expect_outside(cluster, "203.0.113.200:80");
	assert_int_equal(put_service(cluster, "more", "198.51.100.1"), ERR_NONE);
}

static void K35_a_namespace_with_too_many_services_takes_no_room_of_others(void **state)
{
	struct cluster *cluster = *state;
	for (unsigned i = 0; i < SERVICES; i++)
		assert_int_equal(put_numbered(cluster, KUBE_SERVICES, "greedy", i), ERR_NONE);
	assert_int_equal(put_service(cluster, "greedy", "198.51.100.1"), ERR_LIMIT);
	cluster_expect_unknown(cluster, "198.51.100.1:80");
	cluster_expect_outside(cluster, "203.0.113.77:443"); /* the outside stays what it is for all others */
	assert_int_equal(put_service(cluster, "shop", "198.51.100.2"), ERR_NONE);
}

static void K35_a_namespace_with_too_many_pods_takes_no_room_of_others(void **state)
{
	struct cluster *cluster = *state;
	for (unsigned i = 0; i < PODS; i++)
		assert_int_equal(put_numbered(cluster, KUBE_PODS, "greedy", i), ERR_NONE);
	assert_int_equal(put_pod(cluster, "greedy", "192.0.2.1"), ERR_LIMIT);
	cluster_expect_unknown(cluster, "192.0.2.1:80");
	cluster_expect_outside(cluster, "203.0.113.77:443");
	assert_int_equal(put_pod(cluster, "shop", "203.0.113.10"), ERR_NONE);
	/* also where pods share the network with other hosts, and until the whole state has come in again */
	cluster_pod(cluster, &(struct cluster_pod){.name = "cart-1", .ip = "203.0.113.11"});
	kube_view_pass(cluster->view, KUBE_VIEW_HOLD_MS);
	cluster_expect_unknown(cluster, "192.0.2.1:80");
	cluster_begin(cluster, KUBE_PODS);
	kube_view_pass(cluster->view, 2 * KUBE_VIEW_HOLD_MS);
	cluster_expect_unknown(cluster, "192.0.2.1:80");
	cluster_synced(cluster, KUBE_PODS);
	cluster_expect_unknown(cluster, "192.0.2.1:80");
	kube_view_pass(cluster->view, 3 * KUBE_VIEW_HOLD_MS);
	cluster_expect_outside(cluster, "192.0.2.1:80");
}

static enum err put_slice(struct cluster *cluster, const char *namespace_, unsigned n, unsigned num)
{
	char name[64];
	json_t *endpoints = json_array(), *endpoint = json_pack("{s[s]}", "addresses", "203.0.113.99");
	for (unsigned i = 0; i < num; i++)
		json_array_append(endpoints, endpoint);
	json_decref(endpoint);
	snprintf(name, sizeof(name), "%s-%u", namespace_, n);
	return put(cluster, KUBE_SLICES, namespace_, name,
		json_pack("{sos[{si}]}", "endpoints", endpoints, "ports", "port", 8080));
}

static void K35_a_namespace_with_too_many_endpoints_takes_no_room_of_others(void **state)
{
	struct cluster *cluster = *state;
	cluster_service(cluster, "cart", "'198.51.100.1'", "- 80 8080", "");
	for (unsigned i = 0; i < ENDPOINTS / IN_A_SLICE; i++)
		assert_int_equal(put_slice(cluster, "greedy", i, IN_A_SLICE), ERR_NONE);
	assert_int_equal(put_slice(cluster, "greedy", ENDPOINTS / IN_A_SLICE, 1), ERR_LIMIT);
	assert_int_equal(put_slice(cluster, "shop", 0, IN_A_SLICE), ERR_NONE);
	assert_int_equal(cluster_resolve(cluster, "198.51.100.1:80"), RESOLVED_PLAIN);
	assert_int_equal(put_slice(cluster, "greedy", 0, 1), ERR_NONE); /* fewer than before */
	assert_int_equal(put_slice(cluster, "greedy", ENDPOINTS / IN_A_SLICE, IN_A_SLICE - 1), ERR_NONE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CLUSTER_TEST(K9_a_cluster_beyond_the_limits_is_not_taken_for_plaintext),
		CLUSTER_TEST(K35_a_namespace_with_too_many_services_takes_no_room_of_others),
		CLUSTER_TEST(K35_a_namespace_with_too_many_pods_takes_no_room_of_others),
		CLUSTER_TEST(K35_a_namespace_with_too_many_endpoints_takes_no_room_of_others),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
