/* Absence never becomes plaintext (decision 008). */
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
#define MINUTE_MS 60000

static void meshed_service(struct cluster *cluster)
{
	cluster_pod(cluster, &(struct cluster_pod){.name = "cart-1", .ip = "192.0.2.1"});
	cluster_service(cluster, "cart", "'198.51.100.1'", PORT, "");
	cluster_slice(cluster, "cart-a", "cart", PORT, "cart-1 192.0.2.1 ready");
}

static void every_address_is_unknown_until_the_whole_state_has_come(void **state)
{
	struct cluster *cluster = *state;
	cluster_pod(cluster, &(struct cluster_pod){.name = "old", .ip = "192.0.2.1", .is_plain = true});
	cluster_synced(cluster, KUBE_PODS);
	cluster_synced(cluster, KUBE_SERVICES);
	assert_int_equal(cluster_resolve(cluster, "192.0.2.1:80"), RESOLVED_UNKNOWN);
	cluster_expect_unknown(cluster, "198.51.100.9:80");
	assert_int_equal(cluster->num_changes, 0);
	cluster_synced(cluster, KUBE_SLICES);
	assert_int_equal(cluster->num_changes, 1); /* any address */
	assert_int_equal(cluster_resolve(cluster, "192.0.2.1:80"), RESOLVED_PLAIN);
	cluster_expect_outside(cluster, "198.51.100.9:80");
}

static void a_service_without_endpoints_is_what_it_was(void **state)
{
	struct cluster *cluster = *state;
	cluster_service(cluster, "new", "'198.51.100.3'", PORT, "");
	cluster_slice(cluster, "new-a", "new", "", "");
	assert_int_equal(cluster_resolve(cluster, "198.51.100.3:80"), RESOLVED_UNKNOWN);
	meshed_service(cluster);
	cluster_slice(cluster, "cart-a", "cart", PORT, "");
	cluster_expect_meshed(cluster, "198.51.100.1:80", "");
	cluster_delete(cluster, KUBE_SLICES, "cart-a");
	cluster_expect_meshed(cluster, "198.51.100.1:80", "");
	cluster_pod(cluster, &(struct cluster_pod){.name = "old", .ip = "192.0.2.3", .is_plain = true});
	cluster_slice(cluster, "cart-b", "cart", PORT, "old 192.0.2.3 ready");
	assert_int_equal(cluster_resolve(cluster, "198.51.100.1:80"), RESOLVED_PLAIN);
	cluster_slice(cluster, "cart-b", "cart", PORT, "");
	assert_int_equal(cluster_resolve(cluster, "198.51.100.1:80"), RESOLVED_PLAIN);
}

static void a_meshed_service_stays_so_while_its_meshed_endpoints_fail_their_probes(void **state)
{
	struct cluster *cluster = *state;
	meshed_service(cluster);
	cluster_pod(cluster, &(struct cluster_pod){.name = "old", .ip = "192.0.2.3", .is_plain = true});
	cluster_slice(cluster, "cart-a", "cart", PORT, "cart-1 192.0.2.1 unready, old 192.0.2.3 ready");
	cluster_expect_meshed(cluster, "198.51.100.1:80", "");
	cluster_slice(cluster, "cart-a", "cart", PORT, "old 192.0.2.3 ready"); /* sidecars were taken away */
	assert_int_equal(cluster_resolve(cluster, "198.51.100.1:80"), RESOLVED_PLAIN);
}

static void a_rollout_of_sidecars_is_plaintext_until_the_first_is_ready(void **state)
{
	struct cluster *cluster = *state;
	cluster_pod(cluster, &(struct cluster_pod){.name = "old", .ip = "192.0.2.3", .is_plain = true});
	cluster_pod(cluster, &(struct cluster_pod){.name = "cart-1", .ip = "192.0.2.1"});
	cluster_service(cluster, "cart", "'198.51.100.1'", PORT, "");
	cluster_slice(cluster, "cart-a", "cart", PORT, "cart-1 192.0.2.1 unready, old 192.0.2.3 ready");
	assert_int_equal(cluster_resolve(cluster, "198.51.100.1:80"), RESOLVED_PLAIN);
	cluster_slice(cluster, "cart-a", "cart", PORT, "cart-1 192.0.2.1 unready");
	cluster_expect_meshed(cluster, "198.51.100.1:80", "");
	cluster_slice(cluster, "cart-a", "cart", PORT, "cart-1 192.0.2.1 ready");
	cluster_expect_meshed(cluster, "198.51.100.1:80", "192.0.2.1:8080 cart");
}

