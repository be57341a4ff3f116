#include "sidecar/tunnel/pool/upstream.h"
#include "sidecar/tunnel/test_peer.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka requires the four above */
#include <cmocka.h>

static void opens_as_many_tunnels_as_a_peers_limit_needs(void **state)
{
	world_free(*state);
	struct world *world = world_new(&(struct world_options){.limits = {.max_streams = 5}});
	*state = world;
	for (unsigned i = 0; i < 23; i++)
		(void)world_call(world);
	for (unsigned i = 0; i < 23; i++) {
		assert_true(WORLD_UNTIL(world, world->calls[i].has_result));
		assert_int_equal(world->calls[i].result.verdict, STREAM_OPEN);
	}
	assert_true(world->opened[true] >= 5 && world->opened[true] <= 6);
}

static void T4_keeps_small_connections_away_from_a_busy_tunnel(void **state)
{
	struct world *world = *state;
	struct call *bulk, *small, *second;
	struct far *bulk_far, *small_far, *second_far;
	assert_true(world_connect(world, &bulk, &bulk_far));
	assert_true(world_transfer(world, bulk_far->fd, bulk->app, 4 * 1024 * 1024));
	assert_true(
		world_connect(world, &small, &small_far)); /* asks for another tunnel, and uses this one meanwhile */
	assert_true(WORLD_UNTIL(world, world->opened[true] == 2));
	assert_true(world_transfer(world, bulk_far->fd, bulk->app, 4 * 1024 * 1024));
	assert_true(world_connect(world, &second, &second_far));
	assert_int_equal(world->opened[true], 2);
	assert_true(world_transfer(world, second->app, second_far->fd, 1000));
}

static void finding_p12_a_busy_tunnel_is_used_while_another_handshakes(void **state)
{
	struct world *world = *state;
	struct call *bulk, *small;
	struct far *bulk_far, *small_far;
	assert_true(world_connect(world, &bulk, &bulk_far));
	assert_true(world_transfer(world, bulk_far->fd, bulk->app, 4 * 1024 * 1024));
	struct peer *peer = peer_serve(world, world_credentials(world, SERVER_ID), NULL); /* takes it, sends nothing */
	uint64_t asked_ms = loop_now_ms(world->loop);
	assert_true(world_connect(world, &small, &small_far));
	assert_true(loop_now_ms(world->loop) - asked_ms < 100);
	assert_true(world_transfer(world, small->app, small_far->fd, 1000));
	assert_true(WORLD_UNTIL(world, peer->tls != NULL));
	peer_free(peer);
}

static void finding_p12_a_silent_peer_is_noticed_after_30_s(void **state)
{
	struct world *world = *state;
	struct call *call;
	struct peer *peer = peer_serve_call(world, &call);
	peer_answer(peer, &peer->streams[0], "200");
	assert_true(PEER_UNTIL(peer, call->relay != NULL));
	for (unsigned i = 0; i < 90; i++) { /* traffic that ends just after a poll */
		clock_fake_advance(&world->clock, 100);
		h2_session_ping(peer->h2);
		peer_pump(peer);
		world_run(world, 2);
	}
	uint64_t silent_ms = loop_now_ms(world->loop);
	for (unsigned i = 0; i < 500 && !call->has_ended; i++) {
		clock_fake_advance(&world->clock, 100);
		world_run(world, 2);
	}
	assert_true(call->has_ended);
	silent_ms = loop_now_ms(world->loop) - silent_ms;
	assert_in_range(silent_ms, 29000, 32000);
	peer_free(peer);
}

static void finding_p16_connections_that_wait_for_a_handshake_keep_their_order(void **state)
{
	struct world *world = *state;
	for (unsigned i = 0; i < 20; i++)
		(void)world_call(world);
	assert_true(WORLD_UNTIL(world, world->num_fars == 20));
	for (unsigned i = 0; i < 20; i++)
		assert_int_equal(world->fars[i].forwarded.port, world->calls[i].source.port);
}

static void finding_l13_a_peer_that_names_no_limit_of_streams_gets_the_tunnels_it_needs(void **state)
{
	struct world *world = *state;
	assert_int_equal(upstream_tunnels_wanted(0, UINT32_MAX), 0);
	assert_int_equal(upstream_tunnels_wanted(2, UINT32_MAX), 1);
	assert_int_equal(upstream_tunnels_wanted(100, 100), 1);
	assert_int_equal(upstream_tunnels_wanted(101, 100), 2);
	struct peer *peer =
		peer_serve(world, world_credentials(world, SERVER_ID), &(struct h2_limits){.max_streams = UINT32_MAX});
	struct call *call = world_call(world);
	assert_true(PEER_UNTIL(peer, peer->num_streams == 1));
	peer_answer(peer, &peer->streams[0], "200");
	assert_true(PEER_UNTIL(peer, call->has_result));
	assert_int_equal(call->result.verdict, STREAM_OPEN);
	peer_free(peer);
}

static bool is_suspect(struct world *world)
{
	struct spiffe_id expected;
	assert_int_equal(spiffe_id_parse(SPAN_LITERAL(SERVER_ID), &expected, NULL), ERR_NONE);
	const struct addr endpoint = {.ip = world->at.ip, .port = 8080};
	bool suspect = tunnel_pool_is_suspect(world->pool, &endpoint, &expected);
	spiffe_id_done(&expected);
	return suspect;
}

/* Loopback always acknowledges: silence alone makes no tunnel suspect. Story 122 has a dead peer. */
static void finding_p8_silence_of_a_peer_whose_kernel_answers_is_not_suspect(void **state)
{
	struct world *world = *state;
	assert_false(is_suspect(world));
	struct call *call;
	struct peer *peer = peer_serve_call(world, &call);
	peer->is_deaf = true;
	assert_int_equal(send(call->app, "anyone there?", 13, 0), 13);
	world_run(world, 5);
	clock_fake_advance(&world->clock, 5000);
	world_run(world, 5);
	assert_false(is_suspect(world));
	peer_free(peer);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		WORLD_TEST(opens_as_many_tunnels_as_a_peers_limit_needs),
		WORLD_TEST(T4_keeps_small_connections_away_from_a_busy_tunnel),
		WORLD_TEST(finding_p8_silence_of_a_peer_whose_kernel_answers_is_not_suspect),
		WORLD_TEST(finding_p12_a_busy_tunnel_is_used_while_another_handshakes),
		WORLD_TEST(finding_p12_a_silent_peer_is_noticed_after_30_s),
		WORLD_TEST(finding_p16_connections_that_wait_for_a_handshake_keep_their_order),
		WORLD_TEST(finding_l13_a_peer_that_names_no_limit_of_streams_gets_the_tunnels_it_needs),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
