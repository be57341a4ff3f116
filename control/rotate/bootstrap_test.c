/* With a real signer and a real store. */
#include "base/core/mem.h"
#include "base/core/test_wait.h"
#include "control/issue/signer.h"
#include "control/rotate/bootstrap.h"
#include "control/rotate/test_rotation.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
/* cmocka requires the four above */
#include <cmocka.h>

struct world {
	struct test_rotation at;
	struct clock_fake clock;
	struct bootstrap *bootstrap;
	int64_t rotate_before_s;
};

static void start(struct world *world)
{
	test_rotation_start(&world->at);
	const struct bootstrap_options options = {.loop = world->at.loop,
		.store = world->at.store,
		.issuer = world->at.issuer,
		.first = buf_span(&world->at.first),
		.rotate_before_s = world->rotate_before_s,
		.on_ready = test_rotation_on_ready,
		.on_pins = test_rotation_on_published,
		.on_active = test_rotation_on_active,
		.arg = &world->at};
	world->bootstrap = bootstrap_new(&options);
	test_rotation_wait(&world->at, &world->at.num_ready, 1);
	assert_int_equal(world->at.ready, ERR_NONE);
}

static void stop(struct world *world)
{
	bootstrap_free(world->bootstrap);
	test_rotation_stop(&world->at);
}

static void restart(struct world *world)
{
	stop(world);
	start(world);
}

static int set_up(void **state)
{
	struct world *world = mem_new(struct world);
	clock_fake_init(&world->clock, clock_system.wall_ms(&clock_system)); /* the signer's is the system's */
	test_rotation_init(&world->at, &world->clock.clock, 0);
	start(world);
	*state = world;
	return 0;
}

static int tear_down(void **state)
{
	struct world *world = *state;
	stop(world);
	test_rotation_done(&world->at);
	mem_free(world);
	return 0;
}

typedef void command_fn(struct bootstrap *bootstrap, rotation_done_fn *on_done, void *arg);

static enum err command(struct world *world, command_fn *run)
{
	unsigned before = world->at.num_done;
	run(world->bootstrap, test_rotation_on_done, &world->at);
	test_rotation_wait(&world->at, &world->at.num_done, before + 1);
	return world->at.done;
}

static enum err begin(struct world *world, bool is_forced)
{
	unsigned before = world->at.num_done;
	bootstrap_begin(world->bootstrap, is_forced, test_rotation_on_done, &world->at);
	test_rotation_wait(&world->at, &world->at.num_done, before + 1);
	return world->at.done;
}

static enum bootstrap_phase phase_of(const struct world *world)
{
	return bootstrap_state_of(world->bootstrap)->phase;
}

static void wait_for_phase(struct world *world, enum bootstrap_phase phase)
{
	assert_true(WAIT_UNTIL(phase_of(world) == phase && bootstrap_is_in_force(world->bootstrap),
		loop_run_once(world->at.loop, false)));
}

static void poll_with(struct world *world, unsigned num_waited)
{
	const struct rotation_progress progress = {.is_published = true, .num_waited = num_waited};
	bootstrap_poll(world->bootstrap, &progress);
}

static void replace(struct world *world)
{
	assert_int_equal(begin(world, false), ERR_NONE);
	poll_with(world, 0);
	wait_for_phase(world, BOOTSTRAP_OVERLAP);
}

static bool is_in_use(const struct world *world, struct span der)
{
	uint8_t digest[DIGEST_LEN];
	digest_sha256(der, digest);
	return memcmp(digest, world->at.in_use, DIGEST_LEN) == 0;
}

static void finding_i4_the_successor_signs_once_all_have_confirmed_its_pin(void **state)
{
	struct world *world = *state;
	assert_int_equal(bootstrap_pins(world->bootstrap)->num, 0);
	assert_int_equal(begin(world, false), ERR_NONE);
	assert_int_equal(phase_of(world), BOOTSTRAP_PUBLISHING);
	assert_int_equal(
		bootstrap_pins(world->bootstrap)->num, 2); /* that of the one in use first: it must be kept too */
	assert_memory_equal(bootstrap_pins(world->bootstrap)->sha256[0], world->at.in_use, DIGEST_LEN);
	poll_with(world, 1);
	loop_run_once(world->at.loop, false);
	assert_int_equal(phase_of(world), BOOTSTRAP_PUBLISHING);
	assert_true(is_in_use(world, buf_span(&world->at.first)));
	assert_int_equal(begin(world, false), ERR_EXISTS);
	poll_with(world, 0);
	wait_for_phase(world, BOOTSTRAP_OVERLAP);
	assert_false(is_in_use(world, buf_span(&world->at.first)));
	assert_true(is_in_use(world, bootstrap_active(world->bootstrap)));
	assert_memory_equal(bootstrap_pins(world->bootstrap)->sha256[0], world->at.in_use, DIGEST_LEN);
	assert_int_equal(bootstrap_pins(world->bootstrap)->num, 1);
	assert_true(span_eq(buf_span(&bootstrap_state_of(world->bootstrap)->former), buf_span(&world->at.first)));
	assert_int_equal(begin(world, true), ERR_EXISTS); /* two would be accepted besides the new one */
	assert_int_equal(command(world, bootstrap_abort), ERR_DENIED);
	assert_int_equal(command(world, bootstrap_retire), ERR_NONE);
	assert_int_equal(phase_of(world), BOOTSTRAP_NONE);
	assert_int_equal(
		bootstrap_pins(world->bootstrap)->num, 1); /* for those that come with the former pin's settings */
	assert_int_equal(command(world, bootstrap_retire), ERR_NOT_FOUND);
}

