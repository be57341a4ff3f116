#include "base/net/fd.h"
#include "base/net/socket.h"
#include "sidecar/conn/test_conns.h"
#include "sidecar/leg/leg_ops.h"
#include "sidecar/leg/tcp_pair.h"
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define MESHED "10.0.0.1:80"

static int set_up(void **state)
{
	*state = test_conns_new(16);
	return 0;
}

static int tear_down(void **state)
{
	test_conns_free(*state);
	return 0;
}

/* Whether bytes written at one end arrive at the other. */
static bool passes(struct test_conns *conns, int from, int to)
{
	char bytes[8];
	if (write(from, "hello", 5) != 5)
		return false;
	test_conns_turn(conns);
	return read(to, bytes, sizeof(bytes)) == 5;
}

static void a_destination_outside_the_mesh_networks_is_reached_in_plaintext_without_a_subscription(void **state)
{
	struct test_conns *conns = *state;
	_cleanup_fd_ int app = test_outbound(conns, NULL); /* 127.0.0.1 is outside 10/8 */
	_cleanup_fd_ int far = test_app_accept(conns);
	assert_true(far >= 0);
	assert_true(passes(conns, app, far) && passes(conns, far, app));
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
	assert_int_equal(conns->why.err, ERR_NONE);
}

static void a_stream_to_a_meshed_destination_expects_the_identity_of_its_endpoint(void **state)
{
	struct test_conns *conns = *state;
	test_answer(conns, MESHED, DESTINATION_MESHED, 1);
	_cleanup_fd_ int app = test_outbound(conns, MESHED);
	assert_non_null(conns->pool.attempt);
	assert_string_equal(conns->pool.attempt->expected.text, "spiffe://td.test/there");
	_cleanup_fd_ int far = -1;
	test_pool_accept(&conns->pool, &far);
	test_conns_turn(conns);
	assert_true(passes(conns, app, far));
	conn_table_cut_all(conns->env.table, CLOSE_DRAINED);
	assert_true(conns->record.encrypted);
}

static void a_parked_connection_resumes_when_networks_answer_and_identity_arrive(void **state)
{
	struct test_conns *conns = *state;
	test_no_networks(conns);
	test_credentials(conns, false);
	_cleanup_fd_ int app = test_outbound(conns, MESHED);
	assert_int_equal(conns->num_subscribed, 0);
	test_networks(conns, "10.0.0.0/8", NULL);
	assert_int_equal(conns->num_subscribed, 1);
	test_answer(conns, MESHED, DESTINATION_MESHED, 1);
	assert_null(conns->pool.attempt);
	test_credentials(conns, true);
	assert_non_null(conns->pool.attempt);
	assert_int_equal(conns->num_ended, 0);
	assert_true(test_is_open(app));
}

/* A delayed renewal must not fail connections that arrive meanwhile. */
static void a_connection_whose_identity_expires_while_it_opens_waits_for_the_next(void **state)
{
	struct test_conns *conns = *state;
	test_answer(conns, MESHED, DESTINATION_MESHED, 1);
	_cleanup_fd_ int app = test_outbound(conns, MESHED);
	assert_non_null(conns->pool.attempt);
	test_credentials(conns, false);
	test_pool_fail(&conns->pool, STREAM_NO_IDENTITY, ERR_UNAVAILABLE, false);
	test_conns_turn(conns);
	assert_null(conns->pool.attempt);
	assert_int_equal(conns->num_ended, 0);
	test_credentials(conns, true);
	assert_non_null(conns->pool.attempt);
	assert_int_equal(conns->pool.num_opened, 2);
	assert_true(test_is_open(app));
}

static void a_connection_that_begins_while_the_identity_is_expired_waits(void **state)
{
	struct test_conns *conns = *state;
	test_answer(conns, MESHED, DESTINATION_MESHED, 1);
	clock_fake_advance(
		&conns->clock, 2 * 3600 * 1000); /* after the credentials of test_credentials() have expired */
	_cleanup_fd_ int app = test_outbound(conns, MESHED);
	assert_null(conns->pool.attempt);
	test_conns_wait(conns, 5100);
	assert_int_equal(conns->reason, CLOSE_NO_IDENTITY);
	assert_true(test_was_reset(app));
}

