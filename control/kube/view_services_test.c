/* Services of every kind. */
#include "control/kube/test_cluster.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
/* cmocka requires the headers above */
#include <cmocka.h>

#define PORT "- 80 8080"

static void two_meshed_pods(struct cluster *cluster)
{
	cluster_pod(cluster, &(struct cluster_pod){.name = "cart-1", .ip = "192.0.2.1", .ip6 = "2001:db8::1"});
	cluster_pod(cluster, &(struct cluster_pod){.name = "cart-2", .ip = "192.0.2.2"});
}

static void a_service_has_the_endpoints_that_are_ready_and_have_a_sidecar(void **state)
{
	struct cluster *cluster = *state;
	two_meshed_pods(cluster);
	cluster_pod(cluster, &(struct cluster_pod){.name = "old", .ip = "192.0.2.3", .is_plain = true});
	cluster_service(cluster, "cart", "'198.51.100.1'", PORT, "");
	cluster_slice(cluster, "cart-a", "cart", PORT,
		"cart-1 192.0.2.1 ready, cart-2 192.0.2.2 unready, old 192.0.2.3 ready");
	cluster_expect_meshed(cluster, "198.51.100.1:80", "192.0.2.1:8080 cart");
	assert_string_equal(cluster->answer.service, "shop/cart");
	cluster_slice(cluster, "cart-b", "cart", PORT, "cart-2 192.0.2.2 ready");
	cluster_expect_meshed(cluster, "198.51.100.1:80", "192.0.2.1:8080 cart, 192.0.2.2:8080 cart");
	assert_int_equal(cluster_resolve(cluster, "198.51.100.1:81"), RESOLVED_UNKNOWN);
	assert_string_equal(cluster->answer.reason, "the Service shop/cart has no TCP port 81");
}

static void a_service_without_a_sidecar_is_plaintext(void **state)
{
	struct cluster *cluster = *state;
	cluster_pod(cluster, &(struct cluster_pod){.name = "old", .ip = "192.0.2.3", .is_plain = true});
	cluster_service(cluster, "cart", "'198.51.100.1'", PORT, "");
	cluster_slice(cluster, "cart-a", "cart", PORT, "old 192.0.2.3 ready");
	assert_int_equal(cluster_resolve(cluster, "198.51.100.1:80"), RESOLVED_PLAIN);
	/* such as the API server: endpoints that are no pods */
	cluster_service(cluster, "kubernetes", "'198.51.100.2'", "https 443 6443", "");
	cluster_slice(cluster, "kubernetes", "kubernetes", "https 443 6443", "- 203.0.113.9 ready");
	assert_int_equal(cluster_resolve(cluster, "198.51.100.2:443"), RESOLVED_PLAIN);
	/* and pods on the network of a node */
	cluster_pod(cluster, &(struct cluster_pod){.name = "agent", .ip = HOST_IP, .is_host_network = true});
	cluster_service(cluster, "agent", "'198.51.100.3'", PORT, "");
	cluster_slice(cluster, "agent-a", "agent", PORT, "agent " HOST_IP " ready");
	assert_int_equal(cluster_resolve(cluster, "198.51.100.3:80"), RESOLVED_PLAIN);
}

static void endpoints_that_end_and_serve_come_after_the_others(void **state)
{
	struct cluster *cluster = *state;
	two_meshed_pods(cluster);
	cluster_service(cluster, "cart", "'198.51.100.1'", PORT, "");
	cluster_slice(cluster, "cart-a", "cart", PORT, "cart-1 192.0.2.1 serving, cart-2 192.0.2.2 ready");
	cluster_expect_meshed(cluster, "198.51.100.1:80", "192.0.2.2:8080 cart");
	cluster_expect_draining(cluster, "192.0.2.1:8080 cart");
	cluster_slice(cluster, "cart-a", "cart", PORT, "cart-1 192.0.2.1 serving, cart-2 192.0.2.2 ending");
	cluster_expect_meshed(cluster, "198.51.100.1:80", "192.0.2.1:8080 cart");
	assert_int_equal(cluster->answer.num_draining, 0);
}

static void a_pod_that_is_being_deleted_drains_though_it_is_ready_again(void **state)
{
	struct cluster *cluster = *state;
	two_meshed_pods(cluster);
	cluster_service(cluster, "cart", "'198.51.100.1'", PORT, "");
	cluster_slice(cluster, "cart-a", "cart", PORT, "cart-1 192.0.2.1 ready, cart-2 192.0.2.2 ready");
	cluster_pod(cluster, &(struct cluster_pod){.name = "cart-1", .ip = "192.0.2.1", .is_deleting = true});
	cluster_expect_meshed(cluster, "198.51.100.1:80", "192.0.2.2:8080 cart");
	cluster_expect_draining(cluster, "192.0.2.1:8080 cart");
}