static void finding_i4_a_restart_goes_on_in_the_same_phase(void **state)
{
	struct world *world = *state;
	assert_int_equal(begin(world, false), ERR_NONE);
	restart(world);
	assert_int_equal(phase_of(world), BOOTSTRAP_PUBLISHING);
	poll_with(world, 0);
	assert_true(WAIT_UNTIL(phase_of(world) == BOOTSTRAP_OVERLAP, loop_run_once(world->at.loop, false)));
	restart(world); /* perhaps before the signer has it */
	assert_true(is_in_use(world, bootstrap_active(world->bootstrap)));
	assert_false(is_in_use(world, buf_span(&world->at.first)));
	assert_int_equal(command(world, bootstrap_retire), ERR_NONE);
	restart(world);
	assert_int_equal(phase_of(world), BOOTSTRAP_NONE);
	assert_true(is_in_use(world, bootstrap_active(world->bootstrap)));
	replace(world); /* and the successor gets one */
	restart(world);
	assert_true(is_in_use(world, bootstrap_active(world->bootstrap)));
	assert_int_equal(bootstrap_state_of(world->bootstrap)->number, 2);
}

static void finding_i4_an_abort_leaves_the_one_that_signs(void **state)
{
	struct world *world = *state;
	assert_int_equal(command(world, bootstrap_abort), ERR_NOT_FOUND);
	assert_int_equal(begin(world, false), ERR_NONE);
	assert_int_equal(command(world, bootstrap_abort), ERR_NONE);
	assert_int_equal(phase_of(world), BOOTSTRAP_NONE);
	assert_int_equal(bootstrap_pins(world->bootstrap)->num, 0);
	assert_true(is_in_use(world, buf_span(&world->at.first)));
}

static void a_forced_one_waits_10_s_for_silent_sidecars(void **state)
{
	struct world *world = *state;
	assert_int_equal(begin(world, false), ERR_NONE);
	assert_int_equal(begin(world, true), ERR_NONE);
	poll_with(world, 1);
	loop_run_once(world->at.loop, false);
	assert_int_equal(phase_of(world), BOOTSTRAP_PUBLISHING);
	clock_fake_advance(&world->clock, ROTATION_FORCED_S * 1000);
	poll_with(world, 1);
	wait_for_phase(world, BOOTSTRAP_OVERLAP);
}

static void finding_i4_one_that_ages_is_replaced_by_itself_and_the_former_one_ends_by_itself(void **state)
{
	struct world *world = *state;
	world->rotate_before_s = 365 * 86400;
	restart(world);
	poll_with(world, 0);
	loop_run_once(world->at.loop, false);
	assert_int_equal(phase_of(world), BOOTSTRAP_NONE);
	clock_fake_advance(&world->clock, 1000LL * (BOOTSTRAP_LIFE_S - 364 * 86400));
	poll_with(world, 0);
	wait_for_phase(world, BOOTSTRAP_PUBLISHING);
	poll_with(world, 0);
	wait_for_phase(world, BOOTSTRAP_OVERLAP);
	poll_with(world, 0);
	loop_run_once(world->at.loop, false);
	assert_int_equal(phase_of(world), BOOTSTRAP_OVERLAP);
	clock_fake_advance(&world->clock, 365LL * 86400 * 1000);
	poll_with(world, 0);
	wait_for_phase(world, BOOTSTRAP_NONE);
	assert_true(is_in_use(world, bootstrap_active(world->bootstrap)));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
const char *__asan_default_options(void);
const char *__asan_default_options(void) /* see issuer_test.c */
{
	return "detect_leaks=0";
}

int main(int argc, char **argv)
{
	if (argc > 1 && strcmp(argv[1], SIGNER_COMMAND) == 0)
		return signer_main(argc, argv);
	const struct CMUnitTest tests[] = {
		TEST(finding_i4_the_successor_signs_once_all_have_confirmed_its_pin),
		TEST(finding_i4_a_restart_goes_on_in_the_same_phase),
		TEST(finding_i4_an_abort_leaves_the_one_that_signs),
		TEST(a_forced_one_waits_10_s_for_silent_sidecars),
		TEST(finding_i4_one_that_ages_is_replaced_by_itself_and_the_former_one_ends_by_itself),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
