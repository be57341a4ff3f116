#include "base/net/fd.h"
#include "base/net/socket.h"
#include "sidecar/conn/test_conns.h"
#include "sidecar/leg/tcp_pair.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>
/* cmocka requires setjmp, stdarg, stddef and stdint */
#include <cmocka.h>

static void a_destination_outside_the_mesh_networks_is_reached_in_plaintext_without_a_subscription(void **state)
{
	struct test_conns *conns = *state;
	_cleanup_fd_ int app = test_outbound(conns, NULL); /* 127.0.0.1 is outside 10/8 */
	_cleanup_fd_ int far = test_app_accept(conns);
	assert_true(far >= 0);
	assert_true(test_passes(conns, app, far) && test_passes(conns, far, app));
	assert_int_equal(conns->num_subscribed, 0);
	fd_close(TAKE_FD(app));
	test_conns_turn(conns);
	fd_close(TAKE_FD(far));
	test_conns_turn(conns);
	assert_int_equal(conns->num_ended, 1);
	assert_int_equal(conns->reason, CLOSE_DONE);
	assert_int_equal(conns->record.bytes_sent, 5);
	assert_true(conns->record.relayed);
	assert_false(conns->record.encrypted);
	assert_int_equal(conns->detail.err, ERR_NONE);
}

static void a_stream_to_a_meshed_destination_expects_the_identity_of_its_endpoint(void **state)
{
	struct test_conns *conns = *state;
	test_answer(conns, TEST_MESHED, DESTINATION_MESHED, 1);
	_cleanup_fd_ int app = test_outbound(conns, TEST_MESHED);
	assert_non_null(conns->pool.attempt);
	assert_string_equal(conns->pool.attempt->expected.text, "spiffe://td.test/there");
	_cleanup_fd_ int far = -1;
	test_pool_accept(&conns->pool, &far);
	test_conns_turn(conns);
	assert_true(test_passes(conns, app, far));
	conn_table_cut_all(conns->env.table, CLOSE_DRAINED);
	assert_true(conns->record.encrypted);
}

static void a_meshed_destination_without_endpoints_is_never_reached_in_plaintext(void **state)
{
	struct test_conns *conns = *state;
	test_answer(conns, TEST_MESHED, DESTINATION_MESHED, 0);
	_cleanup_fd_ int app = test_outbound(conns, TEST_MESHED);
	assert_int_equal(conns->reason, CLOSE_NO_ENDPOINT);
	assert_int_equal(conns->num_relayed, 0);
	assert_true(test_was_reset(app));
}

static void plaintext_is_refused_to_a_network_that_requires_mtls(void **state)
{
	struct test_conns *conns = *state;
	test_networks(conns, "127.0.0.0/8", "127.0.0.0/8");
	char at[ADDR_TEXT_MAX];
	test_answer(conns, addr_format(&conns->app_at, at), DESTINATION_PLAINTEXT, 0);
	_cleanup_fd_ int app = test_outbound(conns, NULL);
	assert_int_equal(conns->reason, CLOSE_PLAINTEXT_REFUSED);
	assert_true(test_was_reset(app));
	assert_int_equal(test_app_accept(conns), -1);
}

static void an_open_plaintext_connection_is_cut_when_its_network_begins_to_require_mtls(void **state)
{
	struct test_conns *conns = *state;
	_cleanup_fd_ int app = test_outbound(conns, NULL);
	_cleanup_fd_ int far = test_app_accept(conns);
	assert_int_equal(conns->num_relayed, 1);
	test_networks(conns, "10.0.0.0/8", "127.0.0.0/8");
	assert_int_equal(conns->reason, CLOSE_POLICY_CHANGED);
	assert_true(test_was_reset(app) && test_was_reset(far));
}

static void an_open_plaintext_connection_is_cut_when_the_mode_becomes_require(void **state)
{
	struct test_conns *conns = *state;
	_cleanup_fd_ int app = test_outbound(conns, NULL);
	_cleanup_fd_ int far = test_app_accept(conns);
	assert_int_equal(conns->num_relayed, 1);
	test_networks(conns, "10.0.0.0/8", NULL);
	assert_int_equal(conns->num_ended, 0);
	conns->snapshot.outbound_mode = OUTBOUND_REQUIRE;
	test_networks(conns, "10.0.0.0/8", NULL);
	assert_int_equal(conns->reason, CLOSE_POLICY_CHANGED);
	assert_true(test_was_reset(app) && test_was_reset(far));
}

/* A connect() that stays pending: the app's accept queue is full. */
static int outbound_to_a_full_queue(struct test_conns *conns, int fillers[2])
{
	assert_int_equal(listen(conns->app_listener, 0), 0);
	for (unsigned i = 0; i < 2; i++)
		assert_int_equal(
			socket_connect(&conns->app_at, &(struct socket_connect_options){0}, &fillers[i]), ERR_NONE);
	return test_outbound(conns, NULL);
}

static void a_pending_plaintext_connection_ends_when_its_destination_joins_the_mesh(void **state)
{
	struct test_conns *conns = *state;
	int fillers[2];
	_cleanup_fd_ int app = outbound_to_a_full_queue(conns, fillers);
	assert_int_equal(conns->num_ended, 0);
	assert_int_equal(conns->num_relayed, 0);
	test_networks(conns, "127.0.0.0/8", NULL);
	assert_int_equal(conns->num_ended, 1);
	assert_int_equal(conns->reason, CLOSE_POLICY_CHANGED);
	assert_true(test_was_reset(app));
	fd_close(fillers[0]);
	fd_close(fillers[1]);
}

