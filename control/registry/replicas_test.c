/* Two control planes with one store. */
#include "base/core/test_wait.h"
#include "control/registry/test_registry.h"
#include "control/store/store_private.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
/* cmocka requires the headers above */
#include <cmocka.h>

struct barrier {
	uint64_t version;
	bool is_done;
};

static void on_barrier(void *arg, enum err err, uint64_t version)
{
	struct barrier *barrier = arg;
	assert_int_equal(err, ERR_NONE);
	*barrier = (struct barrier){version, true};
}

/* So many seconds, with the commits of each half: the store's thread does not know of the test's clock. */
static void pass_s(struct world *world, unsigned seconds)
{
	for (unsigned i = 0; i < 2 * seconds; i++) {
		struct store_value stored = {0};
		struct barrier barrier = {0};
		(void)store_get(world->store, "test/barrier", &stored);
		world_pass(world, 500);
		store_swap(world->store, "test/barrier", stored.version, SPAN_LITERAL("x"), on_barrier, &barrier);
		(void)WAIT_UNTIL(barrier.is_done, loop_run_once(world->loop, false));
	}
}

static struct registry *other_new(struct world *world)
{
	struct registry *other =
		registry_new(world->loop, world->store, world->config, &(struct registry_observer){.arg = NULL});
	registry_share(world->registry);
	registry_share(other);
	pass_s(world, 1);
	return other;
}

static size_t num_endpoints(struct registry *registry)
{
	struct resolution *found = calloc(1, sizeof *found);
	struct addr destination;
	assert_int_equal(addr_parse(span_of_str(WEB_SERVICE), &destination), ERR_NONE);
	registry_resolve(registry, &destination, found);
	size_t num = found->num_endpoints;
	free(found);
	return num;
}

static bool holds(struct registry *registry, const char *id_text, const char *ip_text)
{
	_cleanup_(spiffe_id_done) struct spiffe_id id = world_id(id_text);
	const struct ip_addr ip = world_ip(ip_text);
	return registry_holds(registry, &id, &ip);
}

static void a_claim_with_its_stream_at_another_is_live_and_does_not_end(void **state)
{
	struct world *world = *state;
	struct registry *other = other_new(world);
	assert_int_equal(num_endpoints(other), 0);
	world_claim_two(world);
	assert_int_equal(num_endpoints(world->registry), 2);
	assert_int_equal(num_endpoints(other), 2);
	pass_s(world, 30); /* 30 s, three times the grace period */
	assert_int_equal(num_endpoints(other), 2);
	assert_true(holds(other, WEB, "192.0.2.1") && holds(world->registry, WEB, "192.0.2.1"));
	registry_free(other);
}

static void a_closed_stream_and_a_draining_sidecar_are_seen_by_both(void **state)
{
	struct world *world = *state;
	struct registry *other = other_new(world);
	world_claim_two(world);
	world_drain(world, WEB, "192.0.2.1", true);
	assert_true(WAIT_UNTIL(num_endpoints(other) == 1, pass_s(world, 1)));
	world_gone(world, WEB, "192.0.2.2");
	pass_s(world, 5); /* it lingers for 3 s */
	assert_true(WAIT_UNTIL(num_endpoints(other) == num_endpoints(world->registry), pass_s(world, 1)));
	assert_true(WAIT_UNTIL(!holds(other, WEB, "192.0.2.2"), pass_s(world, 1)));
	assert_true(holds(other, WEB, "192.0.2.1"));
	registry_free(other);
}

static uint32_t first_zone(struct registry *registry)
{
	struct resolution *found = calloc(1, sizeof *found);
	struct addr destination;
	assert_int_equal(addr_parse(span_of_str(WEB_SERVICE), &destination), ERR_NONE);
	registry_resolve(registry, &destination, found);
	assert_int_equal(found->endpoints[0].address.ip.bytes[3], 1);
	uint32_t zone = found->endpoints[0].zones[0];
	free(found);
	return zone;
}

static void the_zone_of_a_sidecar_is_known_to_both(void **state)
{
	struct world *world = *state;
	struct registry *other = other_new(world);
	world_claim_two(world);
	world_zone(world, WEB, "192.0.2.1", 3000000000U);
	assert_int_equal(first_zone(world->registry), 3000000000U);
	assert_true(WAIT_UNTIL(first_zone(other) == 3000000000U, pass_s(world, 1)));
	world_zone(world, WEB, "192.0.2.1", 0);
	assert_true(WAIT_UNTIL(first_zone(other) == 0, pass_s(world, 1)));
	registry_free(other);
}

static void the_time_away_is_counted_once(void **state)
{
	struct world *world = *state;
	struct registry *other = other_new(world);
	world_claim_two(world);
	world_gone(world, WEB, "192.0.2.1");
	pass_s(world, 8); /* 8 s of 10 s: counted twice it had ended */
	assert_true(holds(other, WEB, "192.0.2.1"));
	assert_true(WAIT_UNTIL(!holds(other, WEB, "192.0.2.1"), pass_s(world, 1)));
	registry_free(other);
}

