#include "sidecar/tunnel/test_peer.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka requires the four above */
#include <cmocka.h>

static void T8_opens_again_what_a_goaway_left_out_with_its_early_bytes(void **state)
{
	struct world *world = *state;
	struct peer *peer = peer_serve(world, world_credentials(world, SERVER_ID), NULL);
	struct call *call = world_call(world);
	assert_int_equal(send(call->app, "early bytes", 11, 0), 11);
	assert_true(PEER_UNTIL(peer, peer->tls != NULL && tls_session_is_established(peer->tls)));
	peer->is_deaf = true; /* it has not read the CONNECT when it sends GOAWAY */
	world_run(world, 20);
	h2_session_goaway(peer->h2, 0);
	assert_true(PEER_UNTIL(peer, call->has_result));
	assert_int_equal(call->result.verdict, STREAM_OPEN);
	char got[32];
	assert_true(WORLD_UNTIL(world, recv(world->fars[0].fd, got, sizeof(got), MSG_PEEK) == 11));
	assert_true(world_transfer(world, world->fars[0].fd, call->app, 1000));
	assert_int_equal(recv(world->fars[0].fd, got, sizeof(got), 0), 11);
	assert_memory_equal(got, "early bytes", 11);
	assert_int_equal(peer->num_streams, 0);
	peer_free(peer);
}

static void T8_opens_again_after_refused_stream(void **state)
{
	struct world *world = *state;
	struct peer *peer = peer_serve(world, world_credentials(world, SERVER_ID), NULL);
	struct call *call = world_call(world);
	assert_int_equal(send(call->app, "hello", 5, 0), 5);
	assert_true(PEER_UNTIL(peer, peer->num_streams == 1));
	h2_stream_reset(peer->h2, peer->streams[0].id, 7);
	assert_true(PEER_UNTIL(peer, call->has_result));
	assert_int_equal(call->result.verdict, STREAM_OPEN);
	char got[32];
	assert_true(WORLD_UNTIL(world, recv(world->fars[0].fd, got, sizeof(got), MSG_PEEK) == 5));
	peer_free(peer);
}

/* The server resets the stream with this error. */
static struct call *expect_broken_by_reset(struct world *world, uint32_t error)
{
	struct call *call;
	struct peer *peer = peer_serve_call(world, &call);
	h2_stream_reset(peer->h2, peer->streams[0].id, error);
	assert_true(PEER_UNTIL(peer, call->has_result));
	assert_int_equal(call->result.verdict, STREAM_BROKEN);
	peer_free(peer);
	return call;
}

static void T8_never_opens_again_after_any_other_reset(void **state)
{
	struct world *world = *state;
	expect_broken_by_reset(world, 2);
	assert_int_equal(world->num_fars, 0);
}

static void T8_takes_no_more_than_32_kib_before_the_answer(void **state)
{
	struct world *world = *state;
	struct peer *peer =
		peer_serve(world, world_credentials(world, SERVER_ID), &(struct h2_limits){.stream_window = 1 << 20});
	struct call *call = world_call(world);
	static const uint8_t block[100000];
	assert_true(send(call->app, block, sizeof(block), 0) > 60000);
	assert_true(PEER_UNTIL(peer, peer->num_streams == 1 && buf_len(&peer->streams[0].received) >= 32768));
	PEER_UNTIL(peer, false && peer->is_lost);
	assert_int_equal(buf_len(&peer->streams[0].received), 32768);
	peer_answer(peer, &peer->streams[0], "200");
	assert_true(PEER_UNTIL(peer, buf_len(&peer->streams[0].received) == 100000));
	peer_free(peer);
}

static void T8_gives_early_bytes_back_when_no_endpoint_took_them(void **state)
{
	struct world *world = *state;
	world->keeps_downstream = true;
	struct peer *peer = peer_serve(world, world_credentials(world, SERVER_ID), NULL);
	struct call *call = world_call(world);
	assert_int_equal(send(call->app, "hello", 5, 0), 5);
	assert_int_equal(shutdown(call->app, SHUT_WR), 0);
	assert_true(PEER_UNTIL(peer, peer->num_streams == 1 && peer->streams[0].has_ended));
	h2_stream_reset(peer->h2, peer->streams[0].id, 7); /* not processed; and no other tunnel is there */
	struct peer *other = peer_serve(world, world_credentials(world, "spiffe://td.test/another"), NULL);
	for (unsigned i = 0; i < 500 && !call->has_result; i++) {
		world_run(world, 1);
		peer_pump(peer);
		peer_pump(other);
	}
	assert_int_equal(call->result.detail.err, ERR_WRONG_PEER);
	assert_int_equal(other->num_streams, 0);
	world_call_again(call); /* as conn does with the next endpoint */
	assert_true(PEER_UNTIL(peer, peer->num_streams == 2 && peer->streams[1].has_ended));
	assert_true(span_eq(buf_span(&peer->streams[1].received), SPAN_LITERAL("hello")));
	peer_free(other);
	peer_free(peer);
}

