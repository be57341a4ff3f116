/* The cost of one change when ten thousand sidecars subscribe the same services: counted in resolutions, encodings and
 * messages, which do not depend on the load of the machine. The CPU time per reconnect is printed. */
#include "control/distribute/test_sidecars.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
/* cmocka requires the headers above */
#include <cmocka.h>

enum {
	RECONNECTS = 100,
	COMING = 10,                    /* of the second service: one of the first one drains */
	EACH_MS = 30,                   /* apart: longer than changes are coalesced */
	SLICE_MAX = 64 + 256 + 2 * 256, /* of work.c, with room for a last turn */
	ZONES_SLICE_MAX = 512,          /* of zones.c */
};

static double cpu_ms(void)
{
	struct rusage usage;
	assert_int_equal(getrusage(RUSAGE_SELF, &usage), 0);
	return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1e3 +
	       (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e3;
}

/* `first`: an endpoint of a service, or a caller. */
static void reconnect_and_count(struct world *world, unsigned first, const char *who)
{
	struct counted before = world_count(world);
	double start_ms = cpu_ms();
	for (unsigned i = first; i < first + RECONNECTS; i++) {
		unsigned answers = world->num_answers;
		sidecar_go(world, i);
		loop_run_once(world->loop, false);
		sidecar_come(world, i);
		world_run_until(world, &world->num_answers, answers + SERVICES);
	}
	struct counted spent = world_since(world, before);
	printf("%u sidecars, %u services of %u: a reconnect of %s costs %.3f ms of CPU (both ends), %.2f resolutions\n",
		(unsigned)SIDECARS, (unsigned)SERVICES, (unsigned)ENDPOINTS, who, (cpu_ms() - start_ms) / RECONNECTS,
		(double)spent.resolved / RECONNECTS);
	/* The services' answers are encoded already, and the sidecar's own claims have not changed. */
	assert_int_equal(spent.resolved, 0);
	assert_int_equal(spent.encoded, 0);
	assert_int_equal(spent.sent, RECONNECTS * SERVICES);
}

static void finding_i15_a_reconnect_resolves_nothing_again(void **state)
{
	struct world *world = *state;
	world_settle(world);
	reconnect_and_count(world, SIDECARS / 2, "a caller");
	reconnect_and_count(world, 0, "an endpoint");
}

static void finding_i15_a_change_is_resolved_once_and_sent_in_slices(void **state)
{
	struct world *world = *state;
	struct sidecar *leaving = &world->sidecars[0];
	world_settle(world);
	unsigned answers = world->num_answers;
	struct counted before = world_count(world);
	registry_set_draining(world->registry, &leaving->id, &leaving->ip, true);
	world_run_until(world, &world->num_answers, answers + SIDECARS);
	world_settle(world);
	struct counted spent = world_since(world, before);
	assert_int_equal(spent.resolved, 1); /* one service of five */
	assert_int_equal(spent.encoded, 1);
	assert_int_equal(spent.sent, SIDECARS);
	assert_true(spent.slices >= SIDECARS / SLICE_MAX);
}

static void finding_l6_subscriptions_of_one_sidecar_do_not_delay_others(void **state)
{
	struct world *world = *state;
	struct sidecar *greedy = &world->sidecars[SIDECARS - 1], *owner = &world->sidecars[SIDECARS - 2];
	world_settle(world);
	unsigned answers = world->num_answers, claimed = world->num_claimed;
	for (uint8_t kind = 16; kind < 46; kind++) /* 30,720 destinations without an owner */
		sidecar_subscribe(greedy, kind, 1024);
	world_run_until(world, &world->num_answers, answers + 30 * 1024);
	world_settle(world);
	struct counted before = world_count(world);
	assert_true(registry_release(world->registry, &owner->id, &owner->ip, NULL, NULL));
	world_settle(world);
	registry_claim(world->registry, &owner->id, &owner->ip, owner->key_hash, world_on_claimed, world);
	world_run_until(world, &world->num_claimed, claimed + 1);
	world_settle(world);
	assert_int_equal(world_since(world, before).resolved, 0); /* no sidecar has subscribed the owner's address */
}

static void on_time(struct loop_timer *timer)
{
	timer->on_deadline = NULL;
}

static void run_for(struct world *world, uint64_t ms)
{
	struct loop_timer time = {0};
	loop_timer_start(world->loop, &time, ms, on_time);
	while (time.on_deadline != NULL)
		loop_run_once(world->loop, true);
}

/* Ten thousand subscribers get the first change at once; what follows, a few times and all of it together. */
static void endpoints_that_come_one_after_another_are_sent_together(void **state)
{
	struct world *world = *state;
	for (unsigned i = ENDPOINTS; i < ENDPOINTS + COMING; i++)
		registry_stream_closed(world->registry, &world->sidecars[i].id, &world->sidecars[i].ip);
	world_settle(world);
	struct counted before = world_count(world), last = before;
	for (unsigned i = ENDPOINTS; i < ENDPOINTS + COMING; i++) {
		const struct sidecar *coming = &world->sidecars[i];
		unsigned claimed = world->num_claimed;
		last = world_count(world);
		registry_claim(world->registry, &coming->id, &coming->ip, coming->key_hash, world_on_claimed, world);
		world_run_until(world, &world->num_claimed, claimed + 1);
		run_for(world, EACH_MS);
	}
	while (world_since(world, last).sent < SIDECARS) /* the last one, too */
		loop_run_once(world->loop, true);
	world_settle(world);
	assert_in_range(world_since(world, before).sent, SIDECARS, (COMING - 3) * SIDECARS);
}

static unsigned num_asked;

static uint32_t zone_counted(void *arg, const struct ip_addr *ip)
{
	(void)arg, (void)ip;
	num_asked++;
	return 0;
}

static bool resolves_nothing(void *arg, const struct addr *destination, struct resolution *out)
{
	(void)arg, (void)destination, (void)out;
	return false;
}

/* Of each sidecar without a zone it is asked, after any change, whether the zone is known now. */
static void zones_are_found_in_slices(void **state)
{
	struct world *world = *state;
	const struct registry_source source = {.resolve = resolves_nothing, .zone = zone_counted};
	unsigned most = 0, before;
	registry_set_source(world->registry, &source);
	do { /* a change before, of the source or of an earlier test, is looked at within a second */
		before = num_asked;
		run_for(world, 1200);
	} while (num_asked != before);
	world_settle(world);
	num_asked = 0;
	registry_source_changed(world->registry, &world->sidecars[0].ip);
	while (num_asked < SIDECARS) {
		before = num_asked;
		loop_run_once(world->loop, true);
		most = num_asked - before > most ? num_asked - before : most;
	}
	world_settle(world);
	assert_int_equal(num_asked, SIDECARS);
	assert_in_range(most, 1, ZONES_SLICE_MAX);
	registry_set_source(world->registry, &(struct registry_source){0});
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(finding_i15_a_reconnect_resolves_nothing_again),
		cmocka_unit_test(finding_i15_a_change_is_resolved_once_and_sent_in_slices),
		cmocka_unit_test(endpoints_that_come_one_after_another_are_sent_together),
		cmocka_unit_test(zones_are_found_in_slices),
		cmocka_unit_test(finding_l6_subscriptions_of_one_sidecar_do_not_delay_others),
	};
	return cmocka_run_group_tests(tests, world_set_up, world_tear_down);
}
