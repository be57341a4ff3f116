#include "base/core/mem.h"
#include "base/net/fd.h"
#include "sidecar/leg/leg_ops.h"
#include "sidecar/leg/tcp_pair.h"
#include "sidecar/relay/relay.h"
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <unistd.h>
/* cmocka requires the four above */
#include <cmocka.h>

/*  app --- [downstream leg | relay | upstream leg] --- far  */
struct fixture {
	struct clock_fake fake;
	struct loop *loop;
	struct relay *relay;
	int app, far;
	bool has_ended;
	enum relay_end end;
	char got[256];
	struct leg *upstream; /* the relay's */
	enum err err;
	struct relay_counts counts;
};

static void on_end(void *arg, enum relay_end end, const struct why *why)
{
	struct fixture *fixture = arg;
	fixture->has_ended = true;
	fixture->end = end;
	fixture->err = why->err;
	memcpy(fixture->got, why->got, sizeof(fixture->got));
	fixture->counts = relay_counts(fixture->relay);
	relay_free(TAKE_PTR(fixture->relay));
}

static int setup(void **state)
{
	struct fixture *fixture = mem_new(struct fixture);
	clock_fake_init(&fixture->fake, 0);
	fixture->loop = loop_new(&fixture->fake.clock);
	struct tcp_pair down, up;
	tcp_pair_open(&down);
	tcp_pair_open(&up);
	fixture->app = down.near;
	fixture->far = up.far;
	struct relay_options options = {
		.downstream = leg_new_plain(fixture->loop, down.far),
		.upstream = leg_new_plain(fixture->loop, up.near),
		.idle_ms = 10000,
		.on_end = on_end,
		.arg = fixture,
	};
	fixture->upstream = options.upstream;
	fixture->relay = relay_start(&options);
	*state = fixture;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *fixture = *state;
	relay_free(fixture->relay);
	fd_close(fixture->app);
	fd_close(fixture->far);
	loop_free(fixture->loop);
	mem_free(fixture);
	return 0;
}

static void run(struct fixture *fixture, unsigned rounds)
{
	for (unsigned i = 0; i < rounds; i++) {
		loopback_settle();
		loop_run_once(fixture->loop, false);
	}
}

static void run_until_end(struct fixture *fixture)
{
	for (unsigned i = 0; i < 1000 && !fixture->has_ended; i++)
		run(fixture, 1);
	assert_true(fixture->has_ended);
}

static void moves_bytes_both_ways_and_counts_them(void **state)
{
	struct fixture *fixture = *state;
	char got[8];
	assert_int_equal(send(fixture->app, "hello", 5, 0), 5);
	assert_int_equal(send(fixture->far, "you", 3, 0), 3);
	run(fixture, 5);
	assert_int_equal(recv(fixture->far, got, sizeof(got), 0), 5);
	assert_int_equal(recv(fixture->app, got, sizeof(got), 0), 3);
	assert_int_equal(relay_counts(fixture->relay).to_upstream, 5);
	assert_int_equal(relay_counts(fixture->relay).to_downstream, 3);
}

static void keeps_the_other_direction_open_after_a_half_close(void **state)
{
	struct fixture *fixture = *state;
	char got[8];
	assert_int_equal(send(fixture->app, "bye", 3, 0), 3);
	assert_int_equal(shutdown(fixture->app, SHUT_WR), 0);
	run(fixture, 5);
	assert_int_equal(recv(fixture->far, got, sizeof(got), 0), 3);
	assert_int_equal(recv(fixture->far, got, sizeof(got), 0), 0);
	assert_false(fixture->has_ended);
	assert_int_equal(send(fixture->far, "answer", 6, 0), 6);
	assert_int_equal(shutdown(fixture->far, SHUT_WR), 0);
	run_until_end(fixture);
	assert_int_equal(recv(fixture->app, got, sizeof(got), 0), 6);
	assert_int_equal(recv(fixture->app, got, sizeof(got), 0), 0);
	assert_int_equal(fixture->end, RELAY_DONE);
	assert_int_equal(fixture->counts.to_upstream, 3);
	assert_int_equal(fixture->counts.to_downstream, 6);
}

static void hands_a_reset_on_as_a_reset(void **state)
{
	struct fixture *fixture = *state;
	char got[8];
	tcp_abort(TAKE_FD(fixture->app));
	run_until_end(fixture);
	assert_int_equal(fixture->end, RELAY_RESET_DOWNSTREAM);
	assert_int_equal(fixture->err, ERR_RESET);
	loopback_settle();
	assert_int_equal(recv(fixture->far, got, sizeof(got), 0), -1);
	assert_int_equal(errno, ECONNRESET);
}

