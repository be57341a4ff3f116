#include "base/net/fd.h"
#include "base/net/listener.h"
#include "sidecar/leg/tcp_pair.h"
#include "sidecar/tunnel/destination.h"
#include "sidecar/tunnel/test_peer.h"
#include "sidecar/tunnel/tunnel_pool.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants the four above first */
#include <cmocka.h>

static int setup(void **state)
{
	*state = world_new(NULL);
	return 0;
}

static int teardown(void **state)
{
	world_free(*state);
	return 0;
}

static struct credentials *credentials_of(struct world *world, const char *id)
{
	return test_mesh_credentials(world->mesh, id);
}

/* --- verdicts --- */

static void tells_a_refusal_with_its_status_and_reason(void **state)
{
	struct world *world = *state;
	world->conduct = FAR_REFUSE;
	world->refuse_status = 401;
	world->refuse_reason = "denied";
	struct call *call = world_call(world);
	assert_int_equal(send(call->app, "early", 5, 0), 5);
	assert_true(WORLD_UNTIL(world, call->has_result));
	assert_int_equal(call->result.verdict, STREAM_REFUSED);
	assert_int_equal(call->result.status, 401);
	assert_string_equal(call->result.reason, "denied");
	world_run(world, 10);
	assert_int_equal(tunnel_pool_num_streams(world->pool), 0);
	assert_int_equal(tunnel_server_num_streams(world->server), 0);
	assert_int_equal(world->failed[true], 0);
	world->conduct = FAR_ACCEPT;
	struct far *far;
	assert_true(world_connect(world, &call, &far));
	assert_int_equal(world->opened[true], 1); /* the same tunnel */
}

static void tells_that_nobody_listens_there(void **state)
{
	struct world *world = *state;
	listener_free(TAKE_PTR(world->listener));
	struct call *call = world_call(world);
	assert_true(WORLD_UNTIL(world, call->has_result));
	assert_int_equal(call->result.verdict, STREAM_UNREACHABLE);
	assert_int_equal(call->result.why.err, ERR_REFUSED);
	assert_int_equal(world->failed[true], 1);
}

static void T7_D29_opens_no_stream_to_a_peer_that_is_somebody_else(void **state)
{
	struct world *world = *state;
	struct call *call = world_call_to(world, "spiffe://td.test/somebody-else");
	assert_int_equal(send(call->app, "secret", 6, 0), 6);
	assert_true(WORLD_UNTIL(world, call->has_result));
	assert_int_equal(call->result.verdict, STREAM_TLS_FAILED);
	assert_int_equal(call->result.why.err, ERR_WRONG_PEER);
	assert_false(call->result.failed_by_peer);
	assert_int_equal(world->num_fars, 0);
	assert_int_equal(world->last_failure[true].err, ERR_WRONG_PEER);
}

static void D7_tells_that_the_server_was_not_trusted(void **state)
{
	struct world *world = *state;
	struct test_mesh *other = test_mesh_new("td.test", TEST_NOW_S); /* the same name, another root */
	world_set_credentials(world, false, test_mesh_credentials(other, SERVER_ID));
	struct call *call = world_call(world);
	assert_true(WORLD_UNTIL(world, call->has_result));
	assert_int_equal(call->result.verdict, STREAM_TLS_FAILED);
	assert_int_equal(call->result.why.err, ERR_UNTRUSTED);
	test_mesh_free(other);
}