static void the_claims_of_a_control_plane_that_is_gone_end(void **state)
{
	struct world *world = *state;
	struct registry *other = other_new(world);
	world_claim_two(world);
	registry_free(world->registry); /* its presence ends after 35 s, and then the grace period begins */
	world->registry = other;
	pass_s(world, 30);
	assert_true(holds(other, WEB, "192.0.2.1"));
	pass_s(world, 30);
	assert_true(WAIT_UNTIL(!holds(other, WEB, "192.0.2.1"), pass_s(world, 1)));
	assert_int_equal(num_endpoints(other), 0);
}

static void a_stream_that_moves_takes_the_claim_along(void **state)
{
	struct world *world = *state;
	struct registry *other = other_new(world), *first = world->registry;
	world_claim_two(world);
	world->registry = other;
	assert_int_equal(world_claim(world, WEB, "192.0.2.1"), ERR_NONE);
	assert_int_equal(world_claim(world, THIEF, "192.0.2.2"), ERR_DENIED);
	world->registry = first;
	world_gone(world, WEB, "192.0.2.1");
	pass_s(world, 30);
	assert_true(holds(first, WEB, "192.0.2.1"));
	assert_int_equal(num_endpoints(first), 2);
	assert_int_equal(num_endpoints(other), 2);
	registry_free(other);
}

/* And no answer changes in between: all callers of the service would get it, at every control plane. */
static void a_claim_that_comes_or_moves_is_written_once(void **state)
{
	struct world *world = *state;
	struct registry *other = other_new(world), *first = world->registry;
	world_claim_two(world);
	pass_s(world, 1);
	uint64_t before = store_revision(world->store);
	unsigned num_before = world->num_service_changes;
	world->registry = other;
	assert_int_equal(
		world_claim(world, WEB, "192.0.2.1"), ERR_NONE); /* its stream at the first is not closed yet */
	pass_s(world, 1);
	assert_int_equal(store_revision(world->store), before + 1 + 2); /* and two barriers */
	assert_int_equal(world->num_service_changes, num_before);
	world->registry = first;
	world_gone(world, WEB, "192.0.2.1");
	world->registry = other;
	world_gone(world, WEB, "192.0.2.1");
	pass_s(world, 4); /* no control plane has its stream */
	before = store_revision(world->store);
	num_before = world->num_service_changes;
	assert_int_equal(world_claim(world, WEB, "192.0.2.1"), ERR_NONE);
	pass_s(world, 1);
	assert_int_equal(store_revision(world->store), before + 1 + 2);
	assert_int_equal(world->num_service_changes, num_before + 1);
	world->registry = first;
	registry_free(other);
}

/* The world's store, but what it shares does not answer. */
struct silent {
	struct store_engine engine;
	const struct store_engine *real;
	uint64_t ms;
};

static uint64_t silent_ms(const struct store *store, struct why *out_why)
{
	(void)out_why;
	return container_of((struct store_engine *)(uintptr_t)store->engine, struct silent, engine)->ms;
}

static void fall_silent(struct world *world, struct silent *silent)
{
	*silent = (struct silent){*world->store->engine, world->store->engine, STORE_CUT_OFF_MS};
	silent->engine.silent_ms = silent_ms;
	world->store->engine = &silent->engine;
}

static void a_stream_that_closes_while_the_store_is_silent_changes_no_answer(void **state)
{
	struct world *world = *state;
	struct registry *other = other_new(world);
	struct silent silent;
	world_claim_two(world);
	fall_silent(world, &silent);
	unsigned before = world->num_service_changes;
	world_gone(world, WEB, "192.0.2.1");
	pass_s(world, 20);
	assert_int_equal(num_endpoints(world->registry), 2);
	assert_int_equal(world->num_service_changes, before);
	silent.ms = 0;
	pass_s(world, 5);
	assert_true(WAIT_UNTIL(num_endpoints(world->registry) == 1, pass_s(world, 1)));
	world->store->engine = silent.real;
	registry_free(other);
}

static void no_other_control_plane_is_gone_while_the_store_is_silent(void **state)
{
	struct world *world = *state;
	struct registry *other = other_new(world);
	struct silent silent;
	world_claim_two(world);
	registry_free(world->registry); /* as if its records did not come any more */
	world->registry = other;
	fall_silent(world, &silent);
	pass_s(world, 120);
	assert_int_equal(num_endpoints(other), 2);
	assert_true(holds(other, WEB, "192.0.2.1"));
	silent.ms = 0;
	pass_s(world, 30);
	assert_int_equal(num_endpoints(other), 2); /* it has the time to be seen again */
	assert_true(WAIT_UNTIL(num_endpoints(other) == 0, pass_s(world, 1)));
	world->store->engine = silent.real;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		WORLD_TEST(a_stream_that_closes_while_the_store_is_silent_changes_no_answer),
		WORLD_TEST(no_other_control_plane_is_gone_while_the_store_is_silent),
		WORLD_TEST(a_claim_with_its_stream_at_another_is_live_and_does_not_end),
		WORLD_TEST(the_zone_of_a_sidecar_is_known_to_both),
		WORLD_TEST(a_closed_stream_and_a_draining_sidecar_are_seen_by_both),
		WORLD_TEST(the_time_away_is_counted_once),
		WORLD_TEST(the_claims_of_a_control_plane_that_is_gone_end),
		WORLD_TEST(a_stream_that_moves_takes_the_claim_along),
		WORLD_TEST(a_claim_that_comes_or_moves_is_written_once),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
