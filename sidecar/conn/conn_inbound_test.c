#include "base/net/fd.h"
#include "sidecar/conn/test_conns.h"
#include "sidecar/leg/tcp_pair.h"
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define FRIEND "spiffe://td.test/friend"

static void a_stream_of_an_allowed_peer_reaches_the_app_before_it_is_accepted(void **state)
{
	struct test_conns *conns = *state;
	struct inbound_stream stream;
	test_inbound(conns, &stream, NULL, FRIEND);
	_cleanup_fd_ int app = test_app_accept(conns);
	assert_true(app >= 0);
	assert_int_equal(stream.num_answers, 1);
	assert_int_equal(stream.status, 200);
	assert_int_equal(write(stream.far, "hello", 5), 5);
	test_conns_turn(conns);
	char bytes[8];
	assert_int_equal(read(app, bytes, sizeof(bytes)), 5);
	tcp_abort(TAKE_FD(app));
	test_conns_turn(conns);
	assert_int_equal(conns->reason, CLOSE_RESET_BY_UPSTREAM);
	assert_true(test_was_reset(stream.far)); /* a reset stays a reset */
	fd_close(stream.far);
}

static void D5_a_stream_that_policy_denies_is_refused_before_the_app_is_dialed(void **state)
{
	struct test_conns *conns = *state;
	struct inbound_stream stream;
	struct policy *policy = test_policy_new(INBOUND_STRICT);
	struct policy_rule *rule = policy_add_rule(policy, "no_friends");
	rule->deny = true;
	assert_int_equal(
		policy_rule_add_source(rule, MATCH_ID, span_of_str("td.test"), span_of_str("/friend"), NULL), ERR_NONE);
	test_policy(conns, policy);
	test_inbound(conns, &stream, NULL, FRIEND);
	assert_int_equal(conns->reason, CLOSE_DENIED);
	assert_string_equal(conns->rule, "no_friends");
	assert_null(strstr(conns->detail.fix, "sidecar")); /* the source has a sidecar */
	assert_int_equal(stream.status, 401);
	assert_string_equal(stream.reason, "denied");
	assert_int_equal(stream.num_answers, 1);
	assert_int_equal(test_app_accept(conns), -1);
}

static void D32_an_authority_that_is_not_the_tunnels_own_address_is_refused(void **state)
{
	struct test_conns *conns = *state;
	static const struct {
		const char *authority;
		enum close_reason reason;
	} cases[] = {
		{"192.0.2.1:15001", CLOSE_LOOP_REFUSED},
		{"192.0.2.1:15008", CLOSE_LOOP_REFUSED},
		{"192.0.2.9:8080", CLOSE_NOT_LOCAL},
		{"127.0.0.1:8080", CLOSE_NOT_LOCAL},
		{"169.254.169.254:80", CLOSE_NOT_LOCAL},
		{"0.0.0.0:8080", CLOSE_NOT_LOCAL},
		{"[::1]:8080", CLOSE_NOT_LOCAL},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct inbound_stream stream;
		test_inbound(conns, &stream, cases[i].authority, FRIEND);
		assert_int_equal(conns->num_ended, i + 1);
		assert_int_equal(conns->reason, cases[i].reason);
		assert_int_equal(stream.status, 400);
		assert_int_equal(test_app_accept(conns), -1);
	}
}

static void a_stream_waits_for_policy_and_is_refused_if_none_arrives(void **state)
{
	struct test_conns *conns = *state;
	struct inbound_stream served, timed_out;
	test_policy(conns, NULL);
	test_inbound(conns, &served, NULL, FRIEND);
	assert_int_equal(served.num_answers, 0);
	test_policy(conns, test_policy_new(INBOUND_STRICT));
	assert_int_equal(served.status, 200);
	test_policy(conns, NULL);
	test_inbound(conns, &timed_out, NULL, FRIEND);
	test_conns_wait(conns, 5100);
	assert_int_equal(conns->reason, CLOSE_NO_POLICY);
	assert_int_equal(timed_out.status, 503);
	assert_string_equal(timed_out.reason, "no_policy");
	fd_close(served.far);
}

static void a_stream_whose_peer_resets_it_while_it_waits_is_not_answered(void **state)
{
	struct test_conns *conns = *state;
	struct inbound_stream stream;
	test_policy(conns, NULL);
	test_inbound(conns, &stream, NULL, FRIEND);
	conn_abandon(&stream);
	assert_int_equal(conns->num_ended, 1);
	assert_int_equal(conns->reason, CLOSE_RESET_BY_DOWNSTREAM);
	assert_int_equal(stream.num_answers, 0);
}

