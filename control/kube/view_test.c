/* Pods and their addresses. */
#include "control/kube/test_cluster.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
/* cmocka requires the headers above */
#include <cmocka.h>

static void a_pod_with_our_sidecar_is_meshed_with_its_account_as_identity(void **state)
{
	struct cluster *cluster = *state;
	cluster_pod(cluster, &(struct cluster_pod){.name = "cart-1", .ip = "192.0.2.1", .ip6 = "2001:db8::1"});
	cluster_expect_meshed(cluster, "192.0.2.1:8080", "192.0.2.1:8080 cart");
	cluster_expect_meshed(cluster, "[2001:db8::1]:9", "[2001:db8::1]:9 cart");
}

static void the_metrics_of_a_sidecar_are_scraped_in_plaintext(void **state)
{
	struct cluster *cluster = *state;
	cluster_pod(cluster, &(struct cluster_pod){.name = "cart-1", .ip = "192.0.2.1"});
	assert_int_equal(cluster_resolve(cluster, "192.0.2.1:15020"), RESOLVED_PLAIN);
	cluster_expect_meshed(cluster, "192.0.2.1:15021", "192.0.2.1:15021 cart");
	cluster_delete(cluster, KUBE_PODS, "cart-1");
	cluster_expect_meshed(cluster, "192.0.2.1:15020", "");
}

static void a_pod_without_our_sidecar_is_plaintext(void **state)
{
	struct cluster *cluster = *state;
	cluster_pod(cluster, &(struct cluster_pod){.name = "cart-1", .ip = "192.0.2.1", .is_plain = true});
	assert_int_equal(cluster_resolve(cluster, "192.0.2.1:8080"), RESOLVED_PLAIN);
	assert_string_equal(cluster->answer.reason, "the pod shop/cart-1 has no sidecar");
	cluster_put(cluster, KUBE_PODS,
		"{'metadata':{'name':'a','namespace':'shop','uid':'a','annotations':{'handfast.dev/injected':'true'}},"
		"'spec':{'containers':[{'name':'app'}]},'status':{'podIP':'192.0.2.2'}}");
	assert_int_equal(cluster_resolve(cluster, "192.0.2.2:8080"), RESOLVED_PLAIN);
}

/* A pod of an Istio mesh with this annotation or these labels, beside a container of ours or not. */
static void put_foreign(struct cluster *cluster, const char *name, const char *ip, const char *meta, bool is_ours)
{
	cluster_put(cluster, KUBE_PODS,
		"{'metadata':{'name':'%s','namespace':'shop','uid':'%s',%s},'spec':{'serviceAccountName':'cart',"
		"'containers':[{'name':'%s'}]},'status':{'podIPs':[{'ip':'%s'}]}}",
		name, name, meta, is_ours ? "handfast" : "app", ip);
}

#define AMBIENT "'annotations':{'ambient.istio.io/redirection':'enabled'}"
#define TUNNEL  "'labels':{'networking.istio.io/tunnel':'http'}"
#define TLS     "'labels':{'security.istio.io/tlsMode':'istio'}"
#define NOTHING "'annotations':{'ambient.istio.io/redirection':'disabled'}"
#define OURS    "'annotations':{'handfast.dev/injected':'true'},'labels':{'security.istio.io/tlsMode':'istio'}"

static void a_pod_of_istio_is_plaintext_unless_it_is_to_count(void **state)
{
	struct cluster *cluster = *state;
	put_foreign(cluster, "a", "192.0.2.1", AMBIENT, false);
	put_foreign(cluster, "b", "192.0.2.2", TLS, false);
	assert_int_equal(cluster_resolve(cluster, "192.0.2.1:80"), RESOLVED_PLAIN);
	assert_int_equal(cluster_resolve(cluster, "192.0.2.2:80"), RESOLVED_PLAIN);
}