static void T8_loses_nothing_when_the_answer_comes_before_the_early_bytes_have_left_again(void **state)
{
	struct world *world = *state;
	struct peer *first = peer_serve(world, world_credentials(world, SERVER_ID), NULL);
	struct call *call = world_call(world);
	assert_int_equal(send(call->app, "all of these bytes", 18, 0), 18);
	assert_int_equal(shutdown(call->app, SHUT_WR), 0);
	assert_true(PEER_UNTIL(first, first->num_streams == 1 && first->streams[0].has_ended));
	h2_stream_reset(first->h2, first->streams[0].id, 7);
	peer_pump(first);
	struct peer *second =
		peer_serve(world, world_credentials(world, SERVER_ID), &(struct h2_limits){.stream_window = 3});
	assert_true(PEER_UNTIL(second, second->num_streams == 1));
	peer_answer(second, &second->streams[0], "200");
	assert_true(PEER_UNTIL(second, second->streams[0].has_ended));
	assert_true(span_eq(buf_span(&second->streams[0].received), SPAN_LITERAL("all of these bytes")));
	assert_int_equal(call->result.verdict, STREAM_OPEN);
	peer_free(second);
	peer_free(first);
}

/* The app's bytes went out at once; the copy is given back, also when the refusal comes late, and nothing is lost. */
static void finding_p8_early_bytes_come_again_after_a_refusal(void **state)
{
	struct world *world = *state;
	world->keeps_downstream = true;
	struct peer *peer = peer_serve(world, world_credentials(world, SERVER_ID), NULL);
	struct call *call = world_call(world);
	static uint8_t block[50000];
	for (size_t i = 0; i < sizeof(block); i++)
		block[i] = (uint8_t)(i * 7 + (i >> 8));
	assert_int_equal(send(call->app, block, sizeof(block), 0), sizeof(block));
	assert_int_equal(shutdown(call->app, SHUT_WR), 0);
	assert_true(PEER_UNTIL(peer, peer->num_streams == 1 && buf_len(&peer->streams[0].received) == 32768));
	peer_answer(peer, &peer->streams[0], "503");
	assert_true(PEER_UNTIL(peer, call->has_result));
	assert_int_equal(call->result.verdict, STREAM_REFUSED);
	assert_true(call->result.is_undelivered);
	world_call_again(call); /* as conn does with the next endpoint */
	assert_true(PEER_UNTIL(peer, peer->num_streams == 2));
	peer_answer(peer, &peer->streams[1], "200");
	assert_true(PEER_UNTIL(peer, peer->streams[1].has_ended));
	assert_true(span_eq(buf_span(&peer->streams[1].received), span_of(block, sizeof(block))));
	peer_free(peer);
}

static void finding_p8_a_stream_whose_tunnel_breaks_may_have_been_delivered(void **state)
{
	assert_false(expect_broken_by_reset(*state, 8)->result.is_undelivered);
}

static void finding_p8_what_waits_too_long_for_a_tunnel_was_not_delivered(void **state)
{
	struct world *world = *state;
	world->wait_ms = 2000;
	struct peer *peer = peer_serve(world, world_credentials(world, SERVER_ID), NULL); /* it never shakes hands */
	struct call *call = world_call(world);
	clock_fake_advance(&world->clock, 1900);
	world_run(world, 5);
	assert_false(call->has_result);
	clock_fake_advance(&world->clock, 200);
	assert_true(WORLD_UNTIL(world, call->has_result));
	assert_int_equal(call->result.verdict, STREAM_UNREACHABLE);
	assert_int_equal(call->result.detail.err, ERR_TIMEOUT);
	assert_true(call->result.is_undelivered);
	peer_free(peer);
}

