/* Addresses that nothing is known about: of a pod that has not come in, or of a host outside of the cluster. */
#include "control/kube/test_cluster.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
/* cmocka requires the headers above */
#include <cmocka.h>

#define PORT      "- 80 8080"
#define SECOND_MS 1000

static void pod(struct cluster *cluster, const char *name, const char *ip)
{
	cluster_pod(cluster, &(struct cluster_pod){.name = name, .ip = ip});
}

static void K34_an_address_among_those_of_pods_is_unknown_until_its_pod_comes(void **state)
{
	struct cluster *cluster = *state;
	cluster_expect_outside(cluster, "192.0.2.77:80");
	cluster_pod(cluster,
		&(struct cluster_pod){.name = "old", .ip = "192.0.2.1", .ip6 = "2001:db8::1", .is_plain = true});
	cluster_expect_unknown(cluster, "192.0.2.77:80");
	cluster_expect_unknown(cluster, "[2001:db8::77]:80");
	cluster_expect_outside(cluster, "192.0.3.77:80");
	cluster_expect_outside(cluster, "[2001:db8:0:1::77]:80");
	kube_view_pass(cluster->view, 3600 * SECOND_MS);
	cluster_expect_unknown(cluster, "192.0.2.77:80");
	pod(cluster, "new", "192.0.2.77");
	cluster_expect_meshed(cluster, "192.0.2.77:80", "192.0.2.77:80 cart");
}

static void K34_a_network_that_has_lost_its_pods_is_still_one_of_pods(void **state)
{
	struct cluster *cluster = *state;
	cluster_pod(cluster, &(struct cluster_pod){.name = "old", .ip = "192.0.2.1", .is_plain = true});
	cluster_delete(cluster, KUBE_PODS, "old");
	cluster_expect_unknown(cluster, "192.0.2.1:80");
	cluster_expect_unknown(cluster, "192.0.2.77:80");
}

static void K34_pods_on_the_network_of_their_node_make_none_of_pods(void **state)
{
	struct cluster *cluster = *state;
	cluster_pod(cluster, &(struct cluster_pod){.name = "agent", .ip = HOST_IP, .is_host_network = true});
	cluster_expect_outside(cluster, "203.0.113.9:80");
	assert_int_equal(cluster_resolve(cluster, HOST_IP ":80"), RESOLVED_PLAIN);
}

static void K34_in_a_network_with_nodes_and_pods_an_address_is_held_then_of_another_host(void **state)
{
	struct cluster *cluster = *state;
	pod(cluster, "cart-1", "203.0.113.10");
	kube_view_pass(cluster->view, SECOND_MS);
	cluster_expect_unknown(cluster, "203.0.113.77:5432");
	cluster_forget_changes(cluster);
	kube_view_pass(cluster->view, SECOND_MS + KUBE_VIEW_HOLD_MS - 1);
	cluster_expect_unknown(cluster, "203.0.113.77:5432");
	assert_int_equal(cluster->num_changes, 0);
	kube_view_pass(cluster->view, SECOND_MS + KUBE_VIEW_HOLD_MS);
	assert_true(cluster_has_changed(cluster, "203.0.113.77"));
	cluster_expect_outside(cluster, "203.0.113.77:5432");
	kube_view_set_stale(cluster->view, true); /* a pod may have come that no watch reports */
	cluster_expect_unknown(cluster, "203.0.113.77:5432");
	kube_view_set_stale(cluster->view, false);
	cluster_expect_outside(cluster, "203.0.113.77:5432");
}

static void K34_a_pod_that_comes_while_its_address_is_held_decides(void **state)
{
	struct cluster *cluster = *state;
	pod(cluster, "cart-1", "203.0.113.10");
	cluster_expect_unknown(cluster, "203.0.113.77:80");
	pod(cluster, "cart-2", "203.0.113.77");
	cluster_expect_meshed(cluster, "203.0.113.77:80", "203.0.113.77:80 cart");
	kube_view_pass(cluster->view, KUBE_VIEW_HOLD_MS);
	cluster_expect_meshed(cluster, "203.0.113.77:80", "203.0.113.77:80 cart");
	cluster_pod(cluster, &(struct cluster_pod){.name = "cart-2", .ip = "203.0.113.77", .has_finished = true});
	kube_view_pass(cluster->view, KUBE_VIEW_HOLD_MS + KUBE_VIEW_GONE_MS);
	cluster_expect_unknown(cluster, "203.0.113.77:80"); /* it is held anew */
}

