/* What the end of an open connection shows of its endpoint. */
#include "base/net/fd.h"
#include "sidecar/conn/test_direct.h"
#include "sidecar/leg/leg_ops.h"
#include "sidecar/leg/tcp_pair.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <unistd.h>
/* cmocka requires setjmp, stdarg, stddef and stdint */
#include <cmocka.h>

struct opened {
	int app, far;
	unsigned at; /* number of its endpoint */
};

static struct opened open_one(struct test_conns *conns)
{
	struct opened opened = {.app = test_outbound(conns, TEST_MESHED)};
	assert_non_null(conns->pool.attempt);
	opened.at = conns->pool.attempt->request.endpoint.ip.bytes[3] - TEST_FIRST_ENDPOINT;
	test_pool_accept(&conns->pool, &opened.far);
	test_conns_turn(conns);
	return opened;
}

static void settle(struct test_conns *conns)
{
	for (unsigned i = 0; i < 3; i++) {
		loopback_settle();
		test_conns_turn(conns);
	}
}

/* Of so many connections, each of which ends before the next one, how many has the endpoint that resets each at once?
 * The others answer. */
static unsigned num_at_broken(struct test_conns *conns, unsigned num)
{
	unsigned num_at = 0;
	for (unsigned i = 0; i < num; i++) {
		struct opened opened = open_one(conns);
		bool is_broken = opened.at == 1;
		num_at += is_broken;
		if (is_broken)
			tcp_abort(opened.far);
		else
			assert_true(test_passes(conns, opened.far, opened.app));
		settle(conns);
		fd_close(opened.app);
		if (!is_broken)
			fd_close(opened.far);
		settle(conns);
	}
	return num_at;
}

/* It has no connections and answers fast, so by these it would be the better one, each time. */
static void an_endpoint_that_resets_what_it_accepts_attracts_nothing(void **state)
{
	struct test_conns *conns = *state;
	static const unsigned sizes[] = {2, 3, 5};
	for (unsigned i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		test_answer(conns, TEST_MESHED, DESTINATION_MESHED, sizes[i]);
		struct opened held = {.at = 1};
		while (held.at == 1) {
			held = open_one(conns);
			if (held.at == 1)
				tcp_abort(held.far);
			settle(conns);
		}
		assert_in_range(num_at_broken(conns, 60), 0, 1);
		assert_true(conns->num_outliers > 0 && conns->pause_ms == 1000);
		conn_table_cut_all(conns->env.table, CLOSE_DRAINED);
		test_conns_wait(conns, 100000);
		fd_close(held.app);
		fd_close(held.far);
	}
}

/* Opens connections until one is at the second endpoint; those before it are answered and end. */
static struct opened open_at_second(struct test_conns *conns)
{
	enum { TRIES = 50 };
	for (unsigned i = 0; i < TRIES; i++) {
		struct opened opened = open_one(conns);
		if (opened.at == 1)
			return opened;
		assert_true(test_passes(conns, opened.far, opened.app));
		fd_close(opened.app);
		fd_close(opened.far);
		settle(conns);
	}
	fail_msg("of %d connections none went to the second endpoint", TRIES);
	return (struct opened){0};
}

/* That a tunnel's other end accepts the stream is no news of an endpoint that resets what it accepts. */
static void one_that_keeps_resetting_is_set_aside_twice_as_long_each_time(void **state)
{
	struct test_conns *conns = *state;
	static const uint32_t pauses[] = {1000, 2000, 4000, 8000, 16000, 30000, 30000};
	test_answer(conns, TEST_MESHED, DESTINATION_MESHED, 2);
	for (unsigned i = 0; i < sizeof(pauses) / sizeof(pauses[0]); i++) {
		struct opened opened = open_at_second(conns);
		tcp_abort(opened.far);
		settle(conns);
		fd_close(opened.app);
		assert_int_equal(conns->num_outliers, i + 1);
		assert_int_equal(conns->pause_ms, pauses[i]);
		test_conns_wait(conns, pauses[i]);
	}
	struct opened served = open_at_second(conns);
	assert_int_equal(conns->pause_ms, 30000); /* silent so far */
	assert_true(test_passes(conns, served.far, served.app));
	fd_close(served.app);
	fd_close(served.far);
	settle(conns);
	assert_int_equal(conns->pause_ms, 0); /* it serves again */
	struct opened again = open_at_second(conns);
	tcp_abort(again.far);
	settle(conns);
	fd_close(again.app);
	assert_int_equal(conns->pause_ms, 1000);
}

static void reset_by_far(struct test_conns *conns, struct opened *opened)
{
	(void)conns;
	tcp_abort(TAKE_FD(opened->far));
}

static void reset_by_far_after_an_answer(struct test_conns *conns, struct opened *opened)
{
	assert_true(test_passes(conns, opened->far, opened->app));
	reset_by_far(conns, opened);
}

static void reset_by_far_after_the_callers_end(struct test_conns *conns, struct opened *opened)
{
	assert_true(test_passes(conns, opened->app, opened->far));
	assert_int_equal(shutdown(opened->app, SHUT_WR), 0);
	settle(conns);
	reset_by_far(conns, opened);
}

static void reset_by_far_later(struct test_conns *conns, struct opened *opened)
{
	test_conns_wait(conns, 5000);
	reset_by_far(conns, opened);
}

static void reset_by_the_caller(struct test_conns *conns, struct opened *opened)
{
	(void)conns;
	tcp_abort(TAKE_FD(opened->app));
}

