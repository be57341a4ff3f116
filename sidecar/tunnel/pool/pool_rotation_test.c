/* Credentials that are replaced, banned, or about to expire, while streams are open or wait. */
#include "sidecar/tunnel/pool/tunnel_pool.h"
#include "sidecar/tunnel/test_peer.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka requires setjmp, stdarg, stddef and stdint */
#include <cmocka.h>

static void rotates_without_touching_a_live_stream(void **state)
{
	struct world *world = *state;
	struct call *old, *fresh;
	struct far *old_far, *fresh_far;
	assert_true(world_connect(world, &old, &old_far));
	world_set_credentials(world, true, world_credentials(world, CLIENT_ID));
	assert_true(world_connect(world, &fresh, &fresh_far));
	assert_int_equal(world->opened[true], 2); /* a tunnel of its own */
	assert_int_equal(world->closed[true], 0);
	assert_true(world_transfer(world, old->app, old_far->fd, 300000));
	assert_true(world_transfer(world, old_far->fd, old->app, 300000));
	assert_int_equal(shutdown(old->app, SHUT_WR), 0);
	assert_int_equal(shutdown(old_far->fd, SHUT_WR), 0);
	assert_true(WORLD_UNTIL(world, old->has_ended && world->closed[true] == 1 && world->closed[false] == 1));
	assert_int_equal(old->end, RELAY_DONE);
	assert_true(world_transfer(world, fresh->app, fresh_far->fd, 1000));
	assert_int_equal(world->failed[true] + world->failed[false], 0);
}

static void a_server_that_rotates_sends_its_peers_to_new_tunnels(void **state)
{
	struct world *world = *state;
	struct call *old, *fresh;
	struct far *old_far, *fresh_far;
	assert_true(world_connect(world, &old, &old_far));
	world_set_credentials(world, false, world_credentials(world, SERVER_ID));
	world_run(world, 10);
	assert_true(world_connect(world, &fresh, &fresh_far));
	assert_int_equal(world->opened[false], 2);
	assert_true(world_transfer(world, old->app, old_far->fd, 300000));
	assert_int_equal(shutdown(old->app, SHUT_WR), 0);
	assert_int_equal(shutdown(old_far->fd, SHUT_WR), 0);
	assert_true(WORLD_UNTIL(world, world->closed[true] == 1 && world->closed[false] == 1));
	assert_int_equal(world->failed[true] + world->failed[false], 0);
}

static void streams_asked_for_during_a_rotation_are_all_served(void **state)
{
	struct world *world = *state;
	for (unsigned i = 0; i < 40; i++) {
		(void)world_call(world);
		if (i % 4 == 1)
			world_set_credentials(
				world, i % 8 == 1, world_credentials(world, i % 8 == 1 ? CLIENT_ID : SERVER_ID));
		world_run(world, i % 3);
	}
	for (unsigned i = 0; i < 40; i++) {
		assert_true(WORLD_UNTIL(world, world->calls[i].has_result));
		assert_int_equal(world->calls[i].result.verdict, STREAM_OPEN);
	}
	assert_int_equal(world->num_fars, 40);
}

/* When its SETTINGS came with a GOAWAY, the stream that waited for them was refused, and that used up one of its tries.
 */
static void a_server_that_rotates_during_a_handshake_serves_what_waits_for_it(void **state)
{
	struct world *world = *state;
	struct call *call = world_call(world);
	for (unsigned i = 0; i < 200 && world->opened[false] == 0; i++) {
		world_set_credentials(world, false, world_credentials(world, SERVER_ID));
		world_run(world, 1);
	}
	assert_true(WORLD_UNTIL(world, call->has_result));
	assert_int_equal(call->result.verdict, STREAM_OPEN);
	assert_int_equal(world->opened[true], 1); /* not by another tunnel */
	clock_fake_advance(&world->clock, 1000);
	world_run(world, 10);
	struct call *next = world_call(world);
	assert_true(WORLD_UNTIL(world, next->has_result));
	assert_int_equal(next->result.verdict, STREAM_OPEN);
	assert_int_equal(world->opened[true], 2); /* it was left */
}

static void T5_finding_t7_cuts_the_tunnels_of_a_peer_that_was_banned_and_takes_no_more(void **state)
{
	struct world *world = *state;
	struct call *call;
	struct far *far;
	assert_true(world_connect(world, &call, &far));
	struct bundle_set *strict = bundle_set_new();
	struct spiffe_id banned;
	assert_int_equal(spiffe_id_parse(SPAN_LITERAL(CLIENT_ID), &banned, NULL), ERR_NONE);
	assert_int_equal(bundle_set_add(strict, test_mesh_bundle(world->mesh), NULL), ERR_NONE);
	bundle_set_ban_id(strict, &banned);
	world_set_credentials(
		world, false, test_mesh_credentials_until(world->mesh, SERVER_ID, TEST_NOW_S + 3000, strict));
	struct call *late = world_call(world); /* it may still go out on the old tunnel */
	assert_true(WORLD_UNTIL(world, late->has_result));
	assert_int_not_equal(late->result.verdict, STREAM_OPEN);
	assert_int_equal(world->num_fars, 1);
	assert_true(WORLD_UNTIL(world, far->has_ended && call->has_ended));
	assert_int_equal(far->end, RELAY_WITHDRAWN);
	assert_int_equal(call->end, RELAY_RESET_UPSTREAM);
	bundle_set_unref(strict);
	spiffe_id_done(&banned);
}

static void finding_i13_a_tunnel_is_left_before_its_peers_certificate_ends(void **state)
{
	struct world *world = *state;
	struct peer *peer = peer_serve(world, world_credentials_for(world, SERVER_ID, 20), NULL);
	struct call *call = world_call(world);
	assert_true(PEER_UNTIL(peer, peer->num_streams == 1));
	peer_answer(peer, &peer->streams[0], "200");
	assert_true(PEER_UNTIL(peer, call->relay != NULL));
	clock_fake_advance(&world->clock, 13000);
	world_run(world, 3);
	peer_pump(peer);
	assert_false(peer->has_goaway);
	clock_fake_advance(&world->clock, 2000); /* 5 s are left */
	assert_true(PEER_UNTIL(peer, peer->has_goaway));
	struct call *late = world_call(world); /* gets a tunnel of its own, to the world's server */
	assert_true(PEER_UNTIL(peer, late->has_result));
	assert_int_equal(late->result.verdict, STREAM_OPEN);
	assert_int_equal(peer->num_streams, 1);
	assert_int_equal(send(call->app, "lives", 5, 0), 5);
	assert_true(PEER_UNTIL(peer, buf_len(&peer->streams[0].received) == 5));
	peer_free(peer);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		WORLD_TEST(rotates_without_touching_a_live_stream),
		WORLD_TEST(a_server_that_rotates_sends_its_peers_to_new_tunnels),
		WORLD_TEST(streams_asked_for_during_a_rotation_are_all_served),
		WORLD_TEST(a_server_that_rotates_during_a_handshake_serves_what_waits_for_it),
		WORLD_TEST(T5_finding_t7_cuts_the_tunnels_of_a_peer_that_was_banned_and_takes_no_more),
		WORLD_TEST(finding_i13_a_tunnel_is_left_before_its_peers_certificate_ends),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