static void names_the_alert_of_a_server_that_refuses_our_certificate(void **state)
{
	struct world *world = *state;
	struct test_mesh *other = test_mesh_new("other.test", TEST_NOW_S);
	struct bundle_set *both = bundle_set_new();
	assert_int_equal(bundle_set_add(both, test_mesh_bundle(world->mesh), NULL), ERR_NONE);
	assert_int_equal(bundle_set_add(both, test_mesh_bundle(other), NULL), ERR_NONE);
	world_set_credentials(
		world, true, test_mesh_credentials_until(other, "spiffe://other.test/a", TEST_NOW_S + 3000, both));
	struct call *call = world_call(world); /* to us the server is good; it has no bundle for us */
	assert_true(WORLD_UNTIL(world, call->has_result));
	assert_int_equal(call->result.verdict, STREAM_TLS_FAILED);
	assert_true(call->result.failed_by_peer);
	assert_int_equal(world->last_failure[false].err, ERR_NO_BUNDLE);
	assert_int_equal(world->num_fars, 0);
	bundle_set_unref(both);
	test_mesh_free(other);
}

static void opens_nothing_without_an_identity(void **state)
{
	struct world *world = *state;
	world_set_credentials(world, true, NULL);
	struct call *call = world_call(world);
	assert_false(call->has_result); /* never from within the call */
	assert_true(WORLD_UNTIL(world, call->has_result));
	assert_int_equal(call->result.verdict, STREAM_NO_IDENTITY);
}

static void opens_no_stream_once_the_own_identity_has_expired_and_keeps_those_that_live(void **state)
{
	struct world *world = *state;
	struct call *call, *late;
	struct far *far;
	assert_true(world_connect(world, &call, &far));
	clock_fake_advance(&world->clock, 2 * 3600 * 1000);
	late = world_call(world);
	assert_true(WORLD_UNTIL(world, late->has_result));
	assert_int_equal(late->result.verdict, STREAM_NO_IDENTITY);
	assert_true(world_transfer(world, call->app, far->fd, 1000));
}

static void gives_up_a_peer_that_answers_tcp_and_nothing_else(void **state)
{
	struct world *world = *state;
	struct peer *peer = peer_serve(world, credentials_of(world, SERVER_ID), NULL);
	struct call *call = world_call(world);
	world_run(world, 20);
	assert_false(call->has_result);
	clock_fake_advance(&world->clock, 5100);
	assert_true(WORLD_UNTIL(world, call->has_result));
	assert_int_equal(call->result.verdict, STREAM_TLS_FAILED);
	assert_int_equal(call->result.why.err, ERR_TIMEOUT);
	peer_free(peer);
}

static void a_cancelled_attempt_calls_nobody(void **state)
{
	struct world *world = *state;
	struct call *call = world_call(world);
	stream_attempt_cancel(TAKE_PTR(call->attempt));
	world_run(world, 50);
	assert_false(call->has_result);
	assert_int_equal(world->num_fars, 0);
}

static void tells_when_the_app_resets_before_the_answer(void **state)
{
	struct world *world = *state;
	world->conduct = FAR_HOLD;
	struct call *call = world_call(world);
	assert_true(WORLD_UNTIL(world, world->num_fars == 1));
	tcp_abort(TAKE_FD(call->app));
	assert_true(WORLD_UNTIL(world, call->has_result));
	assert_int_equal(call->result.verdict, STREAM_ABANDONED);
	assert_true(WORLD_UNTIL(world, world->fars[0].was_abandoned));
}

/* --- rotation --- */

static void rotates_without_touching_a_live_stream(void **state)
{
	struct world *world = *state;
	struct call *old, *fresh;
	struct far *old_far, *fresh_far;
	assert_true(world_connect(world, &old, &old_far));
	world_set_credentials(world, true, credentials_of(world, CLIENT_ID));
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
	world_set_credentials(world, false, credentials_of(world, SERVER_ID));
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
				world, i % 8 == 1, credentials_of(world, i % 8 == 1 ? CLIENT_ID : SERVER_ID));
		world_run(world, i % 3);
	}
	for (unsigned i = 0; i < 40; i++) {
		assert_true(WORLD_UNTIL(world, world->calls[i].has_result));
		assert_int_equal(world->calls[i].result.verdict, STREAM_OPEN);
	}
	assert_int_equal(world->num_fars, 40);
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

/* --- opening again --- */

