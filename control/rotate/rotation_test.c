/* With a real signer and a real store. */
#include "base/core/mem.h"
#include "base/core/test_wait.h"
#include "control/issue/signer.h"
#include "control/rotate/rotation.h"
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
	struct rotation *rotation;
	int64_t rotate_before_s;
};

static void start(struct world *world)
{
	test_rotation_start(&world->at);
	const struct rotation_options options = {.loop = world->at.loop,
		.store = world->at.store,
		.issuer = world->at.issuer,
		.root = buf_span(&world->at.first),
		.rotate_before_s = world->rotate_before_s,
		.on_ready = test_rotation_on_ready,
		.on_roots = test_rotation_on_published,
		.on_active = test_rotation_on_active,
		.arg = &world->at};
	world->rotation = rotation_new(&options);
	test_rotation_wait(&world->at, &world->at.num_ready, 1);
}

static void stop(struct world *world)
{
	rotation_free(world->rotation);
	test_rotation_stop(&world->at);
}

static int set_up(void **state)
{
	struct world *world = mem_new(struct world);
	clock_fake_init(&world->clock, clock_system.wall_ms(&clock_system)); /* the signer's is the system's */
	test_rotation_init(&world->at, &world->clock.clock, 1);
	start(world);
	assert_int_equal(world->at.ready, ERR_NONE);
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

static enum err begin(struct world *world, bool is_forced)
{
	unsigned before = world->at.num_done;
	rotation_begin(world->rotation, is_forced, test_rotation_on_done, &world->at);
	test_rotation_wait(&world->at, &world->at.num_done, before + 1);
	return world->at.done;
}

static enum err abort_rotation(struct world *world)
{
	unsigned before = world->at.num_done;
	rotation_abort(world->rotation, test_rotation_on_done, &world->at);
	test_rotation_wait(&world->at, &world->at.num_done, before + 1);
	return world->at.done;
}

static void wait_for_phase(struct world *world, enum rotation_phase phase)
{
	assert_true(
		WAIT_UNTIL(rotation_state_of(world->rotation)->phase == phase, loop_run_once(world->at.loop, false)));
}

static void poll_with(struct world *world, unsigned num_waited)
{
	const struct rotation_progress progress = {.is_published = true, .num_waited = num_waited};
	rotation_poll(world->rotation, &progress);
}

static void settle(struct world *world)
{
	poll_with(world, 0);
	world->clock.mono_ms += ROTATION_SETTLE_MS;
	loop_run_once(world->at.loop, false);
	poll_with(world, 0);
}

static void rotate(struct world *world)
{
	unsigned before = world->at.num_active;
	assert_int_equal(begin(world, false), ERR_NONE);
	poll_with(world, 0);
	wait_for_phase(world, ROTATION_REISSUING);
	test_rotation_wait(&world->at, &world->at.num_active, before + 1);
	settle(world);
	wait_for_phase(world, ROTATION_NONE);
}

static void finding_i4_each_phase_waits_for_the_sidecars(void **state)
{
	struct world *world = *state;
	assert_int_equal(rotation_roots(world->rotation)->num_all, 1);
	assert_int_equal(begin(world, false), ERR_NONE);
	assert_int_equal(rotation_state_of(world->rotation)->phase, ROTATION_PUBLISHING);
	assert_int_equal(rotation_roots(world->rotation)->num_all, 2);
	assert_int_equal(rotation_roots(world->rotation)->num_retired, 0);
	poll_with(world, 1);
	loop_run_once(world->at.loop, false);
	assert_int_equal(rotation_state_of(world->rotation)->phase, ROTATION_PUBLISHING);
	poll_with(world, 0);
	wait_for_phase(world, ROTATION_REISSUING);
	test_rotation_wait(&world->at, &world->at.num_active, 1);
	assert_memory_equal(world->at.in_use, rotation_state_of(world->rotation)->active, DIGEST_LEN);
	poll_with(world, 1);
	loop_run_once(world->at.loop, false);
	assert_int_equal(rotation_state_of(world->rotation)->phase, ROTATION_REISSUING);
	assert_int_equal(rotation_roots(world->rotation)->num_retired, 0);
	settle(world);
	wait_for_phase(world, ROTATION_NONE);
	assert_int_equal(rotation_roots(world->rotation)->num_all, 2);
	assert_int_equal(rotation_roots(world->rotation)->num_retired, 1);
}

static void poll_after(struct world *world, unsigned ms, unsigned num_waited)
{
	world->clock.mono_ms += ms;
	loop_run_once(world->at.loop, false);
	poll_with(world, num_waited);
	assert_int_equal(begin(world, false), ERR_EXISTS); /* no step is being stored */
	assert_int_equal(rotation_state_of(world->rotation)->phase, ROTATION_REISSUING);
}

static void the_former_root_is_trusted_until_handshakes_of_before_are_over(void **state)
{
	struct world *world = *state;
	assert_int_equal(begin(world, false), ERR_NONE);
	poll_with(world, 0);
	wait_for_phase(world, ROTATION_REISSUING);
	test_rotation_wait(&world->at, &world->at.num_active, 1);
	poll_after(world, 0, 0);
	poll_after(world, ROTATION_SETTLE_MS - 1, 0);
	poll_after(world, 1, 1); /* one that was away is back, below the former root */
	poll_after(world, ROTATION_SETTLE_MS, 0);
	poll_after(world, ROTATION_SETTLE_MS - 1, 0);
	world->clock.mono_ms++;
	loop_run_once(world->at.loop, false);
	poll_with(world, 0);
	wait_for_phase(world, ROTATION_NONE);
}

static void finding_i4_a_restart_goes_on_in_the_same_phase(void **state)
{
	struct world *world = *state;
	assert_int_equal(begin(world, false), ERR_NONE);
	stop(world);
	start(world);
	assert_int_equal(rotation_state_of(world->rotation)->phase, ROTATION_PUBLISHING);
	poll_with(world, 0);
	wait_for_phase(world, ROTATION_REISSUING);
	stop(world); /* perhaps before the signer has activated it */
	start(world);
	assert_int_equal(world->at.ready, ERR_NONE);
	settle(world);
	wait_for_phase(world, ROTATION_NONE);
	stop(world);
	start(world);
	assert_int_equal(world->at.ready, ERR_NONE);
	assert_int_equal(rotation_roots(world->rotation)->num_retired, 1);
}

static void finding_i4_an_abort_leaves_the_root_that_signs(void **state)
{
	struct world *world = *state;
	uint8_t active[DIGEST_LEN];
	memcpy(active, rotation_state_of(world->rotation)->active, DIGEST_LEN);
	assert_int_equal(abort_rotation(world), ERR_NOT_FOUND);
	assert_int_equal(begin(world, false), ERR_NONE);
	assert_int_equal(abort_rotation(world), ERR_NONE);
	assert_int_equal(rotation_roots(world->rotation)->num_all, 1);
	assert_memory_equal(active, rotation_state_of(world->rotation)->active, DIGEST_LEN);
	rotate(world);
	assert_memory_not_equal(active, rotation_state_of(world->rotation)->active, DIGEST_LEN);
}

static void an_abort_is_refused_once_the_next_root_signs(void **state)
{
	struct world *world = *state;
	assert_int_equal(begin(world, false), ERR_NONE);
	poll_with(world, 0);
	wait_for_phase(world, ROTATION_REISSUING);
	assert_int_equal(abort_rotation(world), ERR_DENIED);
	assert_int_equal(begin(world, false), ERR_EXISTS);
}

static void the_oldest_retired_roots_are_no_longer_published(void **state)
{
	struct world *world = *state;
	for (unsigned i = 0; i < ROTATION_RETIRED_MAX + 2; i++)
		rotate(world);
	assert_int_equal(rotation_roots(world->rotation)->num_retired, ROTATION_RETIRED_MAX);
	assert_int_equal(rotation_roots(world->rotation)->num_all, ROTATION_RETIRED_MAX + 1);
	assert_int_equal(rotation_state_of(world->rotation)->number, ROTATION_RETIRED_MAX + 2);
}

static void finding_i4_a_root_whose_key_was_stolen_is_withdrawn_at_once(void **state)
{
	struct world *world = *state;
	uint8_t stolen[DIGEST_LEN];
	memcpy(stolen, rotation_state_of(world->rotation)->active, DIGEST_LEN);
	rotate(world); /* the first root is retired, and stays so */
	unsigned before = world->at.num_done, num_active = world->at.num_active;
	memcpy(stolen, rotation_state_of(world->rotation)->active, DIGEST_LEN);
	assert_true(rotation_trusts(world->rotation, stolen));
	rotation_replace(world->rotation, test_rotation_on_done, &world->at);
	test_rotation_wait(&world->at, &world->at.num_done, before + 1);
	assert_int_equal(world->at.done, ERR_NONE);
	test_rotation_wait(&world->at, &world->at.num_active, num_active + 1);
	assert_int_equal(rotation_state_of(world->rotation)->phase, ROTATION_NONE);
	assert_memory_equal(world->at.in_use, rotation_state_of(world->rotation)->active, DIGEST_LEN);
	assert_false(rotation_trusts(world->rotation, stolen));
	assert_int_equal(rotation_roots(world->rotation)->num_all, 2);
	assert_int_equal(rotation_roots(world->rotation)->num_retired, 1);
	stop(world);
	start(world);
	assert_int_equal(world->at.ready, ERR_NONE);
}

static void finding_i4_a_replacement_leaves_no_root_of_a_rotation_that_is_under_way(void **state)
{
	struct world *world = *state;
	for (unsigned is_reissuing = 0; is_reissuing < 2; is_reissuing++) {
		uint8_t active[DIGEST_LEN], other[DIGEST_LEN];
		assert_int_equal(begin(world, false), ERR_NONE);
		if (is_reissuing) {
			unsigned num_active = world->at.num_active;
			poll_with(world, 0);
			wait_for_phase(world, ROTATION_REISSUING);
			rotation_replace(world->rotation, test_rotation_on_done, &world->at);
			assert_int_equal(world->at.done, ERR_CONFLICT); /* the signer does not have it yet */
			test_rotation_wait(&world->at, &world->at.num_active, num_active + 1);
		}
		memcpy(active, rotation_state_of(world->rotation)->active, DIGEST_LEN);
		memcpy(other, rotation_state_of(world->rotation)->other, DIGEST_LEN);
		unsigned before = world->at.num_done;
		rotation_replace(world->rotation, test_rotation_on_done, &world->at);
		test_rotation_wait(&world->at, &world->at.num_done, before + 1);
		assert_int_equal(world->at.done, ERR_NONE);
		assert_false(rotation_trusts(world->rotation, active) || rotation_trusts(world->rotation, other));
		assert_int_equal(rotation_roots(world->rotation)->num_all, 1);
		assert_true(WAIT_UNTIL(
			memcmp(world->at.in_use, rotation_state_of(world->rotation)->active, DIGEST_LEN) == 0,
			loop_run_once(world->at.loop, false)));
	}
	rotate(world);
}

/* Files of an operator's are read again: what was withdrawn does not come back by itself. */
static void finding_i4_a_withdrawn_root_of_the_operators_is_not_taken_again(void **state)
{
	struct world *world = *state;
	_cleanup_(rotation_root_done) struct rotation_root root = {
		.certificate = BUF_INIT(64), .withdrawn_s = 1, .is_operators = true};
	_cleanup_(buf_done) struct buf record = BUF_INIT(4096);
	uint8_t digest[DIGEST_LEN];
	char key[ROTATION_ROOT_KEY_LEN];
	assert_int_equal(buf_append_str(&root.certificate, "a root"), ERR_NONE);
	digest_sha256(buf_span(&root.certificate), digest);
	rotation_root_key(digest, key);
	assert_int_equal(rotation_root_encode(&root, &record), ERR_NONE);
	store_swap(world->at.store, key, 0, buf_span(&record), NULL, NULL);
	rotate(world); /* by then it is stored */
	rotation_take_root(world->rotation, buf_span(&root.certificate), test_rotation_on_done, &world->at);
	assert_int_equal(world->at.done, ERR_REVOKED);
	assert_int_equal(rotation_roots(world->rotation)->num_all, 2);
	rotation_take_root(world->rotation, SPAN_LITERAL("another"), test_rotation_on_done, &world->at);
	wait_for_phase(world, ROTATION_PUBLISHING);
}

/* A record can be removed by who administers the cluster. */
static void finding_i4_without_the_record_of_its_root_a_mesh_goes_on(void **state)
{
	struct world *world = *state;
	char key[ROTATION_ROOT_KEY_LEN];
	struct store_value value;
	rotate(world);
	rotation_root_key(rotation_state_of(world->rotation)->active, key);
	assert_true(store_get(world->at.store, key, &value));
	store_swap(world->at.store, key, value.version, (struct span){0}, NULL, NULL);
	assert_true(WAIT_UNTIL(!store_get(world->at.store, key, &value), loop_run_once(world->at.loop, false)));
	assert_true(rotation_trusts(world->rotation, rotation_state_of(world->rotation)->active));
	assert_int_equal(rotation_roots(world->rotation)->num_retired, 1);
	assert_int_equal(rotation_roots(world->rotation)->num_all, 2);
	rotate(world);
	assert_int_equal(rotation_roots(world->rotation)->num_retired, 2);
}

static void finding_i4_a_root_that_ends_soon_is_rotated_by_itself(void **state)
{
	struct world *world = *state;
	poll_with(world, 0);
	loop_run_once(world->at.loop, false);
	assert_int_equal(rotation_state_of(world->rotation)->phase, ROTATION_NONE);
	stop(world);
	world->rotate_before_s = 366 * 86400; /* the root lives 365 days */
	start(world);
	poll_with(world, 0);
	wait_for_phase(world, ROTATION_PUBLISHING);
	assert_int_equal(rotation_state_of(world->rotation)->number, 1);
}

/* Made while the clock was ahead or an operator's for later: what it signs is refused everywhere. */
static void a_next_root_that_is_not_valid_yet_does_not_sign(void **state)
{
	struct world *world = *state;
	assert_int_equal(begin(world, false), ERR_NONE);
	world->clock.wall_ms -= 31 * 86400 * 1000LL; /* a root begins 30 days before it is made */
	poll_with(world, 0);
	assert_int_equal(begin(world, false), ERR_EXISTS); /* no step is being stored */
	assert_int_equal(abort_rotation(world), ERR_NONE);
	assert_int_equal(begin(world, true), ERR_NONE);
	poll_with(world, 0);
	assert_int_equal(begin(world, false), ERR_EXISTS);
	world->clock.wall_ms += 31 * 86400 * 1000LL;
	poll_with(world, 0);
	wait_for_phase(world, ROTATION_REISSUING);
}

static void a_forced_rotation_goes_on_after_the_clock_was_set_back(void **state)
{
	struct world *world = *state;
	assert_int_equal(begin(world, true), ERR_NONE);
	poll_with(world, 1);
	world->clock.wall_ms -= 86400 * 1000LL;
	world->clock.mono_ms += (ROTATION_FORCED_S - 1) * 1000;
	loop_run_once(world->at.loop, false);
	poll_with(world, 1);
	assert_int_equal(begin(world, false), ERR_EXISTS);
	world->clock.mono_ms += 1000;
	loop_run_once(world->at.loop, false);
	poll_with(world, 1);
	wait_for_phase(world, ROTATION_REISSUING);
}

/* As in Kubernetes: a replica starts with the first root's key, and the store has the others. */
static void another_signer_takes_the_root_over_from_the_store(void **state)
{
	struct world *world = *state;
	_cleanup_(mem_freep) char *save = mem_printf("cp -rp %s %s.first", world->at.keys, world->at.keys);
	_cleanup_(mem_freep) char *restore =
		mem_printf("rm -r %s && mv %s.first %s && echo 0 > %s/epoch && chmod 0600 %s/epoch", world->at.keys,
			world->at.keys, world->at.keys, world->at.keys, world->at.keys);
	assert_int_equal(system(save), 0);
	rotate(world);
	stop(world);
	assert_int_equal(system(restore), 0);
	unsigned before = world->at.num_active;
	start(world);
	assert_int_equal(world->at.ready, ERR_NONE);
	assert_int_equal(world->at.num_active, before + 1);
	assert_memory_equal(world->at.in_use, rotation_state_of(world->rotation)->active, DIGEST_LEN);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		TEST(finding_i4_each_phase_waits_for_the_sidecars),
		TEST(the_former_root_is_trusted_until_handshakes_of_before_are_over),
		TEST(finding_i4_a_restart_goes_on_in_the_same_phase),
		TEST(finding_i4_an_abort_leaves_the_root_that_signs),
		TEST(an_abort_is_refused_once_the_next_root_signs),
		TEST(the_oldest_retired_roots_are_no_longer_published),
		TEST(finding_i4_a_root_whose_key_was_stolen_is_withdrawn_at_once),
		TEST(finding_i4_a_replacement_leaves_no_root_of_a_rotation_that_is_under_way),
		TEST(finding_i4_a_withdrawn_root_of_the_operators_is_not_taken_again),
		TEST(finding_i4_without_the_record_of_its_root_a_mesh_goes_on),
		TEST(finding_i4_a_root_that_ends_soon_is_rotated_by_itself),
		TEST(a_next_root_that_is_not_valid_yet_does_not_sign),
		TEST(a_forced_rotation_goes_on_after_the_clock_was_set_back),
		TEST(another_signer_takes_the_root_over_from_the_store),
	};
	if (argc > 1 && strcmp(argv[1], SIGNER_COMMAND) == 0)
		return signer_main(argc, argv);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
