/* The addresses that stand in their service: live, draining, away. */
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

static void a_long_absence_ends_the_claim_and_never_yields_plaintext(void **state)
{
	struct world *world = *state;
	assert_int_equal(world_claim(world, WEB, "192.0.2.1"), ERR_NONE);
	world_gone(world, WEB, "192.0.2.1");
	assert_true(WAIT_UNTIL(world_resolve(world, "192.0.2.1:80").kind == RESOLVED_UNKNOWN, world_pass(world, 50)));
	assert_int_equal(world_claim(world, "spiffe://cluster.local/next", "192.0.2.1"), ERR_NONE);
	assert_string_equal(world_resolve(world, "192.0.2.1:80").endpoints[0].id->text, "spiffe://cluster.local/next");
}

static void finding_p14_a_draining_endpoint_leaves_its_service_and_keeps_its_claim(void **state)
{
	struct world *world = *state;
	world_claim_two(world);
	unsigned before = world->num_service_changes;
	world_drain(world, WEB, "192.0.2.1", true);
	assert_int_equal(world->num_service_changes, before + 1);
	struct resolution found = world_resolve(world, WEB_SERVICE);
	assert_int_equal(found.num_endpoints, 1);
	assert_int_equal(found.endpoints[0].address.ip.bytes[3], 2);
	assert_int_equal(found.num_draining, 1);
	assert_int_equal(found.endpoints[1].address.ip.bytes[3], 1);
	/* By its own address it is still reachable, and no other identity can claim it. */
	assert_int_equal(world_resolve(world, "192.0.2.1:80").num_endpoints, 1);
	assert_int_equal(world_claim(world, THIEF, "192.0.2.1"), ERR_DENIED);
	/* Its stream closes: an endpoint that drained does not linger. The next sidecar there does not drain. */
	world_gone(world, WEB, "192.0.2.1");
	assert_int_equal(world_web_endpoints(world), 1);
	world_drain(world, WEB, "192.0.2.1", false);
	assert_int_equal(world_claim(world, WEB, "192.0.2.1"), ERR_NONE);
	assert_int_equal(world_web_endpoints(world), 2);
	assert_int_equal(world_resolve(world, WEB_SERVICE).num_draining, 0);
}

static void finding_p14_the_only_endpoint_stays_the_answer_while_it_drains(void **state)
{
	struct world *world = *state;
	assert_int_equal(world_claim(world, WEB, "192.0.2.1"), ERR_NONE);
	world_drain(world, THIEF, "192.0.2.1", true); /* not the owner */
	assert_int_equal(world_web_endpoints(world), 1);
	world_drain(world, WEB, "192.0.2.1", true);
	assert_int_equal(world_web_endpoints(world), 1);
	assert_int_equal(world_resolve(world, WEB_SERVICE).num_draining, 0);
	world_gone(world, WEB, "192.0.2.1");
	assert_int_equal(world_web_endpoints(world), 1);
}

static void the_zone_of_an_endpoint_is_in_the_answer_about_its_service(void **state)
{
	struct world *world = *state;
	world_claim_two(world);
	unsigned before = world->num_service_changes;
	world_zone(world, WEB, "192.0.2.1", 7);
	assert_int_equal(world->num_service_changes, before + 1);
	world_zone(world, WEB, "192.0.2.1", 7);   /* nothing changes */
	world_zone(world, THIEF, "192.0.2.2", 9); /* not the owner */
	assert_int_equal(world->num_service_changes, before + 1);
	struct resolution found = world_resolve(world, WEB_SERVICE);
	assert_int_equal(found.endpoints[0].zones[0], 7);
	assert_int_equal(found.endpoints[0].zones[1], 0);
	assert_int_equal(found.endpoints[1].zones[0], 0);
	assert_int_equal(world_resolve(world, "192.0.2.1:80").endpoints[0].zones[0], 0); /* there is no other */
}

static void the_next_owner_of_an_address_is_in_no_zone_until_it_reports_one(void **state)
{
	struct world *world = *state;
	assert_int_equal(world_claim(world, WEB, "192.0.2.1"), ERR_NONE);
	world_zone(world, WEB, "192.0.2.1", 7);
	world_gone(world, WEB, "192.0.2.1");
	assert_true(WAIT_UNTIL(world_resolve(world, "192.0.2.1:80").kind == RESOLVED_UNKNOWN, world_pass(world, 50)));
	assert_int_equal(world_claim(world, THIEF, "192.0.2.1"), ERR_NONE);
	world_gone(world, THIEF, "192.0.2.1");
	assert_true(WAIT_UNTIL(world_resolve(world, "192.0.2.1:80").kind == RESOLVED_UNKNOWN, world_pass(world, 50)));
	assert_int_equal(world_claim(world, WEB, "192.0.2.1"), ERR_NONE);
	assert_int_equal(world_resolve(world, WEB_SERVICE).endpoints[0].zones[0], 0);
}

static void finding_i15_a_stream_that_comes_back_soon_changes_no_answer(void **state)
{
	struct world *world = *state;
	world_claim_two(world);
	unsigned before = world->num_changes;
	world_gone(world, WEB, "192.0.2.1");
	world_pass(world, 1000);
	assert_int_equal(world_claim(world, WEB, "192.0.2.1"), ERR_NONE);
	world_pass(world, 5000);
	assert_int_equal(world->num_changes, before);
	assert_int_equal(world_web_endpoints(world), 2);
}

static void finding_i15_a_start_keeps_the_endpoints_that_were_there(void **state)
{
	struct world *world = *state;
	world_claim_two(world);
	world_close(world);
	world_open(world);
	unsigned before = world->num_changes;
	assert_int_equal(world_claim(world, WEB, "192.0.2.1"), ERR_NONE);
	assert_int_equal(world_web_endpoints(world), 2);
	assert_int_equal(world->num_changes, before);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		WORLD_TEST(a_long_absence_ends_the_claim_and_never_yields_plaintext),
		WORLD_TEST(finding_p14_a_draining_endpoint_leaves_its_service_and_keeps_its_claim),
		WORLD_TEST(finding_p14_the_only_endpoint_stays_the_answer_while_it_drains),
		WORLD_TEST(the_zone_of_an_endpoint_is_in_the_answer_about_its_service),
		WORLD_TEST(the_next_owner_of_an_address_is_in_no_zone_until_it_reports_one),
		WORLD_TEST(finding_i15_a_stream_that_comes_back_soon_changes_no_answer),
		WORLD_TEST(finding_i15_a_start_keeps_the_endpoints_that_were_there),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