static void reports_which_side_reset(void **state)
{
	struct fixture *fixture = *state;
	tcp_abort(TAKE_FD(fixture->far));
	run_until_end(fixture);
	assert_int_equal(fixture->end, RELAY_RESET_UPSTREAM);
}

static void finding_p4_reports_which_side_answers_no_more(void **state)
{
	static const struct why silence = {.err = ERR_TIMEOUT, .got = "silence"};
	struct fixture *fixture = *state;
	leg_lost(fixture->upstream, &silence);
	run_until_end(fixture);
	assert_int_equal(fixture->end, RELAY_UNRESPONSIVE);
	assert_string_equal(fixture->got, "the side that was called: silence");
}

static size_t send_until_full(int fd, size_t max)
{
	static const uint8_t block[16384];
	size_t sent = 0;
	while (sent < max) {
		ssize_t len = send(fd, block, sizeof(block), MSG_NOSIGNAL);
		if (len <= 0)
			break;
		sent += (size_t)len;
	}
	return sent;
}

static void stops_reading_from_one_side_while_the_other_does_not_read(void **state)
{
	struct fixture *fixture = *state;
	size_t sent = 0;
	for (unsigned i = 0; i < 2000; i++) {
		size_t more = send_until_full(fixture->app, 1024 * 1024);
		sent += more;
		run(fixture, 4);
		if (more == 0 && i > 50)
			break;
	}
	assert_int_equal(send_until_full(fixture->app, 1), 0); /* back-pressure reached the sender */
	assert_int_equal(send(fixture->far, "still", 5, 0), 5);
	run(fixture, 5);
	char small[8];
	assert_int_equal(recv(fixture->app, small, sizeof(small), 0), 5);
	static uint8_t block[65536];
	size_t got = 0;
	for (unsigned i = 0; i < 20000 && got < sent; i++) {
		ssize_t len = recv(fixture->far, block, sizeof(block), 0);
		got += len > 0 ? (size_t)len : 0;
		if (len <= 0)
			run(fixture, 1);
	}
	assert_int_equal(got, sent);
}

static void ends_a_connection_that_is_silent_for_too_long(void **state)
{
	struct fixture *fixture = *state;
	clock_fake_advance(&fixture->fake, 9000);
	assert_int_equal(send(fixture->app, "x", 1, 0), 1);
	run(fixture, 3);
	clock_fake_advance(&fixture->fake, 9000);
	run(fixture, 3);
	assert_false(fixture->has_ended);
	clock_fake_advance(&fixture->fake, 2000);
	run_until_end(fixture);
	assert_int_equal(fixture->end, RELAY_IDLE);
}

static void cuts_both_sides_with_a_reset(void **state)
{
	struct fixture *fixture = *state;
	char got[8];
	relay_cut(fixture->relay);
	relay_free(TAKE_PTR(fixture->relay));
	loopback_settle();
	assert_int_equal(recv(fixture->app, got, sizeof(got), 0), -1);
	assert_int_equal(errno, ECONNRESET);
	assert_int_equal(recv(fixture->far, got, sizeof(got), 0), -1);
	assert_int_equal(errno, ECONNRESET);
	run(fixture, 3);
	assert_false(fixture->has_ended);
}

static void does_not_spin_while_nothing_can_be_moved(void **state)
{
	struct fixture *fixture = *state;
	/* Ended on one side and silent on the other: the level-triggered end must not call the listener again and
	 * again. */
	assert_int_equal(shutdown(fixture->app, SHUT_WR), 0);
	run(fixture, 10);
	assert_int_equal(send(fixture->far, "x", 1, 0), 1);
	run(fixture, 3);
	char got[8];
	assert_int_equal(recv(fixture->app, got, sizeof(got), 0), 1);
}

#define RELAY_TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		RELAY_TEST(moves_bytes_both_ways_and_counts_them),
		RELAY_TEST(keeps_the_other_direction_open_after_a_half_close),
		RELAY_TEST(hands_a_reset_on_as_a_reset),
		RELAY_TEST(reports_which_side_reset),
		RELAY_TEST(finding_p4_reports_which_side_answers_no_more),
		RELAY_TEST(stops_reading_from_one_side_while_the_other_does_not_read),
		RELAY_TEST(ends_a_connection_that_is_silent_for_too_long),
		RELAY_TEST(cuts_both_sides_with_a_reset),
		RELAY_TEST(does_not_spin_while_nothing_can_be_moved),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