static void ended_by_both(struct test_conns *conns, struct opened *opened)
{
	fd_close(TAKE_FD(opened->app));
	settle(conns);
	fd_close(TAKE_FD(opened->far));
}

static void ended_by_far_first(struct test_conns *conns, struct opened *opened)
{
	fd_close(TAKE_FD(opened->far));
	settle(conns);
	fd_close(TAKE_FD(opened->app));
}

static void cut_here(struct test_conns *conns, struct opened *opened)
{
	(void)opened;
	conn_table_cut_all(conns->env.table, CLOSE_DRAINED);
}

static void only_an_endpoint_that_resets_at_once_without_an_answer_is_blamed(void **state)
{
	struct test_conns *conns = *state;
	static const struct {
		void (*end)(struct test_conns *conns, struct opened *opened);
		bool is_blamed;
	} ends[] = {
		{reset_by_far_after_an_answer, false},
		{reset_by_far_after_the_callers_end, false},
		{reset_by_far_later, false},
		{reset_by_the_caller, false},
		{ended_by_both, false},
		{ended_by_far_first, false},
		{cut_here, false},
		{reset_by_far, true},
	};
	test_answer(conns, TEST_MESHED, DESTINATION_MESHED, 2);
	for (unsigned i = 0; i < sizeof(ends) / sizeof(ends[0]); i++) {
		struct opened opened = open_one(conns);
		ends[i].end(conns, &opened);
		settle(conns);
		assert_int_equal(conns->num_ended, i + 1);
		assert_int_equal(conns->num_outliers, ends[i].is_blamed);
		fd_close(opened.app);
		fd_close(opened.far);
	}
}

static void the_only_endpoint_is_not_set_aside_for_a_reset(void **state)
{
	struct test_conns *conns = *state;
	test_answer(conns, TEST_MESHED, DESTINATION_MESHED, 1);
	struct opened opened = open_one(conns);
	tcp_abort(opened.far);
	settle(conns);
	assert_int_equal(conns->reason, CLOSE_RESET_BY_UPSTREAM);
	assert_int_equal(outliers_num_at_most(conns->env.outliers, 0), 0);
	fd_close(opened.app);
}

static int open_direct(struct test_conns *conns, struct test_direct *direct)
{
	int app = test_outbound(conns, TEST_MESHED);
	test_direct_turn(direct, true);
	return app;
}

/* RFC 8446 4.4.4: the client's handshake is over before the server has judged it. */
static void a_handshake_without_a_byte_is_no_proof_that_the_endpoint_serves(void **state)
{
	struct test_conns *conns = *state;
	struct test_direct *direct = test_direct_new(conns, 2);
	test_direct_refuse(direct, true);
	for (unsigned i = 1; i <= 2; i++) { /* both refuse, one after the other */
		_cleanup_fd_ int app = open_direct(conns, direct);
		assert_int_equal(conns->num_ended, i);
		assert_int_equal(conns->num_outliers, i);
		assert_int_equal(conns->pause_ms, 1000);
	}
	test_conns_wait(conns, 1000);
	_cleanup_fd_ int again = open_direct(conns, direct);
	assert_int_equal(conns->num_outliers, 3);
	assert_int_equal(conns->pause_ms, 2000);
	test_direct_refuse(direct, false);
	test_conns_wait(conns, 2000);
	_cleanup_fd_ int served = open_direct(conns, direct);
	assert_int_equal(conns->num_outliers, 3); /* silent so far */
	size_t len = 0;
	assert_non_null(direct->far);
	assert_int_equal(direct->far->ops->push(direct->far, SPAN_LITERAL("x"), &len), IO_DONE);
	test_direct_turn(direct, true);
	char byte;
	assert_int_equal(read(served, &byte, 1), 1);
	conn_table_cut_all(conns->env.table, CLOSE_DRAINED);
	assert_int_equal(conns->num_outliers, 4);
	assert_int_equal(conns->pause_ms, 0); /* it serves again */
	test_direct_free(direct);
}

static void an_end_in_order_is_proof_that_the_endpoint_serves(void **state)
{
	struct test_conns *conns = *state;
	struct test_direct *direct = test_direct_new(conns, 2);
	for (unsigned i = 0; i < 2; i++)
		(void)outliers_failed(conns->env.outliers, &direct->at[i], false, loop_now_ms(conns->loop));
	int app = open_direct(conns, direct);
	assert_int_equal(conns->num_outliers, 0);
	assert_non_null(direct->far);
	direct->far->ops->push_end(direct->far);
	fd_close(app);
	test_direct_turn(direct, true);
	assert_int_equal(conns->reason, CLOSE_DONE);
	assert_int_equal(conns->num_outliers, 1);
	assert_int_equal(conns->pause_ms, 0);
	test_direct_free(direct);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CONNS_TEST(an_endpoint_that_resets_what_it_accepts_attracts_nothing),
		CONNS_TEST(one_that_keeps_resetting_is_set_aside_twice_as_long_each_time),
		CONNS_TEST(only_an_endpoint_that_resets_at_once_without_an_answer_is_blamed),
		CONNS_TEST(the_only_endpoint_is_not_set_aside_for_a_reset),
		CONNS_TEST(a_handshake_without_a_byte_is_no_proof_that_the_endpoint_serves),
		CONNS_TEST(an_end_in_order_is_proof_that_the_endpoint_serves),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
