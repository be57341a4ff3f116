/* Which identity gets an address, and what it keeps. */
#include "base/core/test_wait.h"
#include "control/registry/test_registry.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
/* cmocka requires the headers above */
#include <cmocka.h>

static void the_first_identity_to_claim_an_address_keeps_it(void **state)
{
	struct world *world = *state;
	assert_int_equal(world_claim(world, WEB, "192.0.2.1"), ERR_NONE);
	assert_int_equal(world_claim(world, WEB, "192.0.2.1"), ERR_NONE);
	assert_int_equal(world_claim(world, THIEF, "192.0.2.1"), ERR_DENIED);
	assert_non_null(strstr(world->detail.got, "held by spiffe://cluster.local/web"));
	struct resolution found = world_resolve(world, "192.0.2.1:9000");
	assert_int_equal(found.kind, RESOLVED_MESHED);
	assert_int_equal(found.num_endpoints, 1);
	assert_string_equal(found.endpoints[0].id->text, WEB);
	assert_int_equal(found.endpoints[0].address.port, 9000);
}

static void two_claims_at_once_have_one_winner(void **state)
{
	struct world *world = *state;
	_cleanup_(spiffe_id_done) struct spiffe_id a = world_id("spiffe://cluster.local/a"),
						   b = world_id("spiffe://cluster.local/b");
	struct ip_addr ip = world_ip("192.0.2.2");
	registry_claim(world->registry, &a, &ip, world->key_hash, world_on_claimed, world);
	registry_claim(world->registry, &b, &ip, world->key_hash, world_on_claimed, world);
	world_settle(world, 2);
	assert_int_equal(world->last, ERR_DENIED);
	assert_string_equal(world_resolve(world, "192.0.2.2:1").endpoints[0].id->text, "spiffe://cluster.local/a");
	spiffe_id_done(&b);
}

static void an_address_stays_meshed_without_its_stream_and_after_a_restart(void **state)
{
	struct world *world = *state;
	assert_int_equal(world_claim(world, WEB, "192.0.2.1"), ERR_NONE);
	world_gone(world, WEB, "192.0.2.1");
	world_close(world);
	world_open(world);
	assert_int_equal(world_resolve(world, "192.0.2.1:80").kind, RESOLVED_MESHED);
	assert_int_equal(world_claim(world, THIEF, "192.0.2.1"), ERR_DENIED);
}

static void an_entry_has_its_transport(void **state)
{
	struct world *world = *state;
	assert_false(world_resolve(world, "192.0.2.66:80").endpoints[0].is_istio_tls);
	assert_true(world_resolve(world, "192.0.2.67:80").endpoints[0].is_istio_tls);
}

static void an_entry_outranks_any_claim(void **state)
{
	struct world *world = *state;
	assert_int_equal(world_claim(world, WEB, "192.0.2.66"), ERR_DENIED);
	assert_int_equal(world_claim(world, "spiffe://cluster.local/fixed", "192.0.2.66"), ERR_NONE);
	assert_string_equal(
		world_resolve(world, "192.0.2.66:80").endpoints[0].id->text, "spiffe://cluster.local/fixed");
}

static void claims_from_outside_the_mesh_are_refused(void **state)
{
	struct world *world = *state;
	assert_int_equal(world_claim(world, WEB, "198.51.100.1"), ERR_DENIED);
	assert_non_null(strstr(world->detail.expected, "mesh.networks"));
}

static void a_claim_by_way_of_a_sidecar_beside_the_control_plane_names_the_ports_to_exclude(void **state)
{
	static const char *const ADDRESSES[] = {"169.254.15.6", "100::6", "100::8", "100::f"};
	struct world *world = *state;
	for (size_t i = 0; i < sizeof(ADDRESSES) / sizeof(ADDRESSES[0]); i++) {
		assert_int_equal(world_claim(world, WEB, ADDRESSES[i]), ERR_DENIED);
		assert_non_null(strstr(world->detail.fix, "--exclude-inbound-ports 15012,15014"));
		assert_null(strstr(world->detail.fix, "mesh.networks"));
	}
	assert_int_equal(world_claim(world, WEB, "169.254.15.7"), ERR_DENIED);
	assert_non_null(strstr(world->detail.fix, "mesh.networks"));
}

static void finding_l10_an_attestation_key_holds_few_addresses(void **state)
{
	struct world *world = *state;
	char ip[32];
	for (unsigned i = 1; i <= REGISTRY_KEY_CLAIMS_MAX; i++) {
		snprintf(ip, sizeof(ip), "192.0.2.%u", i);
		assert_int_equal(world_claim(world, WEB, ip), ERR_NONE);
		world_gone(world, WEB, ip); /* its claim stays */
	}
	assert_int_equal(world_claim(world, WEB, "192.0.2.100"), ERR_LIMIT);
	assert_non_null(strstr(world->detail.fix, "entry release"));
	assert_int_equal(world_claim(world, WEB, "192.0.2.3"), ERR_NONE); /* its own */
	/* Another sidecar of the identity, and one of another identity, have limits of their own. */
	world->key_hash[0] = 1;
	assert_int_equal(world_claim(world, WEB, "192.0.2.100"), ERR_NONE);
	world->key_hash[0] = 2;
	assert_int_equal(world_claim(world, "spiffe://cluster.local/db", "192.0.2.101"), ERR_NONE);
}

static void an_abandoned_claim_gets_no_answer_and_leaves_no_live_stream(void **state)
{
	struct world *world = *state;
	_cleanup_(spiffe_id_done) struct spiffe_id web = world_id(WEB);
	struct ip_addr ip = world_ip("192.0.2.1");
	registry_abandon(registry_claim(world->registry, &web, &ip, world->key_hash, world_on_claimed, world));
	assert_true(WAIT_UNTIL(registry_holds(world->registry, &web, &ip), loop_run_once(world->loop, false)));
	loop_run_once(world->loop, false);
	assert_int_equal(world->num_answers, 0);
	/* The address is owned already and the answer is queued: abandoning it leaves no live stream. */
	assert_int_equal(world_claim(world, WEB, "192.0.2.1"), ERR_NONE);
	world_gone(world, WEB, "192.0.2.1");
	world_pass(world, 3000);
	unsigned before = world->num_answers, changes = world->num_service_changes;
	registry_abandon(registry_claim(world->registry, &web, &ip, world->key_hash, world_on_claimed, world));
	world_pass(world, 3000);
	assert_int_equal(world->num_answers, before);
	assert_int_equal(world->num_service_changes, changes + 2); /* it came, and left when the linger timer ended */
	/* An attempt that is under way at the end is freed with the registry. */
	ip = world_ip("192.0.2.2");
	(void)registry_claim(world->registry, &web, &ip, world->key_hash, world_on_claimed, world);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		WORLD_TEST(the_first_identity_to_claim_an_address_keeps_it),
		WORLD_TEST(two_claims_at_once_have_one_winner),
		WORLD_TEST(an_address_stays_meshed_without_its_stream_and_after_a_restart),
		WORLD_TEST(an_entry_has_its_transport),
		WORLD_TEST(an_entry_outranks_any_claim),
		WORLD_TEST(claims_from_outside_the_mesh_are_refused),
		WORLD_TEST(a_claim_by_way_of_a_sidecar_beside_the_control_plane_names_the_ports_to_exclude),
		WORLD_TEST(finding_l10_an_attestation_key_holds_few_addresses),
		WORLD_TEST(an_abandoned_claim_gets_no_answer_and_leaves_no_live_stream),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