static void ports_are_matched_by_name_and_named_target_ports_differ_by_slice(void **state)
{
	struct cluster *cluster = *state;
	two_meshed_pods(cluster);
	cluster_service(cluster, "cart", "'198.51.100.1'", "http 80 0, admin 81 0", "");
	cluster_slice(cluster, "cart-a", "cart", "admin 81 9000, http 80 8080", "cart-1 192.0.2.1 ready");
	cluster_slice(cluster, "cart-b", "cart", "http 80 8888", "cart-2 192.0.2.2 ready");
	cluster_expect_meshed(cluster, "198.51.100.1:80", "192.0.2.1:8080 cart, 192.0.2.2:8888 cart");
	cluster_expect_meshed(cluster, "198.51.100.1:81", "192.0.2.1:9000 cart");
}

static void each_address_of_a_dual_stack_service_has_the_endpoints_of_its_family(void **state)
{
	struct cluster *cluster = *state;
	two_meshed_pods(cluster);
	cluster_service(cluster, "cart", "'198.51.100.1','2001:db8:1::1'", PORT, "");
	cluster_slice(cluster, "cart-a", "cart", PORT, "cart-1 192.0.2.1 ready, cart-2 192.0.2.2 ready");
	cluster_slice(cluster, "cart-b", "cart", PORT, "cart-1 2001:db8::1 ready");
	cluster_expect_meshed(cluster, "198.51.100.1:80", "192.0.2.1:8080 cart, 192.0.2.2:8080 cart");
	cluster_expect_meshed(cluster, "[2001:db8:1::1]:80", "[2001:db8::1]:8080 cart");
}

static void pods_of_a_headless_service_answer_for_themselves(void **state)
{
	struct cluster *cluster = *state;
	struct kube_service_view view;
	two_meshed_pods(cluster);
	cluster_service(cluster, "db", "'None'", PORT, "");
	cluster_slice(cluster, "db-a", "db", PORT, "cart-1 192.0.2.1 unready");
	cluster_expect_meshed(cluster, "192.0.2.1:5432", "192.0.2.1:5432 cart");
	assert_true(kube_view_service(cluster->view, "shop", "db", &view));
	assert_int_equal(view.num_cluster_ips, 0);
}

static void a_service_has_a_cluster_ip_by_its_name(void **state)
{
	struct cluster *cluster = *state;
	struct ip_addr ip;
	char text[ADDR_TEXT_MAX];
	cluster_service(cluster, "cart", "'198.51.100.1'", PORT, "");
	cluster_service(cluster, "db", "'None'", PORT, "");
	assert_true(kube_view_service_address(cluster->view, "shop/cart", &ip));
	assert_string_equal(ip_addr_format(&ip, text), "198.51.100.1");
	assert_false(kube_view_service_address(cluster->view, "shop/db", &ip));
	assert_false(kube_view_service_address(cluster->view, "cart", &ip));
	assert_false(kube_view_service_address(cluster->view, "shop/none", &ip));
}

static void an_external_name_has_no_address(void **state)
{
	struct cluster *cluster = *state;
	struct kube_service_view view;
	cluster_put(cluster, KUBE_SERVICES,
		"{'metadata':{'name':'far','namespace':'shop','uid':'far'},'spec':{'type':'ExternalName',"
		"'externalName':'db.example.org','externalIPs':['198.51.100.77'],'ports':[{'port':80}]}}");
	cluster_expect_outside(cluster, "198.51.100.77:80");
	assert_true(kube_view_service(cluster->view, "shop", "far", &view));
	assert_int_equal(view.num_cluster_ips, 0);
	assert_false(kube_view_service(cluster->view, "shop", "other", &view));
}

static void arrivals_at_a_load_balancer_or_a_port_of_a_node_are_the_services(void **state)
{
	struct cluster *cluster = *state;
	two_meshed_pods(cluster);
	cluster_put(cluster, KUBE_SERVICES,
		"{'metadata':{'name':'web','namespace':'shop','uid':'web'},'spec':{'type':'LoadBalancer','clusterIP':"
		"'198.51.100.1','externalIPs':['203.0.113.80'],'ports':[{'protocol':'UDP','port':80,'nodePort':30080},"
		"{'port':443,'nodePort':30443}]},'status':{'loadBalancer':{'ingress':[{'ip':'203.0.113.81'},"
		"{'ip':'203.0.113.82','ipMode':'Proxy'},{'hostname':'lb.example.org'}]}}}");
	cluster_slice(cluster, "web-a", "web", "- 443 8443", "cart-1 192.0.2.1 ready");
	cluster_expect_meshed(cluster, "198.51.100.1:443", "192.0.2.1:8443 cart");
	cluster_expect_meshed(cluster, "203.0.113.80:443", "192.0.2.1:8443 cart");
	cluster_expect_meshed(cluster, "203.0.113.81:443", "192.0.2.1:8443 cart");
	cluster_expect_meshed(cluster, HOST_IP ":30443", "192.0.2.1:8443 cart");
	assert_int_equal(cluster_resolve(cluster, HOST_IP ":30080"), RESOLVED_PLAIN);
	cluster_expect_outside(cluster, "203.0.113.82:443"); /* what ends at the balancer */
	cluster_expect_outside(cluster, "203.0.113.80:22");  /* another port of a host with another owner */
}