static void the_close_reason_at_the_timeout_names_what_was_missing(void **state)
{
	struct test_conns *conns = *state;
	test_no_networks(conns);
	_cleanup_fd_ int first = test_outbound(conns, MESHED);
	test_conns_wait(conns, 4900);
	assert_int_equal(conns->num_ended, 0);
	test_conns_wait(conns, 200);
	assert_int_equal(conns->reason, CLOSE_NO_POLICY);
	assert_true(test_was_reset(first));
	test_networks(conns, "10.0.0.0/8", NULL);
	test_credentials(conns, false);
	test_answer(conns, MESHED, DESTINATION_MESHED, 1);
	_cleanup_fd_ int second = test_outbound(conns, MESHED);
	test_conns_wait(conns, 5100);
	assert_int_equal(conns->reason, CLOSE_NO_IDENTITY);
	assert_true(test_was_reset(second));
}

static void waking_does_not_extend_the_timeout(void **state)
{
	struct test_conns *conns = *state;
	_cleanup_fd_ int app = test_outbound(conns, MESHED);
	for (unsigned i = 0; i < 5; i++) {
		test_conns_wait(conns, 1010);
		test_networks(conns, "10.0.0.0/8", NULL);
	}
	assert_int_equal(conns->num_ended, 1);
	assert_true(test_was_reset(app));
}

static void an_unknown_destination_is_parked_then_refused_and_the_fix_names_the_two_settings(void **state)
{
	struct test_conns *conns = *state;
	_cleanup_fd_ int app = test_outbound(conns, MESHED);
	test_answer(conns, MESHED, DESTINATION_UNKNOWN, 0);
	test_answer(conns, MESHED, DESTINATION_UNKNOWN, 0);
	assert_int_equal(conns->num_subscribed, 1); /* an answer does not cause a second subscription */
	assert_int_equal(conns->num_ended, 0);
	test_conns_wait(conns, 5100);
	assert_int_equal(conns->reason, CLOSE_UNRESOLVED);
	assert_non_null(strstr(conns->why.fix, "mesh.plaintext_networks"));
	assert_non_null(strstr(conns->why.fix, "mesh.networks"));
	assert_true(test_was_reset(app));
	assert_int_equal(conns->pool.num_opened, 0);
}

static void a_connection_whose_destination_becomes_known_resumes_and_forgets_the_old_detail(void **state)
{
	struct test_conns *conns = *state;
	_cleanup_fd_ int app = test_outbound(conns, MESHED);
	test_answer(conns, MESHED, DESTINATION_UNKNOWN, 0);
	test_answer(conns, MESHED, DESTINATION_MESHED, 1);
	_cleanup_fd_ int far = -1;
	test_pool_accept(&conns->pool, &far);
	test_conns_turn(conns);
	tcp_abort(TAKE_FD(app));
	test_conns_turn(conns);
	assert_int_equal(conns->reason, CLOSE_RESET_BY_DOWNSTREAM);
	assert_null(strstr(conns->why.fix, "mesh.plaintext_networks"));
}

