/* Outbound connections that wait: for networks, an answer, or an identity. */
#include "base/net/fd.h"
#include "sidecar/conn/test_conns.h"
#include "sidecar/leg/tcp_pair.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
/* cmocka requires setjmp, stdarg, stddef and stdint */
#include <cmocka.h>

static void a_parked_connection_resumes_when_networks_answer_and_identity_arrive(void **state)
{
	struct test_conns *conns = *state;
	test_no_networks(conns);
	test_credentials(conns, false);
	_cleanup_fd_ int app = test_outbound(conns, TEST_MESHED);
	assert_int_equal(conns->num_subscribed, 0);
	test_networks(conns, "10.0.0.0/8", NULL);
	assert_int_equal(conns->num_subscribed, 1);
	test_answer(conns, TEST_MESHED, DESTINATION_MESHED, 1);
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
	test_answer(conns, TEST_MESHED, DESTINATION_MESHED, 1);
	_cleanup_fd_ int app = test_outbound(conns, TEST_MESHED);
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
	test_answer(conns, TEST_MESHED, DESTINATION_MESHED, 1);
	clock_fake_advance(
		&conns->clock, 2 * 3600 * 1000); /* after the credentials of test_credentials() have expired */
	_cleanup_fd_ int app = test_outbound(conns, TEST_MESHED);
	assert_null(conns->pool.attempt);
	test_conns_wait(conns, 5100);
	assert_int_equal(conns->reason, CLOSE_NO_IDENTITY);
	assert_true(test_was_reset(app));
}

static void the_close_reason_at_the_timeout_names_what_was_missing(void **state)
{
	struct test_conns *conns = *state;
	test_no_networks(conns);
	_cleanup_fd_ int first = test_outbound(conns, TEST_MESHED);
	test_conns_wait(conns, 4900);
	assert_int_equal(conns->num_ended, 0);
	test_conns_wait(conns, 200);
	assert_int_equal(conns->reason, CLOSE_NO_POLICY);
	assert_true(test_was_reset(first));
	test_networks(conns, "10.0.0.0/8", NULL);
	test_credentials(conns, false);
	test_answer(conns, TEST_MESHED, DESTINATION_MESHED, 1);
	_cleanup_fd_ int second = test_outbound(conns, TEST_MESHED);
	test_conns_wait(conns, 5100);
	assert_int_equal(conns->reason, CLOSE_NO_IDENTITY);
	assert_true(test_was_reset(second));
}

static void waking_does_not_extend_the_timeout(void **state)
{
	struct test_conns *conns = *state;
	_cleanup_fd_ int app = test_outbound(conns, TEST_MESHED);
	for (unsigned i = 0; i < 5; i++) {
		test_conns_wait(conns, 1010);
		test_networks(conns, "10.0.0.0/8", NULL);
	}
	assert_int_equal(conns->num_ended, 1);
	assert_true(test_was_reset(app));
}

static void a_destination_without_an_answer_is_refused_and_the_fix_names_the_control_plane(void **state)
{
	struct test_conns *conns = *state;
	_cleanup_fd_ int app = test_outbound(conns, TEST_MESHED);
	test_conns_wait(conns, 5100);
	assert_int_equal(conns->reason, CLOSE_UNRESOLVED);
	assert_non_null(strstr(conns->detail.got, "no answer of the control plane has arrived"));
	assert_non_null(strstr(conns->detail.fix, "handfast check"));
	assert_true(test_was_reset(app));
}

static void an_unknown_destination_is_parked_then_refused_and_the_fix_names_the_two_settings(void **state)
{
	struct test_conns *conns = *state;
	_cleanup_fd_ int app = test_outbound(conns, TEST_MESHED);
	test_answer(conns, TEST_MESHED, DESTINATION_UNKNOWN, 0);
	test_answer(conns, TEST_MESHED, DESTINATION_UNKNOWN, 0);
	assert_int_equal(conns->num_subscribed, 1); /* an answer does not cause a second subscription */
	assert_int_equal(conns->num_ended, 0);
	test_conns_wait(conns, 5100);
	assert_int_equal(conns->reason, CLOSE_UNRESOLVED);
	assert_non_null(strstr(conns->detail.fix, "mesh.plaintext_networks"));
	assert_non_null(strstr(conns->detail.fix, "mesh.networks"));
	assert_true(test_was_reset(app));
	assert_int_equal(conns->pool.num_opened, 0);
}

static void a_connection_whose_destination_becomes_known_resumes_and_forgets_the_old_detail(void **state)
{
	struct test_conns *conns = *state;
	_cleanup_fd_ int app = test_outbound(conns, TEST_MESHED);
	test_answer(conns, TEST_MESHED, DESTINATION_UNKNOWN, 0);
	test_answer(conns, TEST_MESHED, DESTINATION_MESHED, 1);
	_cleanup_fd_ int far = -1;
	test_pool_accept(&conns->pool, &far);
	test_conns_turn(conns);
	tcp_abort(TAKE_FD(app));
	test_conns_turn(conns);
	assert_int_equal(conns->reason, CLOSE_RESET_BY_DOWNSTREAM);
	assert_null(strstr(conns->detail.fix, "mesh.plaintext_networks"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CONNS_TEST(a_parked_connection_resumes_when_networks_answer_and_identity_arrive),
		CONNS_TEST(a_connection_whose_identity_expires_while_it_opens_waits_for_the_next),
		CONNS_TEST(a_connection_that_begins_while_the_identity_is_expired_waits),
		CONNS_TEST(the_close_reason_at_the_timeout_names_what_was_missing),
		CONNS_TEST(waking_does_not_extend_the_timeout),
		CONNS_TEST(a_destination_without_an_answer_is_refused_and_the_fix_names_the_control_plane),
		CONNS_TEST(an_unknown_destination_is_parked_then_refused_and_the_fix_names_the_two_settings),
		CONNS_TEST(a_connection_whose_destination_becomes_known_resumes_and_forgets_the_old_detail),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