static void a_stream_to_an_app_that_does_not_listen_is_answered_503_connect_refused(void **state)
{
	struct test_conns *conns = *state;
	struct inbound_stream stream;
	fd_close(TAKE_FD(conns->app_listener));
	test_inbound(conns, &stream, NULL, FRIEND);
	assert_int_equal(conns->reason, CLOSE_CONNECT_REFUSED);
	assert_int_equal(stream.status, 503);
	assert_string_equal(stream.reason, "connect_refused");
}

static void D1_plaintext_to_a_strict_port_is_reset_and_the_app_gets_nothing(void **state)
{
	struct test_conns *conns = *state;
	test_policy(conns, test_policy_new(INBOUND_STRICT));
	_cleanup_fd_ int caller = test_inbound_plain(conns, NULL);
	assert_int_equal(conns->reason, CLOSE_PLAINTEXT_REFUSED);
	assert_true(test_was_reset(caller));
	assert_int_equal(test_app_accept(conns), -1);
	assert_int_equal(conns->num_relayed, 0);
}

static void D3_a_silent_connection_to_a_permissive_port_reaches_the_app_at_once(void **state)
{
	struct test_conns *conns = *state;
	_cleanup_fd_ int caller = test_inbound_plain(conns, NULL);
	_cleanup_fd_ int app = test_app_accept(conns);
	assert_true(app >= 0);
	assert_int_equal(conns->num_relayed, 1);
	assert_int_equal(write(app, "220 smtp", 8), 8); /* the server speaks first */
	test_conns_turn(conns);
	char bytes[16];
	assert_int_equal(read(caller, bytes, sizeof(bytes)), 8);
}

static void D33_a_direct_connection_to_15006_is_refused(void **state)
{
	struct test_conns *conns = *state;
	conns->is_redirected = false;
	_cleanup_fd_ int caller = test_inbound_plain(conns, "192.0.2.1:8080");
	assert_int_equal(conns->reason, CLOSE_NO_ORIGINAL_DST);
	assert_true(test_was_reset(caller));
	/* The kernel may also report the address that was connected to, a port of the sidecar. */
	conns->is_redirected = true;
	_cleanup_fd_ int second = test_inbound_plain(conns, "127.0.0.1:15006");
	assert_int_equal(conns->num_ended, 2);
	assert_true(close_reason_is_failure(conns->reason));
	assert_true(test_was_reset(second));
}

static void D32_redirected_plaintext_for_another_host_is_refused(void **state)
{
	struct test_conns *conns = *state;
	_cleanup_fd_ int caller = test_inbound_plain(conns, "192.0.2.77:8080");
	assert_int_equal(conns->reason, CLOSE_NOT_LOCAL);
	assert_true(test_was_reset(caller));
}

static void the_steps_run_in_the_order_of_the_table(void **state)
{
	(void)state;
	static const char *const names[] = {
#define CONN_STEP(symbol, name, outbound, inbound, inbound_plain, timeout, timeout_reason) name,
#include "sidecar/conn/conn_steps.def"
#undef CONN_STEP
	};
	const char *const order[] = {"accept", "original_dst", "resolve", "admit", "authorize", "open", "relay"};
	assert_int_equal(NUM_CONN_STEPS, 7);
	for (unsigned i = 0; i < NUM_CONN_STEPS; i++)
		assert_string_equal(names[i], order[i]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CONNS_TEST(a_stream_of_an_allowed_peer_reaches_the_app_before_it_is_accepted),
		CONNS_TEST(D5_a_stream_that_policy_denies_is_refused_before_the_app_is_dialed),
		CONNS_TEST(D32_an_authority_that_is_not_the_tunnels_own_address_is_refused),
		CONNS_TEST(a_stream_waits_for_policy_and_is_refused_if_none_arrives),
		CONNS_TEST(a_stream_whose_peer_resets_it_while_it_waits_is_not_answered),
		CONNS_TEST(a_stream_to_an_app_that_does_not_listen_is_answered_503_connect_refused),
		CONNS_TEST(D1_plaintext_to_a_strict_port_is_reset_and_the_app_gets_nothing),
		CONNS_TEST(D3_a_silent_connection_to_a_permissive_port_reaches_the_app_at_once),
		CONNS_TEST(D33_a_direct_connection_to_15006_is_refused),
		CONNS_TEST(D32_redirected_plaintext_for_another_host_is_refused),
		CONNS_TEST(the_steps_run_in_the_order_of_the_table),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