static void T8_opens_again_what_a_goaway_left_out_with_its_early_bytes(void **state)
{
	struct world *world = *state;
	struct peer *peer = peer_serve(world, credentials_of(world, SERVER_ID), NULL);
	struct call *call = world_call(world);
	assert_int_equal(send(call->app, "early bytes", 11, 0), 11);
	assert_true(PEER_UNTIL(peer, peer->tls != NULL && tls_session_is_established(peer->tls)));
	peer->is_deaf = true; /* it has not read the CONNECT when it says goodbye */
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
	struct peer *peer = peer_serve(world, credentials_of(world, SERVER_ID), NULL);
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

static void T8_never_opens_again_after_any_other_reset(void **state)
{
	struct world *world = *state;
	struct peer *peer = peer_serve(world, credentials_of(world, SERVER_ID), NULL);
	struct call *call = world_call(world);
	assert_true(PEER_UNTIL(peer, peer->num_streams == 1));
	h2_stream_reset(peer->h2, peer->streams[0].id, 2);
	assert_true(PEER_UNTIL(peer, call->has_result));
	assert_int_equal(call->result.verdict, STREAM_BROKEN);
	assert_int_equal(world->num_fars, 0);
	peer_free(peer);
}

static void T8_takes_no_more_than_32_kib_before_the_answer(void **state)
{
	struct world *world = *state;
	struct peer *peer =
		peer_serve(world, credentials_of(world, SERVER_ID), &(struct h2_limits){.stream_window = 1 << 20});
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
	struct peer *peer = peer_serve(world, credentials_of(world, SERVER_ID), NULL);
	struct call *call = world_call(world);
	assert_int_equal(send(call->app, "hello", 5, 0), 5);
	assert_int_equal(shutdown(call->app, SHUT_WR), 0);
	assert_true(PEER_UNTIL(peer, peer->num_streams == 1 && peer->streams[0].has_ended));
	h2_stream_reset(peer->h2, peer->streams[0].id, 7); /* not looked at; and nobody else is there */
	struct peer *nobody = peer_serve(world, credentials_of(world, "spiffe://td.test/somebody-else"), NULL);
	for (unsigned i = 0; i < 500 && !call->has_result; i++) {
		world_run(world, 1);
		peer_pump(peer);
		peer_pump(nobody);
	}
	assert_int_equal(call->result.why.err, ERR_WRONG_PEER);
	assert_int_equal(nobody->num_streams, 0);
	world_call_again(call); /* as conn does with the next endpoint */
	assert_true(PEER_UNTIL(peer, peer->num_streams == 2 && peer->streams[1].has_ended));
	assert_true(span_eq(buf_span(&peer->streams[1].received), SPAN_LITERAL("hello")));
	peer_free(nobody);
	peer_free(peer);
}

static void T8_loses_nothing_when_the_answer_comes_before_the_early_bytes_have_left_again(void **state)
{
	struct world *world = *state;
	struct peer *first = peer_serve(world, credentials_of(world, SERVER_ID), NULL);
	struct call *call = world_call(world);
	assert_int_equal(send(call->app, "all of these bytes", 18, 0), 18);
	assert_int_equal(shutdown(call->app, SHUT_WR), 0);
	assert_true(PEER_UNTIL(first, first->num_streams == 1 && first->streams[0].has_ended));
	h2_stream_reset(first->h2, first->streams[0].id, 7);
	peer_pump(first);
	struct peer *second =
		peer_serve(world, credentials_of(world, SERVER_ID), &(struct h2_limits){.stream_window = 3});
	assert_true(PEER_UNTIL(second, second->num_streams == 1));
	peer_answer(second, &second->streams[0], "200");
	assert_true(PEER_UNTIL(second, second->streams[0].has_ended));
	assert_true(span_eq(buf_span(&second->streams[0].received), SPAN_LITERAL("all of these bytes")));
	assert_int_equal(call->result.verdict, STREAM_OPEN);
	peer_free(second);
	peer_free(first);
}

/* --- which tunnel --- */

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

static void keeps_small_connections_away_from_a_tunnel_that_is_hogged(void **state)
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

static void finding_p12_a_hogged_tunnel_is_used_while_another_shakes_hands(void **state)
{
	struct world *world = *state;
	struct call *bulk, *small;
	struct far *bulk_far, *small_far;
	assert_true(world_connect(world, &bulk, &bulk_far));
	assert_true(world_transfer(world, bulk_far->fd, bulk->app, 4 * 1024 * 1024));
	struct peer *peer = peer_serve(world, credentials_of(world, SERVER_ID), NULL); /* takes it, says nothing */
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
	struct peer *peer = peer_serve(world, credentials_of(world, SERVER_ID), NULL);
	struct call *call = world_call(world);
	assert_true(PEER_UNTIL(peer, peer->num_streams == 1));
	peer_answer(peer, &peer->streams[0], "200");
	assert_true(PEER_UNTIL(peer, call->relay != NULL));
	for (unsigned i = 0; i < 90; i++) { /* traffic that ends just after a look */
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
	assert_int_equal(destination_tunnels_wanted(0, UINT32_MAX), 0);
	assert_int_equal(destination_tunnels_wanted(2, UINT32_MAX), 1);
	assert_int_equal(destination_tunnels_wanted(100, 100), 1);
	assert_int_equal(destination_tunnels_wanted(101, 100), 2);
	struct peer *peer =
		peer_serve(world, credentials_of(world, SERVER_ID), &(struct h2_limits){.max_streams = UINT32_MAX});
	struct call *call = world_call(world);
	assert_true(PEER_UNTIL(peer, peer->num_streams == 1));
	peer_answer(peer, &peer->streams[0], "200");
	assert_true(PEER_UNTIL(peer, call->has_result));
	assert_int_equal(call->result.verdict, STREAM_OPEN);
	peer_free(peer);
}

/* The app's bytes went out at once; the copy is given back, also when the refusal comes late, and nothing is lost. */
static void finding_p8_early_bytes_come_again_after_a_refusal(void **state)
{
	struct world *world = *state;
	world->keeps_downstream = true;
	struct peer *peer = peer_serve(world, credentials_of(world, SERVER_ID), NULL);
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
	struct world *world = *state;
	struct peer *peer = peer_serve(world, credentials_of(world, SERVER_ID), NULL);
	struct call *call = world_call(world);
	assert_true(PEER_UNTIL(peer, peer->num_streams == 1));
	h2_stream_reset(peer->h2, peer->streams[0].id, 8);
	assert_true(PEER_UNTIL(peer, call->has_result));
	assert_int_equal(call->result.verdict, STREAM_BROKEN);
	assert_false(call->result.is_undelivered);
	peer_free(peer);
}

static void finding_p8_what_waits_too_long_for_a_tunnel_was_not_delivered(void **state)
{
	struct world *world = *state;
	world->wait_ms = 2000;
	struct peer *peer = peer_serve(world, credentials_of(world, SERVER_ID), NULL); /* it never shakes hands */
	struct call *call = world_call(world);
	clock_fake_advance(&world->clock, 1900);
	world_run(world, 5);
	assert_false(call->has_result);
	clock_fake_advance(&world->clock, 200);
	assert_true(WORLD_UNTIL(world, call->has_result));
	assert_int_equal(call->result.verdict, STREAM_UNREACHABLE);
	assert_int_equal(call->result.why.err, ERR_TIMEOUT);
	assert_true(call->result.is_undelivered);
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

/* Loopback always acknowledges: silence alone makes nobody suspect. What a dead peer is like is story 122. */
static void finding_p8_silence_of_a_peer_whose_kernel_answers_is_not_suspect(void **state)
{
	struct world *world = *state;
	assert_false(is_suspect(world));
	struct peer *peer = peer_serve(world, credentials_of(world, SERVER_ID), NULL);
	struct call *call = world_call(world);
	assert_true(PEER_UNTIL(peer, peer->num_streams == 1));
	peer->is_deaf = true;
	assert_int_equal(send(call->app, "anyone there?", 13, 0), 13);
	world_run(world, 5);
	clock_fake_advance(&world->clock, 5000);
	world_run(world, 5);
	assert_false(is_suspect(world));
	peer_free(peer);
}

/* As Envoy serves: once its own application has ended, what does not fit into the window at once is lost. */
static void finding_t9_an_answer_of_100_kb_fits_into_the_first_window(void **state)
{
	struct world *world = *state;
	static uint8_t answer[100000];
	struct peer *peer = peer_serve(world, credentials_of(world, SERVER_ID), NULL);
	struct call *call = world_call(world);
	assert_true(PEER_UNTIL(peer, peer->num_streams == 1));
	peer_answer_whole(peer, &peer->streams[0], span_of(answer, sizeof(answer)));
	peer_pump(peer); /* and nothing of ours comes between */
	assert_int_equal(peer->body.len, 0);
	assert_true(PEER_UNTIL(peer, call->has_result));
	peer_free(peer);
}

/* --- identities that end --- */

static struct credentials *credentials_for_20_s(struct world *world, const char *id)
{
	struct bundle_set *bundles = bundle_set_new();
	assert_int_equal(bundle_set_add(bundles, test_mesh_bundle(world->mesh), NULL), ERR_NONE);
	struct credentials *made = test_mesh_credentials_until(world->mesh, id, TEST_NOW_S + 20, bundles);
	bundle_set_unref(bundles);
	return made;
}

static void finding_i13_a_tunnel_is_left_before_its_peers_certificate_ends(void **state)
{
	struct world *world = *state;
	struct peer *peer = peer_serve(world, credentials_for_20_s(world, SERVER_ID), NULL);
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

/* --- RFC 9113 8.1 --- */

static void finding_t1_a_whole_answer_is_handed_on_when_the_peer_wants_no_more_of_ours(void **state)
{
	struct world *world = *state;
	struct peer *peer = peer_serve(world, credentials_of(world, SERVER_ID), NULL);
	struct call *call = world_call(world);
	assert_true(PEER_UNTIL(peer, peer->num_streams == 1));
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
	struct peer *peer = peer_serve(world, credentials_of(world, SERVER_ID), NULL);
	struct call *call = world_call(world);
	assert_true(PEER_UNTIL(peer, peer->num_streams == 1));
	peer_answer_whole(peer, &peer->streams[0], SPAN_LITERAL("the answer"));
	peer_pump(peer);
	h2_stream_reset(peer->h2, peer->streams[0].id, 0);
	char got[32];
	assert_true(PEER_UNTIL(peer, recv(call->app, got, sizeof(got), MSG_PEEK) == 10));
	assert_true(PEER_UNTIL(peer, tunnel_pool_num_streams(world->pool) == 0));
	clock_fake_advance(&world->clock, 1100);
	assert_int_equal(send(call->app, "still here", 10, 0), 10);
	assert_true(WORLD_UNTIL(world, call->has_ended));
	assert_int_equal(call->end, RELAY_RESET_UPSTREAM);
	peer_free(peer);
}

/* --- the budget --- */

static void resets_the_longest_unread_stream_when_the_budget_is_used_up(void **state)
{
	world_free(*state);
	struct world *world = world_new(&(struct world_options){.window_budget = 256 * 1024});
	*state = world;
	struct call *stopped, *busy;
	struct far *stopped_far, *busy_far;
	assert_true(world_connect(world, &stopped, &stopped_far));
	assert_true(world_transfer(world, stopped_far->fd, stopped->app, 8 * 1024 * 1024)); /* grows its window */
	assert_true(window_budget_left(world->budget) <= 128 * 1024);
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

static void gives_the_budget_back_when_streams_end(void **state)
{
	struct world *world = *state;
	uint64_t before = window_budget_left(world->budget);
	struct call *call;
	struct far *far;
	assert_true(world_connect(world, &call, &far));
	assert_true(world_transfer(world, far->fd, call->app, 8 * 1024 * 1024));
	assert_true(window_budget_left(world->budget) < before);
	tcp_abort(TAKE_FD(call->app));
	assert_true(WORLD_UNTIL(world, call->has_ended && far->has_ended));
	world_run(world, 5);
	assert_int_equal(window_budget_left(world->budget), before);
}

#define WORLD_TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		WORLD_TEST(tells_a_refusal_with_its_status_and_reason),
		WORLD_TEST(tells_that_nobody_listens_there),
		WORLD_TEST(T7_D29_opens_no_stream_to_a_peer_that_is_somebody_else),
		WORLD_TEST(D7_tells_that_the_server_was_not_trusted),
		WORLD_TEST(names_the_alert_of_a_server_that_refuses_our_certificate),
		WORLD_TEST(opens_nothing_without_an_identity),
		WORLD_TEST(opens_no_stream_once_the_own_identity_has_expired_and_keeps_those_that_live),
		WORLD_TEST(gives_up_a_peer_that_answers_tcp_and_nothing_else),
		WORLD_TEST(a_cancelled_attempt_calls_nobody),
		WORLD_TEST(tells_when_the_app_resets_before_the_answer),
		WORLD_TEST(rotates_without_touching_a_live_stream),
		WORLD_TEST(a_server_that_rotates_sends_its_peers_to_new_tunnels),
		WORLD_TEST(streams_asked_for_during_a_rotation_are_all_served),
		WORLD_TEST(T5_finding_t7_cuts_the_tunnels_of_a_peer_that_was_banned_and_takes_no_more),
		WORLD_TEST(T8_opens_again_what_a_goaway_left_out_with_its_early_bytes),
		WORLD_TEST(T8_opens_again_after_refused_stream),
		WORLD_TEST(T8_never_opens_again_after_any_other_reset),
		WORLD_TEST(T8_takes_no_more_than_32_kib_before_the_answer),
		WORLD_TEST(T8_gives_early_bytes_back_when_no_endpoint_took_them),
		WORLD_TEST(T8_loses_nothing_when_the_answer_comes_before_the_early_bytes_have_left_again),
		WORLD_TEST(opens_as_many_tunnels_as_a_peers_limit_needs),
		WORLD_TEST(keeps_small_connections_away_from_a_tunnel_that_is_hogged),
		WORLD_TEST(finding_p8_early_bytes_come_again_after_a_refusal),
		WORLD_TEST(finding_p8_a_stream_whose_tunnel_breaks_may_have_been_delivered),
		WORLD_TEST(finding_p8_what_waits_too_long_for_a_tunnel_was_not_delivered),
		WORLD_TEST(finding_p8_silence_of_a_peer_whose_kernel_answers_is_not_suspect),
		WORLD_TEST(finding_t9_an_answer_of_100_kb_fits_into_the_first_window),
		WORLD_TEST(finding_p12_a_hogged_tunnel_is_used_while_another_shakes_hands),
		WORLD_TEST(finding_p12_a_silent_peer_is_noticed_after_30_s),
		WORLD_TEST(finding_p16_connections_that_wait_for_a_handshake_keep_their_order),
		WORLD_TEST(finding_l13_a_peer_that_names_no_limit_of_streams_gets_the_tunnels_it_needs),
		WORLD_TEST(finding_i13_a_tunnel_is_left_before_its_peers_certificate_ends),
		WORLD_TEST(finding_t1_a_whole_answer_is_handed_on_when_the_peer_wants_no_more_of_ours),
		WORLD_TEST(finding_t1_an_app_that_goes_on_sending_to_such_a_peer_is_reset),
		WORLD_TEST(resets_the_longest_unread_stream_when_the_budget_is_used_up),
		WORLD_TEST(gives_the_budget_back_when_streams_end),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
