/* Outbound connections whose endpoint fails: which is tried next, and which is set aside. */
#include "base/net/fd.h"
#include "sidecar/conn/test_conns.h"
#include "sidecar/leg/leg_ops.h"
#include "sidecar/leg/tcp_pair.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka requires setjmp, stdarg, stddef and stdint */
#include <cmocka.h>

static void the_next_endpoint_is_tried_when_the_first_is_unreachable(void **state)
{
	struct test_conns *conns = *state;
	test_answer(conns, TEST_MESHED, DESTINATION_MESHED, 2);
	_cleanup_fd_ int app = test_outbound(conns, TEST_MESHED);
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
	test_answer(conns, TEST_MESHED, DESTINATION_MESHED, 2);
	_cleanup_fd_ int app = test_outbound(conns, TEST_MESHED);
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
	assert_true(test_passes(conns, app, far));
	assert_int_equal(conns->num_ended, 0);
}

static void finding_p8_no_endpoint_is_tried_for_an_app_that_has_reset_meanwhile(void **state)
{
	struct test_conns *conns = *state;
	test_answer(conns, TEST_MESHED, DESTINATION_MESHED, 2);
	int app = test_outbound(conns, TEST_MESHED);
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
	test_answer(conns, TEST_MESHED, DESTINATION_MESHED, 3);
	_cleanup_fd_ int app = test_outbound(conns, TEST_MESHED);
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
	test_answer(conns, TEST_MESHED, DESTINATION_MESHED, 12);
	static const unsigned tries[] = {
		12, 3}; /* of the first connection, and of one after all endpoints have failed */
	for (unsigned i = 0; i < 2; i++) {
		unsigned before = conns->pool.num_opened;
		_cleanup_fd_ int app = test_outbound(conns, TEST_MESHED);
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
	test_answer(conns, TEST_MESHED, DESTINATION_MESHED, 3);
	_cleanup_fd_ int broken = test_outbound(conns, TEST_MESHED);
	test_pool_fail(&conns->pool, STREAM_BROKEN, ERR_CLOSED, false);
	test_conns_turn(conns);
	assert_int_equal(conns->num_ended, 1);
	assert_int_equal(conns->reason, CLOSE_TUNNEL_BROKEN);
	_cleanup_fd_ int abandoned = test_outbound(conns, TEST_MESHED);
	test_pool_fail(&conns->pool, STREAM_ABANDONED, ERR_RESET, false);
	test_conns_turn(conns);
	assert_int_equal(conns->num_ended, 2);
	_cleanup_fd_ int denied = test_outbound(conns, TEST_MESHED);
	test_pool_refuse(&conns->pool, 401, "denied");
	test_conns_turn(conns);
	assert_int_equal(conns->num_ended, 3);
	assert_int_equal(conns->reason, CLOSE_DENIED);
	_cleanup_fd_ int foreign = test_outbound(conns, TEST_MESHED);
	test_pool_refuse(&conns->pool, 401, "");
	test_conns_turn(conns);
	assert_int_equal(conns->num_ended, 4);
	assert_int_equal(conns->pool.num_opened, 4);
}

/* Opens one connection, which succeeds at once; returns its endpoint. */
static struct addr served_by(struct test_conns *conns)
{
	_cleanup_fd_ int app = test_outbound(conns, TEST_MESHED);
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
	test_answer(conns, TEST_MESHED, DESTINATION_MESHED, 2);
	_cleanup_fd_ int app = test_outbound(conns, TEST_MESHED);
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

static void a_connection_that_failed_once_goes_to_an_endpoint_that_did_not(void **state)
{
	struct test_conns *conns = *state;
	unsigned num_failed = 0;
	test_answer(conns, TEST_MESHED, DESTINATION_MESHED, 3);
	struct addr serves = served_by(conns);
	for (unsigned round = 0; round < 40; round++) {
		struct addr other = serves;
		for (unsigned i = 0; i < 3; i++) {
			other.ip.bytes[3] = (uint8_t)(TEST_FIRST_ENDPOINT + i);
			if (!addr_eq(&other, &serves))
				(void)outliers_failed(conns->env.outliers, &other, false, loop_now_ms(conns->loop));
		}
		test_conns_wait(conns, 30000); /* both may be tried again */
		_cleanup_fd_ int app = test_outbound(conns, TEST_MESHED);
		struct addr at = current_endpoint(conns);
		if (!addr_eq(&at, &serves)) {
			num_failed++;
			test_pool_refuse(&conns->pool, 503, "connect_refused");
			test_conns_turn(conns);
			at = current_endpoint(conns);
		}
		assert_true(addr_eq(&at, &serves));
		_cleanup_fd_ int far = -1;
		test_pool_accept(&conns->pool, &far);
		test_conns_turn(conns);
		conn_table_cut_all(conns->env.table, CLOSE_DRAINED);
	}
	assert_true(num_failed > 5);
}

static void finding_p8_an_endpoint_whose_tunnels_are_silent_is_tried_last(void **state)
{
	struct test_conns *conns = *state;
	test_answer(conns, TEST_MESHED, DESTINATION_MESHED, 2);
	conns->pool.suspect = served_by(conns);
	for (unsigned i = 0; i < 30; i++) {
		struct addr at = served_by(conns);
		assert_false(addr_eq(&at, &conns->pool.suspect));
	}
	_cleanup_fd_ int app = test_outbound(conns, TEST_MESHED);
	test_pool_refuse(&conns->pool, 503, "connect_refused");
	test_conns_turn(conns);
	struct addr second = current_endpoint(conns);
	assert_true(addr_eq(&second, &conns->pool.suspect));
}

static void finding_p8_a_connection_that_times_out_sets_its_endpoint_aside(void **state)
{
	struct test_conns *conns = *state;
	test_answer(conns, TEST_MESHED, DESTINATION_MESHED, 2);
	_cleanup_fd_ int app = test_outbound(conns, TEST_MESHED);
	struct addr failing = current_endpoint(conns);
	test_conns_wait(conns, 10100);
	assert_int_equal(conns->reason, CLOSE_CONNECT_TIMEOUT);
	struct addr at = served_by(conns);
	assert_false(addr_eq(&at, &failing));
}

static void more_than_half_of_a_service_is_not_set_aside_while_the_rest_is_full(void **state)
{
	struct test_conns *conns = *state;
	test_answer(conns, TEST_MESHED, DESTINATION_MESHED, 3);
	_cleanup_fd_ int app = test_outbound(conns, TEST_MESHED);
	struct addr failed[2];
	for (unsigned i = 0; i < 2; i++) {
		failed[i] = current_endpoint(conns);
		test_pool_refuse(&conns->pool, 503, "connect_refused");
		test_conns_turn(conns);
	}
	struct addr left = current_endpoint(conns);
	struct load *load = NULL;
	for (unsigned i = 0; i < 62; i++)
		load = loads_take(conns->env.loads, &left);
	_cleanup_fd_ int far = -1;
	test_pool_accept(&conns->pool, &far);
	test_conns_turn(conns);
	conn_table_cut_all(conns->env.table, CLOSE_DRAINED);
	for (unsigned i = 0; i < 30; i++) { /* one of 63 there costs as much as one at an endpoint that failed */
		struct addr at = served_by(conns);
		assert_true(addr_eq(&at, &left));
	}
	for (unsigned i = 0; i < 2; i++)
		load = loads_take(conns->env.loads, &left);
	struct addr spilled = served_by(conns);
	assert_true(addr_eq(&spilled, &failed[0]) || addr_eq(&spilled, &failed[1]));
	for (unsigned i = 0; i < 64; i++)
		loads_give_back(conns->env.loads, load);
}

static void half_of_a_service_stays_aside_however_full_the_rest_is(void **state)
{
	struct test_conns *conns = *state;
	test_answer(conns, TEST_MESHED, DESTINATION_MESHED, 2);
	_cleanup_fd_ int app = test_outbound(conns, TEST_MESHED);
	test_pool_refuse(&conns->pool, 503, "connect_refused");
	test_conns_turn(conns);
	struct addr left = current_endpoint(conns);
	struct load *load = NULL;
	for (unsigned i = 0; i < 1000; i++)
		load = loads_take(conns->env.loads, &left);
	_cleanup_fd_ int far = -1;
	test_pool_accept(&conns->pool, &far);
	test_conns_turn(conns);
	for (unsigned i = 0; i < 30; i++) {
		struct addr at = served_by(conns);
		assert_true(addr_eq(&at, &left));
	}
	for (unsigned i = 0; i < 1000; i++)
		loads_give_back(conns->env.loads, load);
}

static void an_endpoint_that_is_set_aside_or_serves_again_is_reported(void **state)
{
	struct test_conns *conns = *state;
	test_answer(conns, TEST_MESHED, DESTINATION_MESHED, 2);
	_cleanup_fd_ int app = test_outbound(conns, TEST_MESHED);
	struct addr failing = current_endpoint(conns), at = failing;
	test_pool_refuse(&conns->pool, 503, "connect_refused");
	test_conns_turn(conns);
	assert_int_equal(conns->num_outliers, 1);
	assert_int_equal(conns->pause_ms, 1000);
	assert_true(addr_eq(&conns->outlier, &failing));
	_cleanup_fd_ int far = -1;
	test_pool_accept(&conns->pool, &far);
	test_conns_turn(conns);
	test_conns_wait(conns, 1000);
	do {
		assert_int_equal(conns->num_outliers, 1);
		at = served_by(conns);
	} while (!addr_eq(&at, &failing));
	assert_int_equal(conns->num_outliers, 2);
	assert_int_equal(conns->pause_ms, 0);
	_cleanup_fd_ int slow = test_outbound(conns, TEST_MESHED);
	test_conns_wait(conns, 10100);
	assert_int_equal(conns->num_outliers, 3);
	assert_int_equal(conns->pause_ms, 1000);
}

static void a_destination_of_one_endpoint_is_never_set_aside(void **state)
{
	struct test_conns *conns = *state;
	test_answer(conns, TEST_MESHED, DESTINATION_MESHED, 1);
	_cleanup_fd_ int app = test_outbound(conns, TEST_MESHED);
	test_pool_refuse(&conns->pool, 503, "connect_refused");
	test_conns_turn(conns);
	_cleanup_fd_ int slow = test_outbound(conns, TEST_MESHED);
	test_conns_wait(conns, 10100);
	assert_int_equal(conns->num_ended, 2);
	assert_int_equal(conns->num_outliers, 0);
	assert_int_equal(outliers_num_at_most(conns->env.outliers, 0), 0);
}

/* What this process lacks is no fault of an endpoint. */
static void without_a_descriptor_no_endpoint_is_blamed_and_no_other_is_tried(void **state)
{
	struct test_conns *conns = *state;
	test_answer(conns, TEST_MESHED, DESTINATION_MESHED, 3);
	_cleanup_fd_ int app = test_outbound(conns, TEST_MESHED);
	test_pool_fail(&conns->pool, STREAM_UNREACHABLE, ERR_FD_EXHAUSTED, false);
	test_conns_turn(conns);
	assert_int_equal(conns->pool.num_opened, 1);
	assert_int_equal(conns->reason, CLOSE_FD_EXHAUSTED);
	assert_int_equal(outliers_num_at_most(conns->env.outliers, 0), 0);
}

static void without_a_port_the_next_endpoint_is_tried_and_none_is_blamed(void **state)
{
	struct test_conns *conns = *state;
	test_answer(conns, TEST_MESHED, DESTINATION_MESHED, 2);
	_cleanup_fd_ int app = test_outbound(conns, TEST_MESHED);
	for (unsigned i = 0; i < 2; i++) {
		test_pool_fail(&conns->pool, STREAM_UNREACHABLE, ERR_NO_PORT, false);
		test_conns_turn(conns);
	}
	assert_int_equal(conns->pool.num_opened, 2);
	assert_int_equal(conns->reason, CLOSE_PORTS_EXHAUSTED);
	assert_int_equal(outliers_num_at_most(conns->env.outliers, 0), 0);
}

/* The same word from the other sidecar is about that host. */
static void an_endpoint_without_descriptors_of_its_own_is_blamed(void **state)
{
	struct test_conns *conns = *state;
	test_answer(conns, TEST_MESHED, DESTINATION_MESHED, 2);
	_cleanup_fd_ int app = test_outbound(conns, TEST_MESHED);
	test_pool_refuse(&conns->pool, 503, "fd_exhausted");
	test_conns_turn(conns);
	assert_int_equal(conns->pool.num_opened, 2);
	assert_int_equal(conns->num_outliers, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CONNS_TEST(the_next_endpoint_is_tried_when_the_first_is_unreachable),
		CONNS_TEST(finding_p8_a_refusal_that_delivered_nothing_is_tried_at_the_next_endpoint),
		CONNS_TEST(finding_p8_no_endpoint_is_tried_for_an_app_that_has_reset_meanwhile),
		CONNS_TEST(finding_p8_each_endpoint_is_tried_once_and_the_last_reason_is_reported),
		CONNS_TEST(finding_p8_a_service_that_is_down_is_not_tried_at_every_endpoint_per_connection),
		CONNS_TEST(finding_p8_a_stream_that_may_have_been_delivered_or_is_denied_is_not_retried),
		CONNS_TEST(finding_p8_an_endpoint_that_failed_is_set_aside_and_then_tried_again),
		CONNS_TEST(a_connection_that_failed_once_goes_to_an_endpoint_that_did_not),
		CONNS_TEST(finding_p8_an_endpoint_whose_tunnels_are_silent_is_tried_last),
		CONNS_TEST(more_than_half_of_a_service_is_not_set_aside_while_the_rest_is_full),
		CONNS_TEST(half_of_a_service_stays_aside_however_full_the_rest_is),
		CONNS_TEST(an_endpoint_that_is_set_aside_or_serves_again_is_reported),
		CONNS_TEST(a_destination_of_one_endpoint_is_never_set_aside),
		CONNS_TEST(without_a_descriptor_no_endpoint_is_blamed_and_no_other_is_tried),
		CONNS_TEST(without_a_port_the_next_endpoint_is_tried_and_none_is_blamed),
		CONNS_TEST(an_endpoint_without_descriptors_of_its_own_is_blamed),
		CONNS_TEST(finding_p8_a_connection_that_times_out_sets_its_endpoint_aside),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