static void pods_of_istio_are_meshed_by_their_own_transport(void **state)
{
	struct cluster *cluster = *state;
	kube_view_take_istio(cluster->view);
	put_foreign(cluster, "a", "192.0.2.1", AMBIENT, false);
	put_foreign(cluster, "b", "192.0.2.2", TUNNEL, false);
	put_foreign(cluster, "c", "192.0.2.3", TLS, false);
	put_foreign(cluster, "d", "192.0.2.4", NOTHING, false);
	cluster_expect_meshed(cluster, "192.0.2.1:80", "192.0.2.1:80 cart");
	assert_false(cluster->answer.endpoints[0].is_istio_tls);
	cluster_expect_meshed(cluster, "192.0.2.2:80", "192.0.2.2:80 cart");
	assert_false(cluster->answer.endpoints[0].is_istio_tls);
	cluster_expect_meshed(cluster, "192.0.2.3:15020", "192.0.2.3:15020 cart"); /* not a port of ours */
	assert_true(cluster->answer.endpoints[0].is_istio_tls);
	assert_int_equal(cluster_resolve(cluster, "192.0.2.4:80"), RESOLVED_PLAIN);
	cluster_service(cluster, "cart", "'198.51.100.1'", "- 80 8080", "");
	cluster_slice(cluster, "s", "cart", "- 80 8080", "a 192.0.2.1 ready, c 192.0.2.3 ready");
	cluster_expect_meshed(cluster, "198.51.100.1:80", "192.0.2.1:8080 cart, 192.0.2.3:8080 cart");
	assert_false(cluster->answer.endpoints[0].is_istio_tls);
	assert_true(cluster->answer.endpoints[1].is_istio_tls);
}

static void what_istio_takes_away_from_a_pod_makes_it_no_plaintext(void **state)
{
	struct cluster *cluster = *state;
	kube_view_take_istio(cluster->view);
	put_foreign(cluster, "a", "192.0.2.1", TLS, false);
	put_foreign(cluster, "a", "192.0.2.1", NOTHING, false);
	cluster_expect_meshed(cluster, "192.0.2.1:80", "192.0.2.1:80 cart");
	assert_true(cluster->answer.endpoints[0].is_istio_tls);
	put_foreign(cluster, "a", "192.0.2.1", AMBIENT, false);
	cluster_expect_meshed(cluster, "192.0.2.1:80", "192.0.2.1:80 cart");
	assert_false(cluster->answer.endpoints[0].is_istio_tls);
}

static void a_sidecar_of_ours_goes_before_istios(void **state)
{
	struct cluster *cluster = *state;
	kube_view_take_istio(cluster->view);
	put_foreign(cluster, "a", "192.0.2.1", OURS, true);
	cluster_expect_meshed(cluster, "192.0.2.1:80", "192.0.2.1:80 cart");
	assert_false(cluster->answer.endpoints[0].is_istio_tls);
	assert_int_equal(cluster_resolve(cluster, "192.0.2.1:15020"), RESOLVED_PLAIN);
}

static void a_pod_on_the_network_of_its_node_is_plaintext(void **state)
{
	struct cluster *cluster = *state;
	struct kube_pod_view pod;
	struct ip_addr ip;
	cluster_pod(cluster, &(struct cluster_pod){.name = "agent", .ip = HOST_IP, .is_host_network = true});
	assert_int_equal(cluster_resolve(cluster, HOST_IP ":9100"), RESOLVED_PLAIN);
	assert_string_equal(cluster->answer.reason, "it is an address of a node");
	assert_int_equal(ip_addr_parse(span_of_str(HOST_IP), &ip), ERR_NONE);
	assert_false(kube_view_pod_at(cluster->view, &ip, &pod));
	cluster_delete(cluster, KUBE_PODS, "agent");
	cluster_expect_outside(cluster, HOST_IP ":9100");
}

static const char *pod_at(const struct cluster *cluster, const char *text)
{
	struct kube_pod_view pod = {0};
	struct ip_addr ip;
	assert_int_equal(ip_addr_parse(span_of_str(text), &ip), ERR_NONE);
	return kube_view_pod_at(cluster->view, &ip, &pod) ? pod.uid : "";
}

