#include "base/core/check.h"
#include "base/core/mem.h"
#include "base/kube/kube_turns.h"
#include <setjmp.h>
#include <stdarg.h>
/* cmocka requires <setjmp.h> and <stdarg.h> */
#include <cmocka.h>

struct work {
	struct kube_turn turn;
	struct clock_fake *clock;
	uint64_t cost_ms;
	unsigned left, num_done;
	struct kube_turn *ends; /* NULL: none */
};

struct world {
	struct clock_fake clock;
	struct loop *loop;
	struct kube_turns turns;
	struct work one, two;
};

static int set_up(void **state)
{
	struct world *world = mem_new(struct world);
	clock_fake_init(&world->clock, 0);
	world->loop = loop_new(&world->clock.clock);
	kube_turns_init(&world->turns, world->loop);
	world->one.clock = world->two.clock = &world->clock;
	*state = world;
	return 0;
}

static int tear_down(void **state)
{
	struct world *world = *state;
	kube_turns_done(&world->turns);
	loop_free(world->loop);
	mem_free(world);
	return 0;
}

static bool on_turn(struct kube_turn *turn)
{
	struct work *work = container_of(turn, struct work, turn);
	CHECK(work->left > 0);
	clock_fake_advance(work->clock, work->cost_ms);
	work->num_done++;
	if (work->ends != NULL)
		kube_turn_end(work->ends);
	return --work->left > 0;
}

static void does_all_in_one_round_where_it_is_short(void **state)
{
	struct world *world = *state;
	world->one.left = world->two.left = 100;
	kube_turn_due(&world->turns, &world->one.turn, on_turn);
	kube_turn_due(&world->turns, &world->one.turn, on_turn);
	kube_turn_due(&world->turns, &world->two.turn, on_turn);
	loop_run_once(world->loop, false);
	assert_int_equal(world->one.num_done, 100);
	assert_int_equal(world->two.num_done, 100);
}

static void leaves_the_rest_to_the_next_rounds_and_shares(void **state)
{
	struct world *world = *state;
	world->one.left = world->two.left = 20;
	world->one.cost_ms = world->two.cost_ms = 1;
	kube_turn_due(&world->turns, &world->one.turn, on_turn);
	kube_turn_due(&world->turns, &world->two.turn, on_turn);
	loop_run_once(world->loop, false);
	assert_in_range(world->one.num_done + world->two.num_done, 2, 2 * KUBE_TURN_MS); /* before and after it polls */
	assert_int_equal(world->one.num_done, world->two.num_done);
	for (int i = 0; i < 100 && world->one.left + world->two.left > 0; i++) {
		clock_fake_advance(&world->clock, 10);
		loop_run_once(world->loop, false);
	}
	assert_int_equal(world->one.left + world->two.left, 0);
}

static void a_turn_may_end_another(void **state)
{
	struct world *world = *state;
	world->one.left = world->two.left = 1;
	world->one.ends = &world->two.turn;
	kube_turn_due(&world->turns, &world->one.turn, on_turn);
	kube_turn_due(&world->turns, &world->two.turn, on_turn);
	loop_run_once(world->loop, false);
	assert_int_equal(world->one.num_done, 1);
	assert_int_equal(world->two.num_done, 0);
	kube_turn_end(&world->two.turn); /* allowed when not due */
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(does_all_in_one_round_where_it_is_short),
		CASE(leaves_the_rest_to_the_next_rounds_and_shares),
		CASE(a_turn_may_end_another),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
