/* D41: anything may happen at any moment. Pseudo-random, so that a failure comes again with its seed. */
#include "base/net/fd.h"
#include "base/net/listener.h"
#include "sidecar/leg/tcp_pair.h"
#include "sidecar/tunnel/test_world.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka requires the four above */
#include <cmocka.h>

enum { NUM_SEEDS = 24, NUM_STEPS = 400 };

struct chance {
	uint64_t state;
};

static unsigned roll(struct chance *chance, unsigned sides)
{
	chance->state = chance->state * 6364136223846793005u + 1442695040888963407u;
	return (unsigned)(chance->state >> 33) % sides;
}

static void send_something(struct chance *chance, int fd)
{
	static const uint8_t block[65536];
	if (fd >= 0)
		(void)!send(fd, block, 1 + roll(chance, sizeof(block) - 1), MSG_NOSIGNAL);
}

static void receive_something(int fd)
{
	static uint8_t block[65536];
	if (fd >= 0)
		(void)!recv(fd, block, sizeof(block), 0);
}

static void end_somehow(struct chance *chance, int *fd)
{
	if (*fd < 0)
		return;
	switch (roll(chance, 3)) {
	case 0:
		tcp_abort(TAKE_FD(*fd));
		break;
	case 1:
		fd_close(TAKE_FD(*fd));
		break;
	default:
		(void)shutdown(*fd, SHUT_WR);
		break;
	}
}

static void disturb_call(struct chance *chance, struct call *call)
{
	switch (roll(chance, 8)) {
	case 0:
		if (call->attempt != NULL)
			stream_attempt_cancel(TAKE_PTR(call->attempt));
		break;
	case 1:
		if (call->relay != NULL) {
			relay_cut(call->relay);
			relay_free(TAKE_PTR(call->relay));
		}
		break;
	case 2:
		end_somehow(chance, &call->app);
		break;
	case 3:
		receive_something(call->app);
		break;
	default:
		send_something(chance, call->app);
		break;
	}
}

static void disturb_far(struct chance *chance, struct far *far)
{
	switch (roll(chance, 8)) {
	case 0:
		if (far->stream != NULL)
			inbound_stream_refuse(TAKE_PTR(far->stream), 503, "connect_refused");
		break;
	case 1:
		if (far->relay != NULL) {
			relay_cut(far->relay);
			relay_free(TAKE_PTR(far->relay));
		}
		break;
	case 2:
		end_somehow(chance, &far->fd);
		break;
	case 3:
		receive_something(far->fd);
		break;
	default:
		send_something(chance, far->fd);
		break;
	}
}

static void disturb_world(struct chance *chance, struct world *world)
{
	bool outbound = roll(chance, 2) == 0;
	switch (roll(chance, 6)) {
	case 0:
	case 1:
		world_set_credentials(world, outbound, world_credentials(world, outbound ? CLIENT_ID : SERVER_ID));
		break;
	case 2:
		tunnel_server_drain(world->server);
		break;
	case 3:
		tunnel_pool_drain(world->pool);
		break;
	default:
		clock_fake_advance(&world->clock, 1 + roll(chance, 6000));
		break;
	}
}

static void step(struct chance *chance, struct world *world)
{
	unsigned what = roll(chance, 100);
	world->conduct = (enum far_conduct)(roll(chance, 4) % 3); /* mostly accept */
	if (what < 10 && world->num_calls < CALLS_MAX)
		(void)world_call(world);
	else if (what < 12)
		disturb_world(chance, world);
	else if (what < 50 && world->num_calls > 0)
		disturb_call(chance, &world->calls[roll(chance, world->num_calls)]);
	else if (what < 85 && world->num_fars > 0)
		disturb_far(chance, &world->fars[roll(chance, world->num_fars)]);
	world_run(world, roll(chance, 3));
}

static void D41_survives_anything_in_every_state(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= NUM_SEEDS; seed++) {
		struct chance chance = {seed};
		struct world *world = world_new(&(struct world_options){
			.flow_control_memory = 512 * 1024, .limits = {.max_streams = seed % 2 == 0 ? 7 : 0}});
		world->refuse_status = 401;
		world->refuse_reason = "denied";
		for (unsigned i = 0; i < NUM_STEPS; i++)
			step(&chance, world);
		world_free(world);
	}
}

static void T6_survives_a_cut_in_every_state(void **state)
{
	(void)state;
	for (unsigned rounds = 0; rounds < 30; rounds++) {
		struct world *world = world_new(NULL);
		for (unsigned i = 0; i < 4; i++) {
			struct call *call = world_call(world);
			assert_int_equal(send(call->app, "hello", 5, 0), 5);
		}
		world_run(world, rounds);
		tunnel_server_free(TAKE_PTR(world->server));
		world->on_raw = NULL;
		listener_free(TAKE_PTR(world->listener));
		for (unsigned i = 0; i < 4; i++)
			assert_true(WORLD_UNTIL(world, world->calls[i].has_ended || world->calls[i].has_result));
		world_free(world);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(D41_survives_anything_in_every_state),
		cmocka_unit_test(T6_survives_a_cut_in_every_state),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