static void an_external_address_does_not_take_that_of_a_pod(void **state)
{
	struct cluster *cluster = *state;
	two_meshed_pods(cluster);
	cluster_pod(cluster, &(struct cluster_pod){.name = "pay-1", .ip = "192.0.2.9", .account = "pay"});
	cluster_service(cluster, "thief", "'198.51.100.9'", PORT, ",'externalIPs':['192.0.2.9','198.51.100.1']");
	cluster_slice(cluster, "thief-a", "thief", PORT, "cart-1 192.0.2.1 ready");
	cluster_service(cluster, "pay", "'198.51.100.1'", PORT, "");
	cluster_slice(cluster, "pay-a", "pay", PORT, "pay-1 192.0.2.9 ready");
	cluster_expect_meshed(cluster, "192.0.2.9:80", "192.0.2.9:80 pay");
	cluster_expect_meshed(cluster, "198.51.100.1:80", "192.0.2.9:8080 pay");
}

static void session_affinity_is_part_of_the_answer(void **state)
{
	struct cluster *cluster = *state;
	two_meshed_pods(cluster);
	cluster_service(cluster, "cart", "'198.51.100.1'", PORT, ",'sessionAffinity':'ClientIP'");
	cluster_slice(cluster, "cart-a", "cart", PORT, "cart-1 192.0.2.1 ready, cart-2 192.0.2.2 ready");
	cluster_resolve(cluster, "198.51.100.1:80");
	assert_int_equal(cluster->answer.affinity_s, 10800);
	cluster_service(cluster, "cart", "'198.51.100.1'", PORT,
		",'sessionAffinity':'ClientIP','sessionAffinityConfig':{'clientIP':{'timeoutSeconds':60}}");
	cluster_resolve(cluster, "198.51.100.1:80");
	assert_int_equal(cluster->answer.affinity_s, 60);
	cluster_service(cluster, "cart", "'198.51.100.1'", PORT, ",'sessionAffinity':'None'");
	cluster_resolve(cluster, "198.51.100.1:80");
	assert_int_equal(cluster->answer.affinity_s, 0);
}

static void addresses_that_are_not_ready_are_published_where_the_service_wants_it(void **state)
{
	struct cluster *cluster = *state;
	two_meshed_pods(cluster);
	cluster_service(cluster, "db", "'198.51.100.1'", PORT, ",'publishNotReadyAddresses':true");
	cluster_slice(cluster, "db-a", "db", PORT, "cart-1 192.0.2.1 ready"); /* as the endpoint controller writes it */
	cluster_expect_meshed(cluster, "198.51.100.1:80", "192.0.2.1:8080 cart");
}

/* publishNotReadyAddresses: ready while it ends, so the node's proxy takes it beside those that do not end. */
static void K36_an_endpoint_with_a_sidecar_that_ends_and_is_ready_is_not_reached_in_plaintext(void **state)
{
	struct cluster *cluster = *state;
	two_meshed_pods(cluster);
	cluster_pod(cluster, &(struct cluster_pod){.name = "old", .ip = "192.0.2.3", .is_plain = true});
	cluster_service(cluster, "db", "'198.51.100.1'", PORT, ",'publishNotReadyAddresses':true");
	cluster_put(cluster, KUBE_SLICES,
		"{'metadata':{'name':'db-a','namespace':'shop','uid':'db-a','labels':{'kubernetes.io/service-name':"
		"'db'}},'ports':[{'port':8080}],'endpoints':[{'addresses':['192.0.2.3'],'targetRef':{'kind':'Pod',"
		"'uid':'old'}},{'addresses':['192.0.2.1'],'targetRef':{'kind':'Pod','uid':'cart-1'},'conditions':{"
		"'ready':true,'serving':false,'terminating':true}}]}");
	cluster_expect_meshed(cluster, "198.51.100.1:80", "192.0.2.1:8080 cart");
	/* and where the slice is behind the pod */
	cluster_service(cluster, "cart", "'198.51.100.2'", PORT, "");
	cluster_pod(cluster, &(struct cluster_pod){.name = "cart-2", .ip = "192.0.2.2", .is_deleting = true});
	cluster_slice(cluster, "cart-a", "cart", PORT, "old 192.0.2.3 ready, cart-2 192.0.2.2 ready");
	cluster_expect_meshed(cluster, "198.51.100.2:80", "192.0.2.2:8080 cart");
}

