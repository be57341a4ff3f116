#include "base/net/fd.h"
#include "base/net/listener.h"
#include "sidecar/leg/tcp_pair.h"
#include "sidecar/tunnel/pool/tunnel_pool.h"
#include "sidecar/tunnel/pool/upstream.h"
#include "sidecar/tunnel/test_peer.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
/* cmocka requires the four above */
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

static void reports_a_refusal_with_its_status_and_reason(void **state)
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

static void reports_that_no_socket_listens_there(void **state)
{
	struct world *world = *state;
	listener_free(TAKE_PTR(world->listener));
	struct call *call = world_call(world);
	assert_true(WORLD_UNTIL(world, call->has_result));
	assert_int_equal(call->result.verdict, STREAM_UNREACHABLE);
	assert_int_equal(call->result.detail.err, ERR_REFUSED);
	assert_int_equal(world->failed[true], 1);
}

static void T7_D29_opens_no_stream_to_a_peer_with_another_identity(void **state)
{
	struct world *world = *state;
	struct call *call = world_call_to(world, "spiffe://td.test/another");
	assert_int_equal(send(call->app, "secret", 6, 0), 6);
	assert_true(WORLD_UNTIL(world, call->has_result));
	assert_int_equal(call->result.verdict, STREAM_TLS_FAILED);
	assert_int_equal(call->result.detail.err, ERR_WRONG_PEER);
	assert_false(call->result.failed_by_peer);
	assert_int_equal(world->num_fars, 0);
	assert_int_equal(world->last_failure[true].err, ERR_WRONG_PEER);
}

static void D7_reports_that_the_server_was_not_trusted(void **state)
{
	struct world *world = *state;
	struct test_mesh *other = test_mesh_new("td.test", TEST_NOW_S); /* the same name, another root */
	world_set_credentials(world, false, test_mesh_credentials(other, SERVER_ID));
	struct call *call = world_call(world);
	assert_true(WORLD_UNTIL(world, call->has_result));
	assert_int_equal(call->result.verdict, STREAM_TLS_FAILED);
	assert_int_equal(call->result.detail.err, ERR_UNTRUSTED);
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

static void C21_opens_nothing_without_an_identity(void **state)
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
	assert_int_equal(call->result.detail.err, ERR_TIMEOUT);
	peer_free(peer);
}

static void a_canceled_attempt_reports_nothing(void **state)
{
	struct world *world = *state;
	struct call *call = world_call(world);
	stream_attempt_cancel(TAKE_PTR(call->attempt));
	world_run(world, 50);
	assert_false(call->has_result);
	assert_int_equal(world->num_fars, 0);
}

static void reports_when_the_app_resets_before_the_answer(void **state)
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

/* When its SETTINGS came with a GOAWAY, the stream that waited for them was refused, and that used up one of its tries.
 */
static void a_server_that_rotates_during_a_handshake_serves_what_waits_for_it(void **state)
{
	struct world *world = *state;
	struct call *call = world_call(world);
	for (unsigned i = 0; i < 200 && world->opened[false] == 0; i++) {
		world_set_credentials(world, false, credentials_of(world, SERVER_ID));
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

/* --- the budget --- */

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
	assert_true(before <= 62 * 1024 * 1024);
	for (unsigned i = 0; i < 2; i++) { /* the first ten seconds may have begun with fast bytes */
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

#define WORLD_TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		WORLD_TEST(reports_a_refusal_with_its_status_and_reason),
		WORLD_TEST(reports_that_no_socket_listens_there),
		WORLD_TEST(T7_D29_opens_no_stream_to_a_peer_with_another_identity),
		WORLD_TEST(D7_reports_that_the_server_was_not_trusted),
		WORLD_TEST(names_the_alert_of_a_server_that_refuses_our_certificate),
		WORLD_TEST(C21_opens_nothing_without_an_identity),
		WORLD_TEST(opens_no_stream_once_the_own_identity_has_expired_and_keeps_those_that_live),
		WORLD_TEST(gives_up_a_peer_that_answers_tcp_and_nothing_else),
		WORLD_TEST(a_canceled_attempt_reports_nothing),
		WORLD_TEST(reports_when_the_app_resets_before_the_answer),
		WORLD_TEST(rotates_without_touching_a_live_stream),
		WORLD_TEST(a_server_that_rotates_sends_its_peers_to_new_tunnels),
		WORLD_TEST(streams_asked_for_during_a_rotation_are_all_served),
		WORLD_TEST(a_server_that_rotates_during_a_handshake_serves_what_waits_for_it),
		WORLD_TEST(T5_finding_t7_cuts_the_tunnels_of_a_peer_that_was_banned_and_takes_no_more),
		WORLD_TEST(finding_i13_a_tunnel_is_left_before_its_peers_certificate_ends),
		WORLD_TEST(D38_resets_the_longest_unread_stream_when_the_budget_is_used_up),
		WORLD_TEST(finding_l11_a_stream_that_was_idle_gives_its_window_back_as_it_goes_on),
		WORLD_TEST(gives_the_budget_back_when_streams_end),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