static void the_newest_running_pod_owns_an_address(void **state)
{
	struct cluster *cluster = *state;
	struct cluster_pod old = {.name = "old", .ip = "192.0.2.1", .minute = 1};
	struct cluster_pod new = {.name = "new", .ip = "192.0.2.1", .minute = 2, .account = "pay"};
	cluster_pod(cluster, &new);
	cluster_pod(cluster, &old);
	cluster_expect_meshed(cluster, "192.0.2.1:80", "192.0.2.1:80 pay");
	assert_string_equal(pod_at(cluster, "192.0.2.1"), "new");
	new.is_deleting = true;
	cluster_pod(cluster, &new);
	cluster_expect_meshed(cluster, "192.0.2.1:80", "192.0.2.1:80 cart");
	old.has_finished = true;
	cluster_pod(cluster, &old);
	assert_string_equal(pod_at(cluster, "192.0.2.1"), "new");
	cluster_delete(cluster, KUBE_PODS, "new");
	assert_string_equal(pod_at(cluster, "192.0.2.1"), "");
}

static void what_attestation_needs_of_a_pod(void **state)
{
	struct cluster *cluster = *state;
	struct kube_pod_view pod;
	struct ip_addr ip;
	cluster_pod(cluster, &(struct cluster_pod){.name = "cart-1", .ip = "192.0.2.1", .is_deleting = true});
	assert_int_equal(ip_addr_parse(span_of_str("192.0.2.1"), &ip), ERR_NONE);
	assert_true(kube_view_pod_at(cluster->view, &ip, &pod));
	assert_string_equal(pod.namespace_, "shop");
	assert_string_equal(pod.service_account, "cart");
	assert_string_equal(pod.name, "cart-1");
	assert_true(pod.has_sidecar);
	assert_true(pod.is_deleting);
	assert_true(kube_view_has_pod(cluster->view, "shop", "cart-1"));
	assert_false(
		kube_view_has_pod(cluster->view, "shop", "cart") || kube_view_has_pod(cluster->view, "ops", "cart-1"));
	kube_view_set_stale(cluster->view, true);
	assert_true(kube_view_has_pod(cluster->view, "shop", "cart-1"));
	cluster_pod(cluster, &(struct cluster_pod){.name = "cart-1", .ip = "192.0.2.1", .has_finished = true});
	assert_false(kube_view_has_pod(cluster->view, "shop", "cart-1"));
}

static void a_change_concerns_the_pod_and_the_services_that_it_serves_alone(void **state)
{
	struct cluster *cluster = *state;
	struct cluster_pod pod = {.name = "cart-1", .ip = "192.0.2.1"};
	cluster_service(cluster, "cart", "'198.51.100.1','2001:db8:1::1'", "- 80 8080", "");
	cluster_service(cluster, "all", "'198.51.100.2'", "- 80 8080", "");
	cluster_service(cluster, "pay", "'198.51.100.3'", "- 80 8080", "");
	cluster_slice(cluster, "cart-a", "cart", "- 80 8080", "cart-1 192.0.2.1 ready");
	cluster_slice(cluster, "all-a", "all", "- 80 8080", "cart-1 192.0.2.1 ready, pay-1 192.0.2.9 ready");
	cluster_slice(cluster, "pay-a", "pay", "- 80 8080", "pay-1 192.0.2.9 ready");
	cluster_forget_changes(cluster);
	cluster_pod(cluster, &pod);
	assert_true(cluster_has_changed(cluster, "192.0.2.1"));
	assert_true(cluster_has_changed(cluster, "198.51.100.1"));
	assert_true(cluster_has_changed(cluster, "2001:db8:1::1"));
	assert_true(cluster_has_changed(cluster, "198.51.100.2"));
	assert_false(cluster_has_changed(cluster, "198.51.100.3"));
	cluster_forget_changes(cluster);
	cluster_pod(cluster, &pod); /* most events of a pod concern no answer */
	assert_int_equal(cluster->num_changes, 0);
	pod.is_deleting = true;
	cluster_pod(cluster, &pod);
	assert_true(cluster_has_changed(cluster, "198.51.100.1"));
}

