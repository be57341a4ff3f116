/* Endpoints whose pod the view does not know (yet), and slices that it leaves out: never plaintext. */
#include "control/kube/test_cluster.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
/* cmocka requires the headers above */
#include <cmocka.h>

#define PORT    "- 80 8080"
#define SERVICE "198.51.100.1:80"

static void service(struct cluster *cluster)
{
	cluster_service(cluster, "cart", "'198.51.100.1'", PORT, "");
}

static void plain_pod(struct cluster *cluster)
{
	cluster_pod(cluster, &(struct cluster_pod){.name = "old", .ip = "192.0.2.3", .is_plain = true});
}

static void expect(struct cluster *cluster, enum resolution_kind kind)
{
	assert_int_equal(cluster_resolve(cluster, SERVICE), kind);
}

static void K31_an_endpoint_that_was_not_seen_beside_a_plain_one_is_unknown(void **state)
{
	struct cluster *cluster = *state;
	service(cluster);
	plain_pod(cluster);
	cluster_slice(cluster, "cart-a", "cart", PORT, "new 192.0.2.1 ready, old 192.0.2.3 ready");
	expect(cluster, RESOLVED_UNKNOWN);
	cluster_slice(cluster, "cart-a", "cart", PORT, "new 192.0.2.1 unready, old 192.0.2.3 ready");
	expect(cluster, RESOLVED_UNKNOWN); /* the node's proxy may be ahead */
	cluster_pod(cluster, &(struct cluster_pod){.name = "new", .ip = "192.0.2.1", .is_plain = true});
	expect(cluster, RESOLVED_PLAIN);
	cluster_slice(cluster, "cart-b", "cart", PORT, "newer 192.0.2.2 ready");
	expect(cluster, RESOLVED_UNKNOWN);
	cluster_pod(cluster, &(struct cluster_pod){.name = "newer", .ip = "192.0.2.2"});
	cluster_expect_meshed(cluster, SERVICE, "192.0.2.2:8080 cart");
}

static void K31_a_pod_whose_address_has_not_come_in_is_not_seen(void **state)
{
	struct cluster *cluster = *state;
	service(cluster);
	plain_pod(cluster);
	cluster_pod(cluster, &(struct cluster_pod){.name = "new", .is_plain = true});
	cluster_slice(cluster, "cart-a", "cart", PORT, "new 192.0.2.1 ready, old 192.0.2.3 ready");
	expect(cluster, RESOLVED_UNKNOWN);
	cluster_pod(cluster, &(struct cluster_pod){.name = "new", .ip = "192.0.2.1", .is_plain = true});
	expect(cluster, RESOLVED_PLAIN);
}

static void K31_a_meshed_service_stays_so_with_an_endpoint_that_was_not_seen(void **state)
{
	struct cluster *cluster = *state;
	service(cluster);
	plain_pod(cluster);
	cluster_pod(cluster, &(struct cluster_pod){.name = "cart-1", .ip = "192.0.2.1"});
	cluster_slice(cluster, "cart-a", "cart", PORT, "cart-1 192.0.2.1 ready, old 192.0.2.3 ready");
	cluster_expect_meshed(cluster, SERVICE, "192.0.2.1:8080 cart");
	cluster_slice(cluster, "cart-a", "cart", PORT, "cart-2 192.0.2.2 ready, old 192.0.2.3 ready");
	cluster_expect_meshed(cluster, SERVICE, "");
	cluster_delete(cluster, KUBE_PODS, "cart-1");
	cluster_expect_meshed(cluster, SERVICE, "");
	cluster_pod(cluster, &(struct cluster_pod){.name = "cart-2", .ip = "192.0.2.2"});
	cluster_expect_meshed(cluster, SERVICE, "192.0.2.2:8080 cart");
}

static void K31_the_address_of_a_plain_endpoint_that_another_pod_has_now_is_unknown(void **state)
{
	struct cluster *cluster = *state;
	service(cluster);
	plain_pod(cluster);
	cluster_pod(cluster, &(struct cluster_pod){.name = "old-2", .ip = "192.0.2.4", .is_plain = true});
	cluster_slice(cluster, "cart-a", "cart", PORT, "old 192.0.2.3 ready, old-2 192.0.2.4 ready");
	expect(cluster, RESOLVED_PLAIN);
	cluster_delete(cluster, KUBE_PODS, "old"); /* the slices are behind */
	expect(cluster, RESOLVED_UNKNOWN);
	cluster_pod(cluster, &(struct cluster_pod){.name = "pay-1", .ip = "192.0.2.3", .account = "pay"});
	expect(cluster, RESOLVED_UNKNOWN);
	cluster_slice(cluster, "cart-a", "cart", PORT, "old-2 192.0.2.4 ready");
	expect(cluster, RESOLVED_PLAIN);
	/* a slice that names a pod on the network of a node, and the address of another pod */
	cluster_pod(cluster, &(struct cluster_pod){.name = "agent", .ip = HOST_IP, .is_host_network = true});
	cluster_slice(cluster, "cart-a", "cart", PORT, "old-2 192.0.2.4 ready, agent 192.0.2.3 ready");
	expect(cluster, RESOLVED_UNKNOWN);
}

