/* The zones of endpoints and nodes, as slices have them. */
#include "base/core/zone.h"
#include "control/kube/test_cluster.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka requires the headers above */
#include <cmocka.h>

static uint32_t east(void)
{
	return zone_of(SPAN_LITERAL("east"));
}

static uint32_t zone_at(const struct cluster *cluster, const char *ip_text)
{
	struct ip_addr ip;
	assert_int_equal(ip_addr_parse(span_of_str(ip_text), &ip), ERR_NONE);
	return kube_view_zone(cluster->view, &ip);
}

/* The slice of one pod, with more members of its endpoint. */
static void put_slice(struct cluster *cluster, const char *pod, const char *ip, const char *more)
{
	cluster_put(cluster, KUBE_SLICES,
		"{'kind':'EndpointSlice','metadata':{'name':'s-%s','namespace':'shop','uid':'s-%s','labels':{"
		"'kubernetes.io/service-name':'cart'}},'addressType':'IPv4','endpoints':[{'addresses':['%s'],"
		"'conditions':{'ready':true},'targetRef':{'kind':'Pod','name':'%s','uid':'%s'}%s}],'ports':[{'name':"
		"'http','protocol':'TCP','port':8080}]}",
		pod, pod, ip, pod, pod, more);
}

static void make_cart(struct cluster *cluster)
{
	cluster_service(cluster, "cart", "'203.0.113.80'", "http 80 8080", "");
	cluster_pod(cluster, &(struct cluster_pod){.name = "cart-1", .ip = "192.0.2.1"});
}

static const uint32_t *zones_of_cart(struct cluster *cluster)
{
	assert_int_equal(cluster_resolve(cluster, "203.0.113.80:80"), RESOLVED_MESHED);
	assert_int_equal(cluster->answer.num_endpoints, 1);
	return cluster->answer.endpoints[0].zones;
}

static void an_endpoint_is_preferred_in_its_own_zone(void **state)
{
	struct cluster *cluster = *state;
	make_cart(cluster);
	put_slice(cluster, "cart-1", "192.0.2.1", ",'zone':'east'");
	assert_int_equal(zones_of_cart(cluster)[0], east());
	assert_int_equal(zones_of_cart(cluster)[1], 0);
}

static void hints_go_before_the_zone_and_a_change_of_them_is_noticed(void **state)
{
	struct cluster *cluster = *state;
	make_cart(cluster);
	put_slice(cluster, "cart-1", "192.0.2.1",
		",'zone':'east','hints':{'forZones':[{'name':'west'},{'name':'north'},{'name':'c'},{'name':'d'},"
		"{'name':'e'}]}");
	assert_int_equal(zones_of_cart(cluster)[0], zone_of(SPAN_LITERAL("west")));
	assert_int_equal(zones_of_cart(cluster)[3], zone_of(SPAN_LITERAL("d"))); /* and no more */
	cluster_forget_changes(cluster);
	put_slice(cluster, "cart-1", "192.0.2.1", ",'zone':'east','hints':{'forZones':[{'name':'south'}]}");
	assert_true(cluster_has_changed(cluster, "203.0.113.80"));
	assert_int_equal(zones_of_cart(cluster)[0], zone_of(SPAN_LITERAL("south")));
	assert_int_equal(zones_of_cart(cluster)[1], 0);
	put_slice(cluster, "cart-1", "192.0.2.1", ",'zone':'east','hints':{'forZones':[{'name':''},7]}");
	assert_int_equal(zones_of_cart(cluster)[0], east());
}

static void pods_have_the_zone_of_their_node_also_those_of_no_service(void **state)
{
	struct cluster *cluster = *state;
	make_cart(cluster);
	cluster_pod(cluster, &(struct cluster_pod){.name = "shop-1", .ip = "192.0.2.2"});
	assert_int_equal(zone_at(cluster, "192.0.2.2"), 0);
	cluster_forget_changes(cluster);
	put_slice(cluster, "cart-1", "192.0.2.1", ",'zone':'east'");
	assert_true(cluster_has_changed(cluster, HOST_IP));
	assert_int_equal(zone_at(cluster, "192.0.2.1"), east());
	assert_int_equal(zone_at(cluster, "192.0.2.2"), east());
	assert_int_equal(zone_at(cluster, HOST_IP), east()); /* of pods in its network */
	assert_int_equal(zone_at(cluster, "192.0.2.3"), 0);
}

static void a_slice_that_comes_before_its_pod_counts_when_the_pod_comes(void **state)
{
	struct cluster *cluster = *state;
	put_slice(cluster, "cart-1", "192.0.2.1", ",'zone':'east'");
	assert_int_equal(zone_at(cluster, HOST_IP), 0);
	make_cart(cluster);
	assert_int_equal(zone_at(cluster, "192.0.2.1"), east());
}

static void a_node_keeps_its_zone_while_no_other_has_more_pods(void **state)
{
	struct cluster *cluster = *state;
	make_cart(cluster);
	cluster_pod(cluster, &(struct cluster_pod){.name = "evil-1", .ip = "192.0.2.2"});
	put_slice(cluster, "cart-1", "192.0.2.1", ",'zone':'east'");
	cluster_forget_changes(cluster);
	put_slice(cluster, "evil-1", "192.0.2.2", ",'zone':'west'");
	assert_int_equal(zone_at(cluster, "192.0.2.1"), east());
	assert_false(cluster_has_changed(cluster, HOST_IP));
	put_slice(cluster, "-", "192.0.2.9", ",'zone':'west'"); /* of no pod */
	assert_int_equal(zone_at(cluster, "192.0.2.9"), 0);
}

