/* What leg_inspect() detects that no event reports: resets, ends, and peers that vanished. */
#include "base/net/fd.h"
#include "sidecar/leg/tcp_pair.h"
#include "sidecar/leg/test_leg.h"
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
/* cmocka requires setjmp, stdarg, stddef and stdint */
#include <cmocka.h>

static void look(struct test_leg *fixture)
{
	const struct leg_inspection inspection = {
		.now_ms = loop_now_ms(fixture->loop),
		.asks_kernel = true,
		.silence_ms = 500,
		.keepalive = {.idle_s = 25, .interval_s = 10, .probes = 3},
	};
	loopback_settle();
	leg_inspect(fixture->leg, &inspection);
	clock_fake_advance(&fixture->fake, 1000);
	test_leg_run(fixture);
}

/* Nothing is read from it, as while the other side takes nothing. */
static void stop_reading(struct test_leg *fixture)
{
	assert_int_equal(send(fixture->far, "abc", 3, 0), 3);
	test_leg_run(fixture);
	assert_int_equal(fixture->readable, 1);
}

static void finding_l3_a_reset_is_noticed_while_nothing_is_read(void **state)
{
	struct test_leg *fixture = *state;
	stop_reading(fixture);
	look(fixture);
	assert_int_equal(fixture->reset, 0);
	tcp_abort(TAKE_FD(fixture->far));
	test_leg_run(fixture);
	assert_int_equal(fixture->reset, 0); /* no event reports it */
	look(fixture);
	assert_int_equal(fixture->reset, 1);
	assert_int_equal(fixture->err, ERR_RESET);
}

static void finding_l3_an_end_or_a_reset_after_it_loses_nothing_that_waits(void **state)
{
	struct test_leg *fixture = *state;
	char bytes[8];
	size_t len = 0;
	stop_reading(fixture);
	assert_int_equal(shutdown(fixture->far, SHUT_WR), 0);
	look(fixture);
	assert_int_equal(fixture->leg->ops->push(fixture->leg, SPAN_LITERAL("unread"), &len), IO_DONE);
	loopback_settle();
	fd_close(TAKE_FD(fixture->far)); /* with unread bytes: a reset follows the end */
	look(fixture);
	look(fixture);
	assert_int_equal(fixture->reset, 0);
	assert_int_equal(test_leg_pull(fixture, bytes, sizeof(bytes), &len), IO_DONE);
	assert_int_equal(len, 3);
	assert_int_equal(test_leg_pull(fixture, bytes, sizeof(bytes), &len), IO_WANT_READ);
	assert_int_equal(test_leg_pull(fixture, bytes, sizeof(bytes), &len), IO_EOF);
}

static void finding_l3_bytes_of_an_end_that_is_gone_do_not_wait_for_ever(void **state)
{
	struct test_leg *fixture = *state;
	size_t len = 0;
	stop_reading(fixture);
	assert_int_equal(shutdown(fixture->far, SHUT_WR), 0);
	assert_int_equal(fixture->leg->ops->push(fixture->leg, SPAN_LITERAL("unread"), &len), IO_DONE);
	loopback_settle();
	fd_close(TAKE_FD(fixture->far));
	for (unsigned i = 0; i < 59; i++)
		look(fixture);
	assert_int_equal(fixture->reset, 0);
	for (unsigned i = 0; i < 3; i++)
		look(fixture);
	assert_int_equal(fixture->reset, 1);
}

static void finding_p2_a_connection_that_lasts_is_probed_before_it_is_forgotten(void **state)
{
	struct test_leg *fixture = *state;
	struct tcp_pair pair;
	tcp_pair_open(&pair);
	leg_free(fixture->leg);
	fd_close(fixture->far);
	fixture->far = pair.far;
	fixture->leg = leg_new_plain(fixture->loop, pair.near);
	leg_attach(fixture->leg, &fixture->sink.leg, &test_listener, fixture);
	look(fixture);
	assert_int_equal(test_option_of(pair.near, SOL_SOCKET, SO_KEEPALIVE), 1);
	assert_int_equal(test_option_of(pair.near, IPPROTO_TCP, TCP_KEEPIDLE), 25);
	assert_int_equal(test_option_of(pair.near, IPPROTO_TCP, TCP_KEEPINTVL), 10);
	assert_int_equal(test_option_of(pair.near, IPPROTO_TCP, TCP_KEEPCNT), 3);
}

static void finding_p4_a_reader_that_only_does_not_read_is_not_taken_for_lost(void **state)
{
	struct test_leg *fixture = *state;
	static const uint8_t block[65536];
	size_t len;
	while (fixture->leg->ops->push(fixture->leg, span_of(block, sizeof(block)), &len) == IO_DONE)
		;
	for (unsigned i = 0; i < 300; i++)
		look(fixture);
	assert_int_equal(fixture->reset, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		LEG_TEST(finding_l3_a_reset_is_noticed_while_nothing_is_read),
		LEG_TEST(finding_l3_an_end_or_a_reset_after_it_loses_nothing_that_waits),
		LEG_TEST(finding_l3_bytes_of_an_end_that_is_gone_do_not_wait_for_ever),
		LEG_TEST(finding_p2_a_connection_that_lasts_is_probed_before_it_is_forgotten),
		LEG_TEST(finding_p4_a_reader_that_only_does_not_read_is_not_taken_for_lost),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
