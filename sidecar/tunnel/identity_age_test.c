/* max_identity_age: connections under identities that were rotated and are too old are closed after a grace. */
#include "sidecar/tunnel/test_world.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka requires setjmp, stdarg, stddef and stdint */
#include <cmocka.h>

enum { BORN_AGO_S = 3600, GRACE_S = 5 }; /* the mesh's certificates begin an hour before the clock */

static struct world *world_with(uint32_t max_age_s)
{
	return world_new(
		&(struct world_options){.limits = {.max_identity_age_s = max_age_s, .identity_age_grace_s = GRACE_S}});
}

static void pass(struct world *world, unsigned seconds)
{
	for (unsigned i = 0; i < seconds; i++) {
		clock_fake_advance(&world->clock, 1000);
		world_run(world, 10);
	}
}

static void rotate(struct world *world)
{
	world_set_credentials(world, true, world_credentials(world, CLIENT_ID));
	world_run(world, 20);
}

static void a_rotated_identity_that_is_too_old_is_closed_after_the_grace(void **state)
{
	(void)state;
	struct world *world = world_with(BORN_AGO_S + 60);
	struct call *call;
	struct far *far;
	assert_true(world_connect(world, &call, &far));
	rotate(world);
	pass(world, 50);
	assert_true(world_transfer(world, call->app, far->fd, 1000)); /* younger than the maximum */
	pass(world, 12);
	assert_false(call->has_ended); /* the grace */
	assert_in_range(tunnel_pool_oldest_identity_s(world->pool), BORN_AGO_S + 60, BORN_AGO_S + 70);
	pass(world, GRACE_S + 2);
	assert_true(call->has_ended && far->has_ended);
	assert_int_equal(call->end == RELAY_IDENTITY_AGE || far->end == RELAY_IDENTITY_AGE, 1);
	assert_int_equal(tunnel_pool_oldest_identity_s(world->pool), 0);
	world_free(world);
}

/* A certificate that lives longer than the maximum: closing would lead to a tunnel that is as old. */
static void an_identity_in_use_is_never_too_old(void **state)
{
	(void)state;
	struct world *world = world_with(1);
	struct call *call;
	struct far *far;
	assert_true(world_connect(world, &call, &far));
	pass(world, 3 * GRACE_S);
	assert_true(world_transfer(world, call->app, far->fd, 1000));
	rotate(world); /* from now on it has its grace */
	pass(world, GRACE_S - 2);
	assert_false(call->has_ended);
	pass(world, 5);
	assert_true(call->has_ended);
	world_free(world);
}

static void without_a_maximum_a_connection_goes_on(void **state)
{
	(void)state;
	struct world *world = world_with(0);
	struct call *call;
	struct far *far;
	assert_true(world_connect(world, &call, &far));
	rotate(world);
	pass(world, 3000);
	assert_true(world_transfer(world, call->app, far->fd, 1000));
	world_free(world);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_rotated_identity_that_is_too_old_is_closed_after_the_grace),
		cmocka_unit_test(an_identity_in_use_is_never_too_old),
		cmocka_unit_test(without_a_maximum_a_connection_goes_on),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