static void K31_an_endpoint_of_a_pod_that_is_gone_and_does_not_serve_changes_nothing(void **state)
{
	struct cluster *cluster = *state;
	service(cluster);
	plain_pod(cluster);
	cluster_slice(cluster, "cart-a", "cart", PORT, "gone 192.0.2.1 ending, old 192.0.2.3 ready");
	expect(cluster, RESOLVED_PLAIN);
	cluster_slice(cluster, "cart-a", "cart", PORT, "gone 192.0.2.1 serving, old 192.0.2.3 ready");
	expect(cluster, RESOLVED_UNKNOWN);
}

static void K31_an_endpoint_with_a_sidecar_that_was_not_injected_beside_a_plain_one_is_unknown(void **state)
{
	struct cluster *cluster = *state;
	service(cluster);
	plain_pod(cluster);
	cluster_put(cluster, KUBE_PODS,
		"{'metadata':{'name':'own','namespace':'shop','uid':'own'},'spec':{'initContainers':[{'name':'handfast'"
		"}]},'status':{'podIP':'192.0.2.5'}}");
	cluster_slice(cluster, "cart-a", "cart", PORT, "own 192.0.2.5 ready, old 192.0.2.3 ready");
	expect(cluster, RESOLVED_UNKNOWN);
}

/* A slice with more endpoints than the API takes. */
static void put_slice(struct cluster *cluster, const char *name, size_t num_endpoints, enum err expected)
{
	struct why why = {0};
	json_t *endpoints = json_array(), *endpoint = json_pack("{s[s]}", "addresses", "203.0.113.99");
	for (size_t i = 0; i < num_endpoints; i++)
		json_array_append(endpoints, endpoint);
	json_t *slice = json_pack("{s{sssssss{ss}}sos[{si}]}", "metadata", "name", name, "namespace", "shop", "uid",
		name, "labels", "kubernetes.io/service-name", "cart", "endpoints", endpoints, "ports", "port", 8080);
	assert_non_null(slice);
	assert_int_equal(kube_view_put(cluster->view, KUBE_SLICES, slice, &why), expected);
	json_decref(endpoint);
	json_decref(slice);
}

static void K32_a_slice_that_grows_beyond_the_limits_keeps_its_former_endpoints(void **state)
{
	struct cluster *cluster = *state;
	service(cluster);
	cluster_pod(cluster, &(struct cluster_pod){.name = "cart-1", .ip = "192.0.2.1"});
	cluster_slice(cluster, "cart-a", "cart", PORT, "cart-1 192.0.2.1 ready");
	put_slice(cluster, "cart-a", 1001, ERR_LIMIT);
	cluster_expect_meshed(cluster, SERVICE, "192.0.2.1:8080 cart");
	cluster_slice(cluster, "cart-a", "cart", PORT, "cart-1 192.0.2.1 ready");
	cluster_expect_meshed(cluster, SERVICE, "192.0.2.1:8080 cart");
}

static void K32_a_service_with_a_slice_that_is_left_out_is_unknown(void **state)
{
	struct cluster *cluster = *state;
	service(cluster);
	put_slice(cluster, "cart-a", 1000, ERR_NONE);
	expect(cluster, RESOLVED_PLAIN);
	put_slice(cluster, "cart-b", 1001, ERR_LIMIT);
	assert_true(cluster_has_changed(cluster, "198.51.100.1"));
	expect(cluster, RESOLVED_UNKNOWN);
	put_slice(cluster, "cart-a", 1001, ERR_LIMIT);
	cluster_begin(cluster, KUBE_SLICES);
	put_slice(cluster, "cart-a", 1, ERR_NONE);
	expect(cluster, RESOLVED_UNKNOWN); /* the other one may still come */
	cluster_synced(cluster, KUBE_SLICES);
	expect(cluster, RESOLVED_PLAIN);
	put_slice(cluster, "cart-a", 1001, ERR_LIMIT);
	expect(cluster, RESOLVED_UNKNOWN);
	put_slice(cluster, "cart-a", 1000, ERR_NONE);
	expect(cluster, RESOLVED_PLAIN);
}