/* As Envoy serves: once its own application has ended, what does not fit into the window at once is lost. */
static void finding_t9_an_answer_of_100_kb_fits_into_the_first_window(void **state)
{
	struct world *world = *state;
	static uint8_t answer[100000];
	struct call *call;
	struct peer *peer = peer_serve_call(world, &call);
	peer_answer_whole(peer, &peer->streams[0], span_of(answer, sizeof(answer)));
	peer_pump(peer); /* and nothing of ours comes between */
	assert_int_equal(peer->body.len, 0);
	assert_true(PEER_UNTIL(peer, call->has_result));
	peer_free(peer);
}

static void finding_t1_a_whole_answer_is_handed_on_when_the_peer_wants_no_more_of_ours(void **state)
{
	struct world *world = *state;
	struct call *call;
	struct peer *peer = peer_serve_call(world, &call);
	peer_answer_whole(peer, &peer->streams[0], SPAN_LITERAL("the answer"));
	peer_pump(peer);
	h2_stream_reset(peer->h2, peer->streams[0].id, 0);
	peer_pump(peer);
	char got[32];
	assert_true(PEER_UNTIL(peer, recv(call->app, got, sizeof(got), MSG_PEEK) == 10));
	assert_int_equal(recv(call->app, got, sizeof(got), 0), 10);
	assert_true(PEER_UNTIL(peer, recv(call->app, got, sizeof(got), 0) == 0)); /* FIN */
	assert_int_equal(send(call->app, "unwanted", 8, 0), 8); /* just now: it may not have seen the end */
	world_run(world, 20);
	assert_int_equal(recv(call->app, got, sizeof(got), 0), 0);
	assert_false(call->has_ended);
	assert_int_equal(shutdown(call->app, SHUT_WR), 0);
	assert_true(WORLD_UNTIL(world, call->has_ended));
	assert_int_equal(call->end, RELAY_DONE);
	world_run(world, 5);
	assert_int_equal(tunnel_pool_num_streams(world->pool), 0);
	assert_false(peer->is_lost);
	peer_free(peer);
}

/* A service that only sends, as a shipper of logs, must learn that nothing arrives any more. */
static void finding_t1_an_app_that_goes_on_sending_to_such_a_peer_is_reset(void **state)
{
	struct world *world = *state;
	struct call *call;
	struct peer *peer = peer_serve_call(world, &call);
	peer_answer_whole(peer, &peer->streams[0], SPAN_LITERAL("the answer"));
	peer_pump(peer);
	h2_stream_reset(peer->h2, peer->streams[0].id, 0);
	char got[32];
	assert_true(PEER_UNTIL(peer, recv(call->app, got, sizeof(got), MSG_PEEK) == 10));
	assert_true(PEER_UNTIL(peer, tunnel_pool_num_streams(world->pool) == 0));
	clock_fake_advance(&world->clock, 5100);
	assert_int_equal(send(call->app, "still here", 10, 0), 10);
	assert_true(WORLD_UNTIL(world, call->has_ended));
	assert_int_equal(call->end, RELAY_RESET_UPSTREAM);
	peer_free(peer);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		WORLD_TEST(T8_opens_again_what_a_goaway_left_out_with_its_early_bytes),
		WORLD_TEST(T8_opens_again_after_refused_stream),
		WORLD_TEST(T8_never_opens_again_after_any_other_reset),
		WORLD_TEST(T8_takes_no_more_than_32_kib_before_the_answer),
		WORLD_TEST(T8_gives_early_bytes_back_when_no_endpoint_took_them),
		WORLD_TEST(T8_loses_nothing_when_the_answer_comes_before_the_early_bytes_have_left_again),
		WORLD_TEST(finding_p8_early_bytes_come_again_after_a_refusal),
		WORLD_TEST(finding_p8_a_stream_whose_tunnel_breaks_may_have_been_delivered),
		WORLD_TEST(finding_p8_what_waits_too_long_for_a_tunnel_was_not_delivered),
		WORLD_TEST(finding_t9_an_answer_of_100_kb_fits_into_the_first_window),
		WORLD_TEST(finding_t1_a_whole_answer_is_handed_on_when_the_peer_wants_no_more_of_ours),
		WORLD_TEST(finding_t1_an_app_that_goes_on_sending_to_such_a_peer_is_reset),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