static void T7_D29_each_verdict_of_the_tunnel_has_its_own_reason_and_resets_the_app(void **state)
{
	struct test_conns *conns = *state;
	static const struct {
		enum stream_verdict verdict;
		enum err err;
		bool by_peer;
		enum close_reason reason;
	} cases[] = {
		{STREAM_TLS_FAILED, ERR_WRONG_PEER, false, CLOSE_WRONG_PEER},
		{STREAM_TLS_FAILED, ERR_EXPIRED, false, CLOSE_PEER_EXPIRED},
		{STREAM_TLS_FAILED, ERR_UNTRUSTED, false, CLOSE_PEER_UNTRUSTED},
		{STREAM_TLS_FAILED, ERR_TIMEOUT, false, CLOSE_TLS_TIMEOUT},
		{STREAM_TLS_FAILED, ERR_PROTOCOL, false, CLOSE_TLS_FAILED},
		{STREAM_TLS_FAILED, ERR_EXPIRED, true, CLOSE_REFUSED_BY_PEER},
		{STREAM_REFUSED, ERR_REFUSED, false, CLOSE_REFUSED_BY_PEER},
		{STREAM_BROKEN, ERR_RESET, false, CLOSE_TUNNEL_BROKEN},
		{STREAM_NO_IDENTITY, ERR_UNAVAILABLE, false, CLOSE_NO_IDENTITY},
		{STREAM_ABANDONED, ERR_RESET, false, CLOSE_RESET_BY_DOWNSTREAM},
	};
	test_answer(conns, TEST_MESHED, DESTINATION_MESHED, 1);
	for (unsigned i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		_cleanup_fd_ int app = test_outbound(conns, TEST_MESHED);
		test_pool_fail(&conns->pool, cases[i].verdict, cases[i].err, cases[i].by_peer);
		test_conns_turn(conns);
		assert_int_equal(conns->num_ended, i + 1);
		assert_int_equal(conns->reason, cases[i].reason);
		assert_int_equal(conns->detail.err, cases[i].err);
		assert_true(test_was_reset(app));
		assert_int_equal(conns->pool.num_opened, i + 1);
	}
}

static void a_connection_through_a_silent_tunnel_ends_at_the_connect_timeout(void **state)
{
	struct test_conns *conns = *state;
	test_answer(conns, TEST_MESHED, DESTINATION_MESHED, 1);
	_cleanup_fd_ int app = test_outbound(conns, TEST_MESHED);
	test_conns_wait(conns, 10100);
	assert_int_equal(conns->reason, CLOSE_CONNECT_TIMEOUT);
	assert_int_equal(conns->detail.err, ERR_TIMEOUT);
	assert_int_equal(conns->pool.num_canceled, 1);
	assert_true(test_was_reset(app));
}

static void a_plaintext_destination_that_refuses_resets_the_app(void **state)
{
	struct test_conns *conns = *state;
	fd_close(TAKE_FD(conns->app_listener));
	_cleanup_fd_ int app = test_outbound(conns, NULL);
	assert_int_equal(conns->reason, CLOSE_CONNECT_REFUSED);
	assert_int_equal(conns->detail.err, ERR_REFUSED);
	assert_true(test_was_reset(app));
}

static void D33_a_direct_connection_to_15001_is_refused(void **state)
{
	struct test_conns *conns = *state;
	conns->is_redirected = false;
	_cleanup_fd_ int app = test_outbound(conns, TEST_MESHED);
	assert_int_equal(conns->reason, CLOSE_NO_ORIGINAL_DST);
	assert_true(test_was_reset(app));
}

static void D32_a_destination_that_is_a_port_of_the_sidecar_is_refused_as_a_loop(void **state)
{
	struct test_conns *conns = *state;
	_cleanup_fd_ int app = test_outbound(conns, "127.0.0.1:15001");
	assert_int_equal(conns->reason, CLOSE_LOOP_REFUSED);
	assert_true(test_was_reset(app));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CONNS_TEST(a_destination_outside_the_mesh_networks_is_reached_in_plaintext_without_a_subscription),
		CONNS_TEST(a_stream_to_a_meshed_destination_expects_the_identity_of_its_endpoint),
		CONNS_TEST(a_meshed_destination_without_endpoints_is_never_reached_in_plaintext),
		CONNS_TEST(plaintext_is_refused_to_a_network_that_requires_mtls),
		CONNS_TEST(an_open_plaintext_connection_is_cut_when_its_network_begins_to_require_mtls),
		CONNS_TEST(an_open_plaintext_connection_is_cut_when_the_mode_becomes_require),
		CONNS_TEST(a_pending_plaintext_connection_ends_when_its_destination_joins_the_mesh),
		CONNS_TEST(T7_D29_each_verdict_of_the_tunnel_has_its_own_reason_and_resets_the_app),
		CONNS_TEST(a_connection_through_a_silent_tunnel_ends_at_the_connect_timeout),
		CONNS_TEST(a_plaintext_destination_that_refuses_resets_the_app),
		CONNS_TEST(D33_a_direct_connection_to_15001_is_refused),
		CONNS_TEST(D32_a_destination_that_is_a_port_of_the_sidecar_is_refused_as_a_loop),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
