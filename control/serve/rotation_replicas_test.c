/* A rotation with several replicas of the control plane on one store. */
#include "control/issue/signer.h"
#include "control/serve/test_serve.h"
#include "control/store/store.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
/* cmocka requires the headers above */
#include <cmocka.h>

#define OTHER "replicas/b"

static enum rotation_phase phase_of(const struct world *world)
{
	return rotation_state_of(world->rotation)->phase;
}

static void run_for(struct world *world, uint64_t ms)
{
	for (uint64_t end = loop_now_ms(world->loop) + ms; loop_now_ms(world->loop) < end;)
		loop_run_once(world->loop, true);
}

static void run_until(struct world *world, enum rotation_phase phase)
{
	while (phase_of(world) != phase)
		loop_run_once(world->loop, true);
}

/* What that replica has taken over. */
static void note_other(struct world *world, const char *record)
{
	struct store_value value = {0};
	bool is_there = store_get(world->store, OTHER, &value);
	store_swap(world->store, OTHER, is_there ? value.version : 0, span_of_str(record), NULL, NULL);
}

static void on_begun(_unused_ void *arg, enum err err, _unused_ const struct why *why)
{
	assert_int_equal(err, ERR_NONE);
}

static void each_replica_has_a_record_from_the_start(void **state)
{
	struct world *world = *state;
	struct store_value value = {0};
	while (!store_get(world->store, "replicas/a", &value))
		loop_run_once(world->loop, true);
}

/* A sweep is each second. */
static void each_phase_waits_for_a_replica_that_has_not_taken_it_over(void **state)
{
	struct world *world = *state;
	note_other(world, "rotation=0\nphase=0\n");
	rotation_begin(world->rotation, false, on_begun, NULL);
	run_until(world, ROTATION_PUBLISHING);
	run_for(world, 2500);
	assert_int_equal(phase_of(world), ROTATION_PUBLISHING);
	note_other(world, "rotation=1\nphase=1\n");
	run_until(world, ROTATION_REISSUING);
	run_for(world, 2500);
	assert_int_equal(phase_of(world), ROTATION_REISSUING);
	note_other(world, "rotation=1\nphase=2\n");
	run_until(world, ROTATION_NONE);
}

static void a_replica_whose_pod_is_gone_is_not_waited_for(void **state)
{
	struct world *world = *state;
	note_other(world, "rotation=0\nphase=0\n");
	world->has_lost_others = true;
	rotation_begin(world->rotation, false, on_begun, NULL);
	run_until(world, ROTATION_PUBLISHING);
	run_until(world, ROTATION_NONE);
}

int main(int argc, char **argv)
{
	if (argc > 1 && strcmp(argv[1], SIGNER_COMMAND) == 0)
		return signer_main(argc, argv);
	const struct CMUnitTest tests[] = {
		WORLD_TEST(each_replica_has_a_record_from_the_start),
		WORLD_TEST(each_phase_waits_for_a_replica_that_has_not_taken_it_over),
		WORLD_TEST(a_replica_whose_pod_is_gone_is_not_waited_for),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