static void an_endpoint_that_was_never_ready_does_not_keep_others_from_being_used(void **state)
{
	struct cluster *cluster = *state;
	cluster_pod(cluster, &(struct cluster_pod){.name = "old", .ip = "192.0.2.3", .is_plain = true});
	cluster_pod(cluster, &(struct cluster_pod){.name = "cart-1", .ip = "192.0.2.1"});
	cluster_service(cluster, "cart", "'198.51.100.1'", PORT, "");
	cluster_slice(cluster, "cart-a", "cart", PORT, "cart-1 192.0.2.1 unready");
	cluster_expect_meshed(cluster, "198.51.100.1:80", "");
	cluster_slice(cluster, "cart-a", "cart", PORT, "cart-1 192.0.2.1 unready, old 192.0.2.3 ready");
	assert_int_equal(cluster_resolve(cluster, "198.51.100.1:80"), RESOLVED_PLAIN);
}

static void an_address_that_was_meshed_and_has_no_owner_stays_meshed_without_an_endpoint(void **state)
{
	struct cluster *cluster = *state;
	meshed_service(cluster);
	kube_view_pass(cluster->view, MINUTE_MS);
	cluster_delete(cluster, KUBE_PODS, "cart-1");
	cluster_delete(cluster, KUBE_SERVICES, "cart");
	cluster_delete(cluster, KUBE_SLICES, "cart-a");
	cluster_expect_meshed(cluster, "192.0.2.1:80", "");
	cluster_expect_meshed(cluster, "198.51.100.1:80", "");
	kube_view_pass(cluster->view, MINUTE_MS + KUBE_VIEW_GONE_MS - 1);
	cluster_expect_meshed(cluster, "192.0.2.1:80", "");
	cluster_forget_changes(cluster);
	kube_view_pass(cluster->view, MINUTE_MS + KUBE_VIEW_GONE_MS);
	assert_true(cluster_has_changed(cluster, "192.0.2.1"));
	cluster_expect_unknown(cluster, "192.0.2.1:80");
}

static void the_next_owner_decides_about_an_address_that_was_meshed(void **state)
{
	struct cluster *cluster = *state;
	meshed_service(cluster);
	cluster_pod(cluster, &(struct cluster_pod){.name = "cart-1", .ip = "192.0.2.1", .has_finished = true});
	cluster_expect_meshed(cluster, "192.0.2.1:80", "");
	cluster_pod(cluster, &(struct cluster_pod){.name = "old", .ip = "192.0.2.1", .is_plain = true});
	assert_int_equal(cluster_resolve(cluster, "192.0.2.1:80"), RESOLVED_PLAIN);
	cluster_delete(cluster, KUBE_PODS, "old");
	cluster_expect_unknown(cluster, "192.0.2.1:80");
}

static void an_address_that_another_account_has_now_is_no_endpoint_of_the_service(void **state)
{
	struct cluster *cluster = *state;
	meshed_service(cluster);
	cluster_delete(cluster, KUBE_PODS, "cart-1"); /* the slice is behind */
	cluster_pod(cluster, &(struct cluster_pod){.name = "evil-1", .ip = "192.0.2.1", .account = "evil"});
	cluster_expect_meshed(cluster, "198.51.100.1:80", "");
	cluster_expect_meshed(cluster, "192.0.2.1:80", "192.0.2.1:80 evil");
}

static void an_endpoint_whose_pod_has_not_come_in_is_not_taken_for_plaintext(void **state)
{
	struct cluster *cluster = *state;
	cluster_service(cluster, "cart", "'198.51.100.1'", PORT, "");
	cluster_slice(cluster, "cart-a", "cart", PORT, "cart-1 192.0.2.1 ready");
	assert_int_equal(cluster_resolve(cluster, "198.51.100.1:80"), RESOLVED_UNKNOWN);
	cluster_forget_changes(cluster);
	cluster_pod(cluster, &(struct cluster_pod){.name = "cart-1", .ip = "192.0.2.1"});
	assert_true(cluster_has_changed(cluster, "198.51.100.1"));
	cluster_expect_meshed(cluster, "198.51.100.1:80", "192.0.2.1:8080 cart");
}

