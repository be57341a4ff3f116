/* The certificate's renewal, on a clock that the test sets. */
#include "base/core/buf.h"
#include "base/core/mem.h"
#include "certs/expiry.h"
#include "control/issue/certificate.h"
#include "control/kube/webhook_identity.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka requires the headers above */
#include <cmocka.h>

#define HOUR_MS (3600 * 1000)

struct world {
	struct clock_fake clock;
	struct loop *loop;
	struct webhook_identity *identity;
	unsigned num_changes;
};

static void on_change(void *arg)
{
	((struct world *)arg)->num_changes++;
}

static int set_up(void **state)
{
	struct world *world = mem_new(struct world);
	clock_fake_init(&world->clock, 1800000000000);
	world->loop = loop_new(&world->clock.clock);
	world->identity = webhook_identity_new(world->loop, "handfast-webhook.handfast-system.svc", on_change, world);
	*state = world;
	return 0;
}

static int tear_down(void **state)
{
	struct world *world = *state;
	webhook_identity_free(world->identity);
	loop_free(world->loop);
	mem_free(world);
	return 0;
}

static void pass(struct world *world, uint64_t ms)
{
	clock_fake_advance(&world->clock, ms);
	for (int i = 0; i < 3; i++)
		loop_run_once(world->loop, false);
}

static size_t num_authorities(const struct world *world)
{
	struct span authorities[WEBHOOK_AUTHORITIES_MAX];
	return webhook_identity_authorities(world->identity, authorities);
}

static void an_authority_lives_a_day_and_tolerates_a_clock_that_is_behind(void **state)
{
	struct world *world = *state;
	struct span authorities[WEBHOOK_AUTHORITIES_MAX];
	int64_t from, to;
	assert_int_equal(webhook_identity_authorities(world->identity, authorities), 1);
	assert_int_equal(certificate_validity(authorities[0], &from, &to), ERR_NONE);
	assert_int_equal(from, 1800000000 - WEBHOOK_BACKDATE_S);
	assert_int_equal(to, 1800000000 + WEBHOOK_IDENTITY_TTL_S);
}

static void a_fresh_one_is_used_a_little_after_its_authority_is_registered(void **state)
{
	struct world *world = *state;
	const struct web_identity *first = webhook_identity_get(world->identity);
	pass(world, 11 * HOUR_MS);
	assert_int_equal(world->num_changes, 0);
	pass(world, 2 * HOUR_MS);
	assert_int_equal(world->num_changes, 1);
	assert_int_equal(num_authorities(world), 2);
	pass(world, HOUR_MS); /* not registered: the first one stays */
	assert_ptr_equal(webhook_identity_get(world->identity), first);
	webhook_identity_registered(world->identity);
	pass(world, WEBHOOK_IDENTITY_SWITCH_MS - 1000);
	assert_ptr_equal(webhook_identity_get(world->identity), first);
	webhook_identity_registered(world->identity); /* the timer goes on */
	pass(world, 1000);
	assert_int_equal(num_authorities(world), 1);
	assert_int_equal(world->num_changes, 1);
	pass(world, 9 * HOUR_MS);
	assert_int_equal(world->num_changes, 1);
	pass(world, 2 * HOUR_MS);
	assert_int_equal(world->num_changes, 2);
}

/* Nothing registers the fresh authority: the API server would refuse the webhook when the first one ends. */
static void finding_i4_one_whose_successor_is_not_registered_is_reported_late(void **state)
{
	struct world *world = *state;
	struct why why = {0};
	pass(world, 13 * HOUR_MS);
	assert_false(webhook_identity_is_late(world->identity, &why));
	pass(world, 5 * HOUR_MS + 1000);
	assert_true(webhook_identity_is_late(world->identity, &why));
	assert_int_equal(why.err, ERR_EXPIRED);
}

static void one_that_has_expired_is_replaced_at_once(void **state)
{
	struct world *world = *state;
	struct span authorities[WEBHOOK_AUTHORITIES_MAX];
	int64_t from, to;
	pass(world, 48 * HOUR_MS);
	assert_int_equal(world->num_changes, 1);
	assert_int_equal(webhook_identity_authorities(world->identity, authorities), 1);
	assert_int_equal(certificate_validity(authorities[0], &from, &to), ERR_NONE);
	assert_int_equal(to, 1800000000 + 48 * 3600 + WEBHOOK_IDENTITY_TTL_S);
}

static void a_clock_that_was_set_back_makes_it_due(void **state)
{
	struct world *world = *state;
	world->clock.wall_ms -= 24 * HOUR_MS;
	pass(world, 1000);
	assert_int_equal(world->num_changes, 1);
	assert_int_equal(num_authorities(world), 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			an_authority_lives_a_day_and_tolerates_a_clock_that_is_behind, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			a_fresh_one_is_used_a_little_after_its_authority_is_registered, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			finding_i4_one_whose_successor_is_not_registered_is_reported_late, set_up, tear_down),
		cmocka_unit_test_setup_teardown(one_that_has_expired_is_replaced_at_once, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_clock_that_was_set_back_makes_it_due, set_up, tear_down),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