static void a_meshed_destination_without_endpoints_is_never_reached_in_plaintext(void **state)
{
	struct test_conns *conns = *state;
	test_answer(conns, MESHED, DESTINATION_MESHED, 0);
	_cleanup_fd_ int app = test_outbound(conns, MESHED);
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

static void the_next_endpoint_is_tried_when_the_first_is_unreachable(void **state)
{
	struct test_conns *conns = *state;
	test_answer(conns, MESHED, DESTINATION_MESHED, 2);
	_cleanup_fd_ int app = test_outbound(conns, MESHED);
	struct addr first = conns->pool.attempt->request.endpoint;
	test_pool_fail(&conns->pool, STREAM_UNREACHABLE, ERR_REFUSED, false);
	test_conns_turn(conns);
	assert_int_equal(conns->pool.num_opened, 2);
	assert_false(addr_eq(&first, &conns->pool.attempt->request.endpoint));
	test_pool_fail(&conns->pool, STREAM_UNREACHABLE, ERR_REFUSED, false);
	test_conns_turn(conns);
	assert_int_equal(conns->pool.num_opened, 2);
	assert_int_equal(conns->reason, CLOSE_CONNECT_REFUSED);
	assert_true(test_was_reset(app));
}

static struct addr current_endpoint(struct test_conns *conns)
{
	assert_non_null(conns->pool.attempt);
	return conns->pool.attempt->request.endpoint;
}

/* The app of one endpoint is down: its sidecar answers 503 and has delivered nothing. */
static void finding_p8_a_refusal_that_delivered_nothing_is_tried_at_the_next_endpoint(void **state)
{
	struct test_conns *conns = *state;
	test_answer(conns, MESHED, DESTINATION_MESHED, 2);
	_cleanup_fd_ int app = test_outbound(conns, MESHED);
	struct addr first = current_endpoint(conns);
	assert_int_equal(conns->pool.attempt->request.wait_ms, 2000);
	test_pool_refuse(&conns->pool, 503, "connect_refused");
	test_conns_turn(conns);
	struct addr second = current_endpoint(conns);
	assert_false(addr_eq(&first, &second));
	assert_int_equal(conns->pool.attempt->request.wait_ms, 0); /* there is no third endpoint */
	_cleanup_fd_ int far = -1;
	test_pool_accept(&conns->pool, &far);
	test_conns_turn(conns);
	assert_true(passes(conns, app, far));
	assert_int_equal(conns->num_ended, 0);
}

static void finding_p8_no_endpoint_is_tried_for_an_app_that_has_reset_meanwhile(void **state)
{
	struct test_conns *conns = *state;
	test_answer(conns, MESHED, DESTINATION_MESHED, 2);
	int app = test_outbound(conns, MESHED);
	struct leg *downstream = conns->pool.attempt->request.downstream;
	static const struct why reset = {.err = ERR_RESET};
	tcp_abort(app);
	leg_lost(downstream, &reset); /* detected between the refusal and its result */
	test_pool_refuse(&conns->pool, 503, "connect_refused");
	test_conns_turn(conns);
	assert_int_equal(conns->pool.num_opened, 1);
	assert_int_equal(conns->num_ended, 1);
}

static void finding_p8_each_endpoint_is_tried_once_and_the_last_reason_is_reported(void **state)
{
	struct test_conns *conns = *state;
	test_answer(conns, MESHED, DESTINATION_MESHED, 3);
	_cleanup_fd_ int app = test_outbound(conns, MESHED);
	for (unsigned i = 1; i <= 3; i++) {
		assert_int_equal(conns->pool.num_opened, i);
		test_pool_refuse(&conns->pool, 503, "connect_refused");
		test_conns_turn(conns);
	}
	assert_int_equal(conns->pool.num_opened, 3);
	assert_int_equal(conns->reason, CLOSE_CONNECT_REFUSED);
	assert_true(test_was_reset(app));
}

static void finding_p8_a_service_that_is_down_is_not_tried_at_every_endpoint_per_connection(void **state)
{
	struct test_conns *conns = *state;
	test_answer(conns, MESHED, DESTINATION_MESHED, 12);
	static const unsigned tries[] = {
		12, 3}; /* of the first connection, and of one after all endpoints have failed */
	for (unsigned i = 0; i < 2; i++) {
		unsigned before = conns->pool.num_opened;
		_cleanup_fd_ int app = test_outbound(conns, MESHED);
		while (conns->pool.attempt != NULL) {
			test_pool_refuse(&conns->pool, 503, "connect_refused");
			test_conns_turn(conns);
		}
		assert_int_equal(conns->pool.num_opened - before, tries[i]);
	}
}

static void finding_p8_a_stream_that_may_have_been_delivered_or_is_denied_is_not_retried(void **state)
{
	struct test_conns *conns = *state;
	test_answer(conns, MESHED, DESTINATION_MESHED, 3);
	_cleanup_fd_ int broken = test_outbound(conns, MESHED);
	test_pool_fail(&conns->pool, STREAM_BROKEN, ERR_CLOSED, false);
	test_conns_turn(conns);
	assert_int_equal(conns->num_ended, 1);
	assert_int_equal(conns->reason, CLOSE_TUNNEL_BROKEN);
	_cleanup_fd_ int abandoned = test_outbound(conns, MESHED);
	test_pool_fail(&conns->pool, STREAM_ABANDONED, ERR_RESET, false);
	test_conns_turn(conns);
	assert_int_equal(conns->num_ended, 2);
	_cleanup_fd_ int denied = test_outbound(conns, MESHED);
	test_pool_refuse(&conns->pool, 401, "denied");
	test_conns_turn(conns);
	assert_int_equal(conns->num_ended, 3);
	assert_int_equal(conns->reason, CLOSE_DENIED);
	_cleanup_fd_ int foreign = test_outbound(conns, MESHED);
	test_pool_refuse(&conns->pool, 401, "");
	test_conns_turn(conns);
	assert_int_equal(conns->num_ended, 4);
	assert_int_equal(conns->pool.num_opened, 4);
}

/* Opens one connection, which succeeds at once; returns its endpoint. */
static struct addr served_by(struct test_conns *conns)
{
	_cleanup_fd_ int app = test_outbound(conns, MESHED);
	_cleanup_fd_ int far = -1;
	struct addr endpoint = current_endpoint(conns);
	test_pool_accept(&conns->pool, &far);
	test_conns_turn(conns);
	conn_table_cut_all(conns->env.table, CLOSE_DRAINED);
	return endpoint;
}

static void finding_p8_an_endpoint_that_failed_is_set_aside_and_then_tried_again(void **state)
{
	struct test_conns *conns = *state;
	test_answer(conns, MESHED, DESTINATION_MESHED, 2);
	_cleanup_fd_ int app = test_outbound(conns, MESHED);
	struct addr failing = current_endpoint(conns);
	test_pool_fail(&conns->pool, STREAM_UNREACHABLE, ERR_TIMEOUT, false);
	test_conns_turn(conns);
	_cleanup_fd_ int far = -1;
	test_pool_accept(&conns->pool, &far);
	test_conns_turn(conns);
	for (unsigned i = 0; i < 30; i++) {
		struct addr at = served_by(conns);
		assert_false(addr_eq(&at, &failing));
	}
	test_conns_wait(conns, 1000);
	bool is_used_again = false;
	for (unsigned i = 0; i < 100 && !is_used_again; i++) {
		struct addr at = served_by(conns);
		is_used_again = addr_eq(&at, &failing);
	}
	assert_true(is_used_again);
}

static void finding_p8_an_endpoint_whose_tunnels_are_silent_is_tried_last(void **state)
{
	struct test_conns *conns = *state;
	test_answer(conns, MESHED, DESTINATION_MESHED, 2);
	conns->pool.suspect = served_by(conns);
	for (unsigned i = 0; i < 30; i++) {
		struct addr at = served_by(conns);
		assert_false(addr_eq(&at, &conns->pool.suspect));
	}
	_cleanup_fd_ int app = test_outbound(conns, MESHED);
	test_pool_refuse(&conns->pool, 503, "connect_refused");
	test_conns_turn(conns);
	struct addr second = current_endpoint(conns);
	assert_true(addr_eq(&second, &conns->pool.suspect));
}

static void finding_p8_a_connection_that_times_out_sets_its_endpoint_aside(void **state)
{
	struct test_conns *conns = *state;
	test_answer(conns, MESHED, DESTINATION_MESHED, 2);
	_cleanup_fd_ int app = test_outbound(conns, MESHED);
	struct addr failing = current_endpoint(conns);
	test_conns_wait(conns, 10100);
	assert_int_equal(conns->reason, CLOSE_CONNECT_TIMEOUT);
	struct addr at = served_by(conns);
	assert_false(addr_eq(&at, &failing));
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
	test_answer(conns, MESHED, DESTINATION_MESHED, 1);
	for (unsigned i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		_cleanup_fd_ int app = test_outbound(conns, MESHED);
		test_pool_fail(&conns->pool, cases[i].verdict, cases[i].err, cases[i].by_peer);
		test_conns_turn(conns);
		assert_int_equal(conns->num_ended, i + 1);
		assert_int_equal(conns->reason, cases[i].reason);
		assert_int_equal(conns->why.err, cases[i].err);
		assert_true(test_was_reset(app));
		assert_int_equal(conns->pool.num_opened, i + 1);
	}
}

static void a_connection_through_a_silent_tunnel_ends_at_the_connect_timeout(void **state)
{
	struct test_conns *conns = *state;
	test_answer(conns, MESHED, DESTINATION_MESHED, 1);
	_cleanup_fd_ int app = test_outbound(conns, MESHED);
	test_conns_wait(conns, 10100);
	assert_int_equal(conns->reason, CLOSE_CONNECT_TIMEOUT);
	assert_int_equal(conns->why.err, ERR_TIMEOUT);
	assert_int_equal(conns->pool.num_canceled, 1);
	assert_true(test_was_reset(app));
}

static void a_plaintext_destination_that_refuses_resets_the_app(void **state)
{
	struct test_conns *conns = *state;
	fd_close(TAKE_FD(conns->app_listener));
	_cleanup_fd_ int app = test_outbound(conns, NULL);
	assert_int_equal(conns->reason, CLOSE_CONNECT_REFUSED);
	assert_int_equal(conns->why.err, ERR_REFUSED);
	assert_true(test_was_reset(app));
}

static void D33_a_direct_connection_to_15001_is_refused(void **state)
{
	struct test_conns *conns = *state;
	conns->is_redirected = false;
	_cleanup_fd_ int app = test_outbound(conns, MESHED);
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
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(a_destination_outside_the_mesh_networks_is_reached_in_plaintext_without_a_subscription),
		TEST(a_stream_to_a_meshed_destination_expects_the_identity_of_its_endpoint),
		TEST(a_parked_connection_resumes_when_networks_answer_and_identity_arrive),
		TEST(a_connection_whose_identity_expires_while_it_opens_waits_for_the_next),
		TEST(a_connection_that_begins_while_the_identity_is_expired_waits),
		TEST(the_close_reason_at_the_timeout_names_what_was_missing),
		TEST(waking_does_not_extend_the_timeout),
		TEST(an_unknown_destination_is_parked_then_refused_and_the_fix_names_the_two_settings),
		TEST(a_connection_whose_destination_becomes_known_resumes_and_forgets_the_old_detail),
		TEST(a_meshed_destination_without_endpoints_is_never_reached_in_plaintext),
		TEST(plaintext_is_refused_to_a_network_that_requires_mtls),
		TEST(an_open_plaintext_connection_is_cut_when_its_network_begins_to_require_mtls),
		TEST(a_pending_plaintext_connection_ends_when_its_destination_joins_the_mesh),
		TEST(the_next_endpoint_is_tried_when_the_first_is_unreachable),
		TEST(finding_p8_a_refusal_that_delivered_nothing_is_tried_at_the_next_endpoint),
		TEST(finding_p8_no_endpoint_is_tried_for_an_app_that_has_reset_meanwhile),
		TEST(finding_p8_each_endpoint_is_tried_once_and_the_last_reason_is_reported),
		TEST(finding_p8_a_service_that_is_down_is_not_tried_at_every_endpoint_per_connection),
		TEST(finding_p8_a_stream_that_may_have_been_delivered_or_is_denied_is_not_retried),
		TEST(finding_p8_an_endpoint_that_failed_is_set_aside_and_then_tried_again),
		TEST(finding_p8_an_endpoint_whose_tunnels_are_silent_is_tried_last),
		TEST(finding_p8_a_connection_that_times_out_sets_its_endpoint_aside),
		TEST(T7_D29_each_verdict_of_the_tunnel_has_its_own_reason_and_resets_the_app),
		TEST(a_connection_through_a_silent_tunnel_ends_at_the_connect_timeout),
		TEST(a_plaintext_destination_that_refuses_resets_the_app),
		TEST(D33_a_direct_connection_to_15001_is_refused),
		TEST(D32_a_destination_that_is_a_port_of_the_sidecar_is_refused_as_a_loop),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