/* The node's proxy takes what ends and serves where nothing is ready. */
static void what_ends_and_serves_decides_where_nothing_is_ready(void **state)
{
	struct cluster *cluster = *state;
	two_meshed_pods(cluster);
	cluster_pod(cluster, &(struct cluster_pod){.name = "old", .ip = "192.0.2.3", .is_plain = true});
	cluster_service(cluster, "cart", "'198.51.100.1'", PORT, "");
	cluster_slice(cluster, "cart-a", "cart", PORT, "old 192.0.2.3 serving, cart-1 192.0.2.1 unready");
	assert_int_equal(cluster_resolve(cluster, "198.51.100.1:80"), RESOLVED_PLAIN);
	cluster_slice(cluster, "cart-a", "cart", PORT, "old 192.0.2.3 serving, cart-1 192.0.2.1 serving");
	cluster_expect_meshed(cluster, "198.51.100.1:80", "192.0.2.1:8080 cart");
	cluster_slice(cluster, "cart-a", "cart", PORT, "old 192.0.2.3 ready, cart-1 192.0.2.1 unready");
	cluster_expect_meshed(cluster, "198.51.100.1:80", ""); /* it was meshed */
}

static void a_family_without_endpoints_is_what_the_service_is(void **state)
{
	struct cluster *cluster = *state;
	two_meshed_pods(cluster);
	cluster_service(cluster, "cart", "'198.51.100.1','2001:db8:1::1'", PORT, "");
	cluster_slice(cluster, "cart-a", "cart", PORT, "cart-2 192.0.2.2 ready");
	cluster_expect_meshed(cluster, "198.51.100.1:80", "192.0.2.2:8080 cart");
	cluster_expect_meshed(cluster, "[2001:db8:1::1]:80", "");
}

static void a_meshed_service_that_becomes_a_name_leaves_its_address_meshed(void **state)
{
	struct cluster *cluster = *state;
	two_meshed_pods(cluster);
	cluster_service(cluster, "cart", "'198.51.100.1'", PORT, "");
	cluster_slice(cluster, "cart-a", "cart", PORT, "cart-1 192.0.2.1 ready");
	cluster_put(cluster, KUBE_SERVICES,
		"{'metadata':{'name':'cart','namespace':'shop','uid':'cart'},'spec':{'type':'ExternalName',"
		"'externalName':'db.example.org','ports':[{'port':80}]}}");
	cluster_expect_meshed(cluster, "198.51.100.1:80", "");
	/* the next Service with its address decides */
	cluster_pod(cluster, &(struct cluster_pod){.name = "old", .ip = "192.0.2.3", .is_plain = true});
	cluster_service(cluster, "old", "'198.51.100.1'", PORT, "");
	cluster_slice(cluster, "old-a", "old", PORT, "old 192.0.2.3 ready");
	assert_int_equal(cluster_resolve(cluster, "198.51.100.1:80"), RESOLVED_PLAIN);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CLUSTER_TEST(a_service_has_the_endpoints_that_are_ready_and_have_a_sidecar),
		CLUSTER_TEST(a_service_without_a_sidecar_is_plaintext),
		CLUSTER_TEST(endpoints_that_end_and_serve_come_after_the_others),
		CLUSTER_TEST(a_pod_that_is_being_deleted_drains_though_it_is_ready_again),
		CLUSTER_TEST(ports_are_matched_by_name_and_named_target_ports_differ_by_slice),
		CLUSTER_TEST(each_address_of_a_dual_stack_service_has_the_endpoints_of_its_family),
		CLUSTER_TEST(pods_of_a_headless_service_answer_for_themselves),
		CLUSTER_TEST(a_service_has_a_cluster_ip_by_its_name),
		CLUSTER_TEST(an_external_name_has_no_address),
		CLUSTER_TEST(arrivals_at_a_load_balancer_or_a_port_of_a_node_are_the_services),
		CLUSTER_TEST(an_external_address_does_not_take_that_of_a_pod),
		CLUSTER_TEST(session_affinity_is_part_of_the_answer),
		CLUSTER_TEST(addresses_that_are_not_ready_are_published_where_the_service_wants_it),
		CLUSTER_TEST(K36_an_endpoint_with_a_sidecar_that_ends_and_is_ready_is_not_reached_in_plaintext),
		CLUSTER_TEST(what_ends_and_serves_decides_where_nothing_is_ready),
		CLUSTER_TEST(a_family_without_endpoints_is_what_the_service_is),
		CLUSTER_TEST(a_meshed_service_that_becomes_a_name_leaves_its_address_meshed),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