static void most_pods_of_a_node_decide_on_its_zone(void **state)
{
	struct cluster *cluster = *state;
	make_cart(cluster);
	cluster_pod(cluster, &(struct cluster_pod){.name = "cart-2", .ip = "192.0.2.2"});
	cluster_pod(cluster, &(struct cluster_pod){.name = "cart-3", .ip = "192.0.2.3"});
	put_slice(cluster, "cart-1", "192.0.2.1", ",'zone':'west'"); /* a wrong one, and the first */
	put_slice(cluster, "cart-2", "192.0.2.2", ",'zone':'east'");
	assert_int_equal(zone_at(cluster, HOST_IP), zone_of(SPAN_LITERAL("west")));
	cluster_forget_changes(cluster);
	put_slice(cluster, "cart-3", "192.0.2.3", ",'zone':'east'");
	assert_true(cluster_has_changed(cluster, HOST_IP));
	assert_int_equal(zone_at(cluster, HOST_IP), east());
	cluster_delete(cluster, KUBE_PODS, "cart-2"); /* as many for each */
	assert_int_equal(zone_at(cluster, HOST_IP), east());
	cluster_delete(cluster, KUBE_PODS, "cart-3");
	assert_int_equal(zone_at(cluster, HOST_IP), zone_of(SPAN_LITERAL("west")));
}

static void a_pod_has_one_vote_the_last(void **state)
{
	struct cluster *cluster = *state;
	make_cart(cluster);
	put_slice(cluster, "cart-1", "192.0.2.1", ",'zone':'west'");
	put_slice(cluster, "cart-1", "192.0.2.1", ",'zone':'north'");
	put_slice(cluster, "cart-1", "192.0.2.1", ",'zone':'east'");
	assert_int_equal(zone_at(cluster, HOST_IP), east());
}

/* A slice of that namespace whose endpoint is pod cart-1 at this address. */
static void put_slice_in(struct cluster *cluster, const char *namespace_, const char *ip)
{
	cluster_put(cluster, KUBE_SLICES,
		"{'kind':'EndpointSlice','metadata':{'name':'x','namespace':'%s','uid':'s-x','labels':{"
		"'kubernetes.io/service-name':'x'}},'addressType':'IPv4','endpoints':[{'addresses':['%s'],"
		"'conditions':{'ready':true},'targetRef':{'kind':'Pod','name':'cart-1','uid':'cart-1'},'zone':'west'"
		"}],'ports':[]}",
		namespace_, ip);
}

static void K41_a_slice_of_another_namespace_has_no_vote_on_a_node(void **state)
{
	struct cluster *cluster = *state;
	make_cart(cluster);
	put_slice_in(cluster, "evil", "192.0.2.1");
	assert_int_equal(zone_at(cluster, HOST_IP), 0);
	put_slice(cluster, "cart-1", "192.0.2.1", ",'zone':'east'");
	assert_int_equal(zone_at(cluster, HOST_IP), east());
	put_slice_in(cluster, "evil", "192.0.2.1");
	assert_int_equal(zone_at(cluster, "192.0.2.1"), east());
}

static void K41_an_endpoint_at_another_address_has_no_vote_on_the_node_of_its_pod(void **state)
{
	struct cluster *cluster = *state;
	make_cart(cluster);
	put_slice_in(cluster, "shop", "198.51.100.9");
	assert_int_equal(zone_at(cluster, HOST_IP), 0);
	put_slice_in(cluster, "shop", "192.0.2.1");
	assert_int_equal(zone_at(cluster, HOST_IP), zone_of(SPAN_LITERAL("west")));
}

static void the_next_node_with_an_address_has_no_zone_yet(void **state)
{
	struct cluster *cluster = *state;
	make_cart(cluster);
	put_slice(cluster, "cart-1", "192.0.2.1", ",'zone':'east'");
	cluster_delete(cluster, KUBE_SLICES, "s-cart-1");
	assert_int_equal(zone_at(cluster, HOST_IP), east());
	cluster_delete(cluster, KUBE_PODS, "cart-1");
	cluster_pod(cluster, &(struct cluster_pod){.name = "shop-1", .ip = "192.0.2.2"});
	assert_int_equal(zone_at(cluster, HOST_IP), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CLUSTER_TEST(an_endpoint_is_preferred_in_its_own_zone),
		CLUSTER_TEST(hints_go_before_the_zone_and_a_change_of_them_is_noticed),
		CLUSTER_TEST(pods_have_the_zone_of_their_node_also_those_of_no_service),
		CLUSTER_TEST(a_slice_that_comes_before_its_pod_counts_when_the_pod_comes),
		CLUSTER_TEST(a_node_keeps_its_zone_while_no_other_has_more_pods),
		CLUSTER_TEST(most_pods_of_a_node_decide_on_its_zone),
		CLUSTER_TEST(a_pod_has_one_vote_the_last),
		CLUSTER_TEST(K41_a_slice_of_another_namespace_has_no_vote_on_a_node),
		CLUSTER_TEST(K41_an_endpoint_at_another_address_has_no_vote_on_the_node_of_its_pod),
		CLUSTER_TEST(the_next_node_with_an_address_has_no_zone_yet),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
