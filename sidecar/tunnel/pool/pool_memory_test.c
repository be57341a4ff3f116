/* The memory for flow control that the tunnels of one pool share. */
#include "sidecar/leg/leg_ops.h"
#include "sidecar/leg/tcp_pair.h"
#include "sidecar/tunnel/pool/tunnel_pool.h"
#include "sidecar/tunnel/test_peer.h"
#include <malloc.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka requires setjmp, stdarg, stddef and stdint */
#include <cmocka.h>

/* The identity has a quarter of 1 MiB. A stream takes of it what exceeds its first 32 KiB. */
static void D38_resets_the_longest_unread_stream_when_the_budget_is_used_up(void **state)
{
	enum { STOPPED = 8 };
	world_free(*state);
	struct world *world = world_new(&(struct world_options){.flow_control_memory = 1024 * 1024});
	*state = world;
	struct call *stopped, *busy;
	struct far *stopped_far, *busy_far;
	assert_true(world_connect(world, &stopped, &stopped_far));
	assert_true(world_transfer(world, stopped_far->fd, stopped->app, 8 * 1024 * 1024)); /* grows its window */
	for (unsigned i = 1; i < STOPPED; i++) {
		struct call *call;
		struct far *far;
		assert_true(world_connect(world, &call, &far));
		assert_true(world_transfer(world, far->fd, call->app, 8 * 1024 * 1024));
	}
	assert_in_range(flow_control_memory_left(world->budget), 768 * 1024, 800 * 1024);
	static const uint8_t block[65536];
	for (unsigned i = 0; i < 1000; i++) { /* and now its app reads no more */
		(void)!send(stopped_far->fd, block, sizeof(block), MSG_NOSIGNAL);
		world_run(world, 1);
	}
	clock_fake_advance(&world->clock, 2000);
	assert_true(world_connect(world, &busy, &busy_far));
	assert_true(world_transfer(world, busy_far->fd, busy->app, 8 * 1024 * 1024));
	assert_true(stopped->has_ended);
	assert_int_equal(stopped->end, RELAY_LIMIT);
	assert_false(busy->has_ended);
}

/* Fast, then idle, then slow: what was granted for the fast part is used up and not granted again, and no credit is
 * lost by that. */
static void finding_l11_a_stream_that_was_idle_gives_its_window_back_as_it_goes_on(void **state)
{
	struct world *world = *state;
	struct call *call;
	struct far *far;
	assert_true(world_connect(world, &call, &far));
	assert_true(world_transfer(world, far->fd, call->app, 16 * 1024 * 1024));
	uint64_t before = flow_control_memory_left(world->budget);
	assert_true(before < 63 * 1024 * 1024); /* it has more than the first MiB */
	for (unsigned i = 0; i < 2; i++) {      /* the first ten seconds may have begun with fast bytes */
		clock_fake_advance(&world->clock, 11000);
		assert_true(world_transfer(world, far->fd, call->app, 32 * 1024));
	}
	for (unsigned i = 0; i < 160; i++) {
		assert_true(world_transfer(world, far->fd, call->app, 32 * 1024));
		clock_fake_advance(&world->clock, 50);
	}
	assert_true(flow_control_memory_left(world->budget) > 63 * 1024 * 1024);
	assert_true(world_transfer(world, far->fd, call->app, 16 * 1024 * 1024)); /* and grows again */
	assert_false(call->has_ended);
}

static void inspect(struct world *world, struct relay *relay)
{
	relay_inspect(relay, &(struct leg_inspection){.now_ms = loop_now_ms(world->loop)});
}

#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__) /* mallinfo2() is not theirs */
static size_t memory_in_use(void)
{
	return mallinfo2().uordblks;
}
#else
static size_t memory_in_use(void)
{
	return 0;
}
#endif

static void an_idle_stream_takes_less_memory_and_goes_on(void **state)
{
	enum { CALLS = 40, FRAME_LEN = 140, CACHED = 8, ENDS = 2 };
	struct world *world = *state;
	struct call *calls[CALLS];
	struct far *fars[CALLS];
	for (unsigned i = 0; i < CALLS; i++) {
		assert_true(world_connect(world, &calls[i], &fars[i]));
		assert_true(world_transfer(world, fars[i]->fd, calls[i]->app, 20000));
		assert_true(world_transfer(world, calls[i]->app, fars[i]->fd, 20000));
	}
	clock_fake_advance(&world->clock, 2000);
	world_run(world, 5);
	size_t before = memory_in_use();
	for (unsigned i = 0; i < CALLS; i++) {
		inspect(world, calls[i]->relay);
		inspect(world, fars[i]->relay);
	}
	world_run(world, 5);
	if (before != 0)
		assert_true(before - memory_in_use() >= ENDS * (CALLS - CACHED) * FRAME_LEN);
	for (unsigned i = 0; i < CALLS; i++) {
		assert_true(world_transfer(world, fars[i]->fd, calls[i]->app, 100000));
		assert_true(world_transfer(world, calls[i]->app, fars[i]->fd, 100000));
	}
}

static void gives_the_budget_back_when_streams_end(void **state)
{
	struct world *world = *state;
	uint64_t before = flow_control_memory_left(world->budget);
	struct call *call;
	struct far *far;
	assert_true(world_connect(world, &call, &far));
	assert_true(world_transfer(world, far->fd, call->app, 8 * 1024 * 1024));
	assert_true(flow_control_memory_left(world->budget) < before);
	tcp_abort(TAKE_FD(call->app));
	assert_true(WORLD_UNTIL(world, call->has_ended && far->has_ended));
	world_run(world, 5);
	assert_int_equal(flow_control_memory_left(world->budget), before);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		WORLD_TEST(D38_resets_the_longest_unread_stream_when_the_budget_is_used_up),
		WORLD_TEST(finding_l11_a_stream_that_was_idle_gives_its_window_back_as_it_goes_on),
		WORLD_TEST(an_idle_stream_takes_less_memory_and_goes_on),
		WORLD_TEST(gives_the_budget_back_when_streams_end),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
