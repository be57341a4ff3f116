/* How the server ends a tunnel: before the certificate of its peer expires, and while it drains. */
#include "base/core/test_wait.h"
#include "sidecar/tunnel/test_peer.h"
#include "sidecar/tunnel/tunnel_server.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka requires setjmp, stdarg, stddef and stdint */
#include <cmocka.h>

static void finding_i13_goaway_comes_before_the_peers_certificate_ends(void **state)
{
	struct world *world = *state;
	struct peer *peer = peer_connect(world, world_credentials_for(world, RAW_ID, 20));
	struct peer_stream *stream = peer_open_connect(peer);
	assert_true(PEER_UNTIL(peer, stream->status == 200));
	clock_fake_advance(&world->clock, 13000);
	world_run(world, 3);
	peer_pump(peer);
	assert_false(peer->has_goaway);
	clock_fake_advance(&world->clock, 2000);
	assert_true(PEER_UNTIL(peer, peer->has_goaway));
	clock_fake_advance(&world->clock, 10000); /* it has ended, the stream has not */
	assert_int_equal(send(world->fars[0].fd, "lives", 5, 0), 5);
	assert_true(PEER_UNTIL(peer, buf_len(&stream->received) == 5));
	peer_free(peer);
}

static void finding_i13_a_stream_after_the_end_is_refused_so_that_it_is_opened_again(void **state)
{
	struct world *world = *state;
	struct peer *peer = peer_connect(world, world_credentials_for(world, RAW_ID, 10));
	assert_true(WORLD_UNTIL(world, world->opened[false] == 1));
	clock_fake_advance(&world->clock, 15000); /* less than an empty tunnel stays open while it drains */
	struct peer_stream *late = peer_open_connect(peer);
	assert_true(PEER_UNTIL(peer, late->is_closed && peer->has_goaway));
	assert_int_equal(late->status, 0);
	assert_int_equal(late->error, 7);
	assert_int_equal(world->num_fars, 0);
	peer_free(peer);
}

static void finding_t10_a_tunnel_accepted_while_draining_is_served_and_soon_left(void **state)
{
	struct world *world = *state;
	tunnel_server_drain(world->server);
	struct peer *peer = peer_connect_raw(world);
	struct peer_stream *stream = peer_open_connect(peer);
	assert_true(PEER_UNTIL(peer, stream->status == 200));
	assert_false(peer->has_goaway);
	clock_fake_advance(&world->clock, 1000);
	assert_true(PEER_UNTIL(peer, peer->has_goaway));
	assert_int_equal(send(world->fars[0].fd, "lives", 5, 0), 5);
	assert_true(PEER_UNTIL(peer, buf_len(&stream->received) == 5));
	peer_free(peer);
}

static void finding_t10_every_tunnel_ends_with_goaway_and_close_notify(void **state)
{
	struct world *world = *state;
	struct peer *peer = peer_connect_raw(world);
	struct peer_stream *stream = peer_open_connect(peer);
	assert_true(PEER_UNTIL(peer, stream->status == 200));
	relay_free(TAKE_PTR(world->fars[0].relay));
	tunnel_server_free(TAKE_PTR(world->server));
	assert_true(PEER_UNTIL(peer, peer->is_lost));
	assert_true(peer->has_goaway);
	assert_true(stream->is_closed);
	assert_int_equal(stream->error, 8);
	assert_int_equal(peer->detail.err, ERR_NONE); /* close_notify, no cut */
	peer_free(peer);
}

/* While the clock stands: on a busy machine a wait for bytes would else be the second that a notice lasts. */
static bool arrive(struct peer *peer, unsigned num_fars)
{
	return WAIT_UNTIL(
		peer->world->num_fars == num_fars, (peer_pump(peer), loop_run_once(peer->world->loop, false)));
}

/* Only the notice has reached it: it answers no PING. */
static void finding_l9_the_final_goaway_comes_after_a_second_without_the_ack(void **state)
{
	struct world *world = *state;
	struct peer *peer = peer_connect_raw(world);
	struct peer_stream *stream = peer_open_connect(peer);
	assert_true(PEER_UNTIL(peer, stream->status == 200));
	peer->is_deaf = true;
	tunnel_server_drain(world->server);
	struct peer_stream *in_flight = peer_open_connect(peer);
	assert_true(arrive(peer, 2));
	clock_fake_advance(&world->clock, 1100);
	world_run(world, 5);
	struct peer_stream *late = peer_open_connect(peer);
	peer_pump(peer);
	world_run(world, 5);
	assert_int_equal(world->num_fars, 2);
	peer->is_deaf = false;
	assert_true(PEER_UNTIL(peer, late->is_closed && in_flight->status == 200));
	assert_int_equal(late->error, 7);
	peer_free(peer);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		WORLD_TEST(finding_i13_goaway_comes_before_the_peers_certificate_ends),
		WORLD_TEST(finding_i13_a_stream_after_the_end_is_refused_so_that_it_is_opened_again),
		WORLD_TEST(finding_t10_a_tunnel_accepted_while_draining_is_served_and_soon_left),
		WORLD_TEST(finding_t10_every_tunnel_ends_with_goaway_and_close_notify),
		WORLD_TEST(finding_l9_the_final_goaway_comes_after_a_second_without_the_ack),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