static unsigned num_changes_of(const struct cluster *cluster, const char *text)
{
	struct ip_addr ip;
	unsigned num = 0;
	assert_int_equal(ip_addr_parse(span_of_str(text), &ip), ERR_NONE);
	for (unsigned i = 0; i < cluster->num_changes; i++)
		num += ip_addr_eq(&cluster->changes[i], &ip);
	return num;
}

static void K33_a_change_judges_each_service_once(void **state)
{
	struct cluster *cluster = *state;
	cluster_service(cluster, "pay", "'198.51.100.2'", PORT, "");
	service(cluster);
	static const char *const names[] = {"a", "b", "c", "d"};
	for (unsigned n = 0; n < 4; n++) { /* in turn of the one and of the other */
		cluster_slice(cluster, names[n], n % 2 == 0 ? "cart" : "pay", PORT,
			"cart-1 192.0.2.1 ready, cart-1 192.0.2.1 ready, cart-1 2001:db8::1 ready");
	}
	cluster_forget_changes(cluster);
	cluster_pod(cluster, &(struct cluster_pod){.name = "cart-1", .ip = "192.0.2.1", .ip6 = "2001:db8::1"});
	assert_int_equal(num_changes_of(cluster, "198.51.100.1"), 1);
	assert_int_equal(num_changes_of(cluster, "198.51.100.2"), 1);
	cluster_forget_changes(cluster);
	cluster_slice(cluster, "a", "pay", PORT, "cart-1 192.0.2.1 ready"); /* from the one to the other */
	assert_int_equal(num_changes_of(cluster, "198.51.100.1"), 1);
	assert_int_equal(num_changes_of(cluster, "198.51.100.2"), 1);
}

static void K33_an_address_of_many_services_is_meshed_while_one_of_them_is(void **state)
{
	struct cluster *cluster = *state;
	char name[16];
	cluster_pod(cluster, &(struct cluster_pod){.name = "cart-1", .ip = "192.0.2.1"});
	plain_pod(cluster);
	for (unsigned n = 0; n < 3; n++) {
		snprintf(name, sizeof(name), "s%u", n);
		cluster_service(cluster, name, "", PORT, ",'externalIPs':['203.0.113.80','203.0.113.80']");
		cluster_slice(cluster, name, name, PORT, n == 0 ? "old 192.0.2.3 ready" : "cart-1 192.0.2.1 ready");
	}
	cluster_slice(cluster, "s1", "s1", PORT, "old 192.0.2.3 ready");
	for (unsigned n = 0; n < 3; n++) {
		snprintf(name, sizeof(name), "s%u", n);
		cluster_delete(cluster, KUBE_SLICES, name);
		cluster_delete(cluster, KUBE_SERVICES, name);
	}
	cluster_expect_meshed(cluster, "203.0.113.80:80", ""); /* the last one was */
	cluster_service(cluster, "s0", "", PORT, ",'externalIPs':['203.0.113.80']");
	cluster_slice(cluster, "s0", "s0", PORT, "old 192.0.2.3 ready");
	cluster_delete(cluster, KUBE_SERVICES, "s0");
	cluster_expect_outside(cluster, "203.0.113.80:80");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CLUSTER_TEST(K31_an_endpoint_that_was_not_seen_beside_a_plain_one_is_unknown),
		CLUSTER_TEST(K31_a_pod_whose_address_has_not_come_in_is_not_seen),
		CLUSTER_TEST(K31_a_meshed_service_stays_so_with_an_endpoint_that_was_not_seen),
		CLUSTER_TEST(K31_the_address_of_a_plain_endpoint_that_another_pod_has_now_is_unknown),
		CLUSTER_TEST(K31_an_endpoint_of_a_pod_that_is_gone_and_does_not_serve_changes_nothing),
		CLUSTER_TEST(K31_an_endpoint_with_a_sidecar_that_was_not_injected_beside_a_plain_one_is_unknown),
		CLUSTER_TEST(K32_a_slice_that_grows_beyond_the_limits_keeps_its_former_endpoints),
		CLUSTER_TEST(K32_a_service_with_a_slice_that_is_left_out_is_unknown),
		CLUSTER_TEST(K33_a_change_judges_each_service_once),
		CLUSTER_TEST(K33_an_address_of_many_services_is_meshed_while_one_of_them_is),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