static void K34_nothing_is_decided_while_the_objects_may_be_behind(void **state)
{
	struct cluster *cluster = *state;
	pod(cluster, "cart-1", "203.0.113.10");
	cluster_expect_unknown(cluster, "203.0.113.77:80");
	kube_view_set_stale(cluster->view, true);
	kube_view_pass(cluster->view, KUBE_VIEW_HOLD_MS);
	kube_view_set_stale(cluster->view, false);
	cluster_expect_unknown(cluster, "203.0.113.77:80");
	kube_view_pass(cluster->view, KUBE_VIEW_HOLD_MS);
	cluster_expect_outside(cluster, "203.0.113.77:80");
}

static void K34_that_nodes_and_pods_share_a_network_is_learned_in_any_order(void **state)
{
	struct cluster *cluster = *state;
	pod(cluster, "cart-1", "192.0.2.1");
	cluster_expect_unknown(cluster, "192.0.2.77:80");
	cluster_forget_changes(cluster);
	pod(cluster, "cart-2", "203.0.113.10"); /* its node has 203.0.113.1 */
	assert_true(cluster->num_changes > 0);
	cluster_expect_unknown(cluster, "192.0.2.77:80");
	kube_view_pass(cluster->view, KUBE_VIEW_HOLD_MS);
	cluster_expect_outside(cluster, "192.0.2.77:80");
}

static void K34_an_address_in_the_range_of_services_is_unknown_until_its_service_comes(void **state)
{
	struct cluster *cluster = *state;
	cluster_expect_outside(cluster, "198.18.5.7:80");
	cluster_service(cluster, "kubernetes", "'198.18.0.1','2001:db8:1::1'", PORT, "");
	cluster_expect_outside(cluster, "198.18.5.7:80");
	cluster_expect_unknown(cluster, "198.18.0.7:80");
	cluster_expect_unknown(cluster, "[2001:db8:1::77]:80");
	cluster_expect_outside(cluster, "[2001:db8:1::1:77]:80");
	cluster_service(cluster, "cart", "'198.18.7.9'", PORT, "");
	cluster_expect_unknown(cluster, "198.18.5.7:80");
	cluster_expect_outside(cluster, "198.18.8.7:80");
	kube_view_pass(cluster->view, 3600 * SECOND_MS);
	cluster_expect_unknown(cluster, "198.18.5.7:80");
	/* what is not of the range is an address alone */
	cluster_service(cluster, "web", "'198.18.0.5'", PORT, ",'externalIPs':['198.51.100.80']");
	cluster_expect_outside(cluster, "198.51.100.81:80");
}

static void K34_several_ranges_of_services_do_not_make_what_is_between_unknown(void **state)
{
	struct cluster *cluster = *state;
	cluster_service(cluster, "a", "'10.0.0.1'", PORT, "");
	pod(cluster, "cart-1", "10.0.64.1");
	cluster_service(cluster, "b", "'10.0.200.1'", PORT, ""); /* a pod is between */
	cluster_expect_outside(cluster, "10.0.100.7:5432");
	cluster_expect_unknown(cluster, "10.0.200.7:80");
	cluster_expect_unknown(cluster, "10.0.0.7:80");
	cluster_expect_unknown(cluster, "10.0.64.7:80");
}

static void K34_no_range_of_services_is_larger_than_an_api_server_takes(void **state)
{
	struct cluster *cluster = *state;
	cluster_service(cluster, "a", "'10.96.0.1'", PORT, "");
	cluster_service(cluster, "b", "'10.111.255.1'", PORT, "");
	cluster_expect_unknown(cluster, "10.100.0.1:80");
	cluster_service(cluster, "c", "'10.112.0.1'", PORT, "");
	cluster_expect_outside(cluster, "10.100.0.1:80");
	cluster_expect_unknown(cluster, "10.112.0.7:80");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CLUSTER_TEST(K34_an_address_among_those_of_pods_is_unknown_until_its_pod_comes),
		CLUSTER_TEST(K34_a_network_that_has_lost_its_pods_is_still_one_of_pods),
		CLUSTER_TEST(K34_pods_on_the_network_of_their_node_make_none_of_pods),
		CLUSTER_TEST(K34_in_a_network_with_nodes_and_pods_an_address_is_held_then_of_another_host),
		CLUSTER_TEST(K34_a_pod_that_comes_while_its_address_is_held_decides),
		CLUSTER_TEST(K34_nothing_is_decided_while_the_objects_may_be_behind),
		CLUSTER_TEST(K34_that_nodes_and_pods_share_a_network_is_learned_in_any_order),
		CLUSTER_TEST(K34_an_address_in_the_range_of_services_is_unknown_until_its_service_comes),
		CLUSTER_TEST(K34_several_ranges_of_services_do_not_make_what_is_between_unknown),
		CLUSTER_TEST(K34_no_range_of_services_is_larger_than_an_api_server_takes),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
