/* Releases, and addresses outside of the networks of the mesh. */
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

static void finding_p13_reports_an_address_of_a_family_that_the_mesh_omits(void **state)
{
	struct world *world = *state;
	struct spiffe_id id = world_id(WEB);
	struct ip_addr v4 = world_ip("198.51.100.1"), v6 = world_ip("2001:db8::1");
	assert_false(registry_note_address(world->registry, &id, &v4));
	assert_true(registry_note_address(world->registry, &id, &v6));
	assert_true(registry_note_address(world->registry, &id, &v6));
	world->config->plaintext_networks[0].base = v6; /* plaintext is meant */
	registry_set_config(world->registry, world->config);
	assert_false(registry_note_address(world->registry, &id, &v6));
	spiffe_id_done(&id);
}

static bool is_unknown_soon(struct world *world)
{
	return WAIT_UNTIL(
		world_resolve(world, "192.0.2.1:80").kind == RESOLVED_UNKNOWN, loop_run_once(world->loop, false));
}

static void a_release_is_not_lost_when_the_claim_changes_meanwhile(void **state)
{
	struct world *world = *state;
	struct store_value value;
	struct ip_addr ip = world_ip("192.0.2.1");
	assert_int_equal(world_claim(world, WEB, "192.0.2.1"), ERR_NONE);
	assert_true(store_get(world->store, "claim/192.0.2.1", &value));
	store_swap(world->store, "claim/192.0.2.1", value.version, value.bytes, NULL, NULL);
	assert_true(registry_release(world->registry, NULL, &ip, NULL, NULL));
	assert_true(is_unknown_soon(world));
}

static void release_needs_the_owner_or_an_operator(void **state)
{
	struct world *world = *state;
	_cleanup_(spiffe_id_done) struct spiffe_id web = world_id(WEB), thief = world_id(THIEF);
	struct ip_addr ip = world_ip("192.0.2.1");
	assert_int_equal(world_claim(world, WEB, "192.0.2.1"), ERR_NONE);
	assert_false(registry_release(world->registry, &thief, &ip, NULL, NULL));
	assert_true(registry_holds(world->registry, &web, &ip));
	assert_true(registry_release(world->registry, &web, &ip, NULL, NULL));
	assert_true(is_unknown_soon(world));
	assert_string_equal(world_resolve(world, "192.0.2.1:80").reason, "no sidecar claims it");
	assert_false(registry_holds(world->registry, &web, &ip));
	assert_int_equal(world->num_freed, 1);
	spiffe_id_done(&thief);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		WORLD_TEST(finding_p13_reports_an_address_of_a_family_that_the_mesh_omits),
		WORLD_TEST(a_release_is_not_lost_when_the_claim_changes_meanwhile),
		WORLD_TEST(release_needs_the_owner_or_an_operator),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