static void an_annotation_that_is_taken_away_does_not_turn_encryption_off(void **state)
{
	struct cluster *cluster = *state;
	meshed_service(cluster);
	cluster_pod(cluster, &(struct cluster_pod){.name = "cart-1", .ip = "192.0.2.1", .is_plain = true});
	cluster_expect_meshed(cluster, "192.0.2.1:80", "192.0.2.1:80 cart");
}

static void a_sidecar_that_was_not_injected_is_not_taken_for_plaintext(void **state)
{
	struct cluster *cluster = *state;
	cluster_put(cluster, KUBE_PODS,
		"{'metadata':{'name':'own','namespace':'shop','uid':'own'},'spec':{'initContainers':[{'name':'handfast'"
		"}]},"
		"'status':{'podIP':'192.0.2.5'}}");
	cluster_service(cluster, "own", "'198.51.100.5'", PORT, "");
	cluster_slice(cluster, "own-a", "own", PORT, "own 192.0.2.5 ready");
	cluster_expect_unknown(cluster, "192.0.2.5:80"); /* its claim decides */
	assert_int_equal(cluster_resolve(cluster, "198.51.100.5:80"), RESOLVED_UNKNOWN);
}

static void a_new_generation_takes_over_when_it_is_whole(void **state)
{
	struct cluster *cluster = *state;
	meshed_service(cluster);
	cluster_pod(cluster, &(struct cluster_pod){.name = "cart-2", .ip = "192.0.2.2"});
	cluster_forget_changes(cluster);
	for (enum kube_kind kind = 0; kind < NUM_KUBE_KINDS; kind++)
		cluster_begin(cluster, kind);
	cluster_pod(cluster, &(struct cluster_pod){.name = "cart-2", .ip = "192.0.2.2"});
	cluster_service(cluster, "cart", "'198.51.100.1'", PORT, "");
	cluster_slice(cluster, "cart-a", "cart", PORT, "cart-1 192.0.2.1 ready");
	cluster_expect_meshed(cluster, "198.51.100.1:80", "192.0.2.1:8080 cart");
	assert_int_equal(cluster->num_changes, 0);
	cluster_sync_all(cluster);
	assert_true(cluster_has_changed(cluster, "192.0.2.1"));
	assert_true(cluster_has_changed(cluster, "198.51.100.1"));
	assert_false(cluster_has_changed(cluster, "192.0.2.2"));
	cluster_expect_meshed(cluster, "198.51.100.1:80", "");
	cluster_expect_meshed(cluster, "192.0.2.1:80", "");
	cluster_expect_meshed(cluster, "192.0.2.2:80", "192.0.2.2:80 cart");
}

static void while_the_objects_may_be_behind_an_address_among_pods_is_unknown(void **state)
{
	struct cluster *cluster = *state;
	meshed_service(cluster);
	kube_view_set_stale(cluster->view, true);
	cluster_expect_meshed(cluster, "198.51.100.1:80", "192.0.2.1:8080 cart");
	cluster_expect_unknown(cluster, "192.0.2.77:80");
	cluster_expect_outside(cluster, "203.0.113.77:443");
	cluster_forget_changes(cluster);
	kube_view_set_stale(cluster->view, false);
	assert_int_equal(cluster->num_changes, 1); /* any */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		UNSYNCED_TEST(every_address_is_unknown_until_the_whole_state_has_come),
		CLUSTER_TEST(a_service_without_endpoints_is_what_it_was),
		CLUSTER_TEST(a_meshed_service_stays_so_while_its_meshed_endpoints_fail_their_probes),
		CLUSTER_TEST(a_rollout_of_sidecars_is_plaintext_until_the_first_is_ready),
		CLUSTER_TEST(an_endpoint_that_was_never_ready_does_not_keep_others_from_being_used),
		CLUSTER_TEST(an_address_that_was_meshed_and_has_no_owner_stays_meshed_without_an_endpoint),
		CLUSTER_TEST(the_next_owner_decides_about_an_address_that_was_meshed),
		CLUSTER_TEST(an_address_that_another_account_has_now_is_no_endpoint_of_the_service),
		CLUSTER_TEST(an_endpoint_whose_pod_has_not_come_in_is_not_taken_for_plaintext),
		CLUSTER_TEST(an_annotation_that_is_taken_away_does_not_turn_encryption_off),
		CLUSTER_TEST(a_sidecar_that_was_not_injected_is_not_taken_for_plaintext),
		CLUSTER_TEST(a_new_generation_takes_over_when_it_is_whole),
		CLUSTER_TEST(while_the_objects_may_be_behind_an_address_among_pods_is_unknown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
