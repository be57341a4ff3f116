/* The verdict of each attempt. */
#include "base/net/listener.h"
#include "sidecar/leg/tcp_pair.h"
#include "sidecar/tunnel/pool/tunnel_pool.h"
#include "sidecar/tunnel/test_peer.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka requires setjmp, stdarg, stddef and stdint */
#include <cmocka.h>

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
	struct peer *peer = peer_serve(world, world_credentials(world, SERVER_ID), NULL);
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
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