static void an_object_that_is_none_changes_nothing(void **state)
{
	struct cluster *cluster = *state;
	struct why why = {0};
	json_t *object = json_pack("{s{ss}}", "metadata", "name", "x");
	for (enum kube_kind kind = 0; kind < NUM_KUBE_KINDS; kind++) {
		assert_int_equal(kube_view_put(cluster->view, kind, object, &why), ERR_MALFORMED);
		assert_int_equal(kube_view_deleted(cluster->view, kind, object, &why), ERR_MALFORMED);
	}
	json_decref(object);
	assert_int_equal(cluster->num_changes, 0);
}

static void pods_that_lack_a_sidecar_in_an_injected_namespace_are_counted(void **state)
{
	struct cluster *cluster = *state;
	struct kube_namespace_view namespace_;
	struct kube_unmeshed unmeshed;
	cluster_pod(cluster, &(struct cluster_pod){.name = "old", .ip = "192.0.2.1", .is_plain = true});
	cluster_pod(cluster, &(struct cluster_pod){.name = "job", .is_plain = true, .has_finished = true});
	cluster_pod(cluster, &(struct cluster_pod){.name = "end", .is_plain = true, .is_deleting = true});
	cluster_pod(cluster, &(struct cluster_pod){.name = "cart-1", .ip = "192.0.2.2"});
	cluster_put(cluster, KUBE_PODS,
		"{'metadata':{'name':'out','namespace':'shop','uid':'out','labels':{'handfast.dev/inject':'disabled'}},"
		"'spec':{}}");
	kube_view_unmeshed(cluster->view, &unmeshed);
	assert_int_equal(unmeshed.num, 0);
	assert_false(kube_view_namespace(cluster->view, "shop", &namespace_));
	cluster_put(cluster, KUBE_NAMESPACES,
		"{'metadata':{'name':'shop','uid':'shop','labels':{'handfast.dev/inject':'enabled',"
		"'pod-security.kubernetes.io/enforce':'baseline'}}}");
	kube_view_unmeshed(cluster->view, &unmeshed);
	assert_int_equal(unmeshed.num, 1);
	assert_string_equal(unmeshed.example, "shop/old");
	assert_true(kube_view_namespace(cluster->view, "shop", &namespace_));
	assert_true(namespace_.is_injected);
	assert_string_equal(namespace_.pod_security, "baseline");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CLUSTER_TEST(a_pod_with_our_sidecar_is_meshed_with_its_account_as_identity),
		CLUSTER_TEST(the_metrics_of_a_sidecar_are_scraped_in_plaintext),
		CLUSTER_TEST(a_pod_without_our_sidecar_is_plaintext),
		CLUSTER_TEST(a_pod_of_istio_is_plaintext_unless_it_is_to_count),
		CLUSTER_TEST(pods_of_istio_are_meshed_by_their_own_transport),
		CLUSTER_TEST(what_istio_takes_away_from_a_pod_makes_it_no_plaintext),
		CLUSTER_TEST(a_sidecar_of_ours_goes_before_istios),
		CLUSTER_TEST(a_pod_on_the_network_of_its_node_is_plaintext),
		CLUSTER_TEST(the_newest_running_pod_owns_an_address),
		CLUSTER_TEST(what_attestation_needs_of_a_pod),
		CLUSTER_TEST(a_change_concerns_the_pod_and_the_services_that_it_serves_alone),
		CLUSTER_TEST(an_object_that_is_none_changes_nothing),
		CLUSTER_TEST(pods_that_lack_a_sidecar_in_an_injected_namespace_are_counted),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
