/* A plain leg over a real socket, and what two joined legs do with each other. The other side is a double that takes as
 * many bytes as the test allows. */
#include "base/core/mem.h"
#include "base/net/fd.h"
#include "sidecar/leg/leg_ops.h"
#include "sidecar/leg/tcp_pair.h"
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <unistd.h>
/* cmocka requires the four above */
#include <cmocka.h>

struct sink { /* the double */
	struct leg leg;
	size_t takes, consumed;
	char bytes[64];
	size_t len;
};

static enum io_result sink_push(struct leg *leg, struct span bytes, size_t *out_len)
{
	struct sink *sink = container_of(leg, struct sink, leg);
	*out_len = bytes.len < sink->takes ? bytes.len : sink->takes;
	memcpy(sink->bytes + sink->len, bytes.ptr, *out_len);
	sink->len += *out_len;
	sink->takes -= *out_len;
	return *out_len == bytes.len ? IO_DONE : IO_WANT_WRITE;
}

static void sink_consumed(struct leg *leg, size_t len)
{
	container_of(leg, struct sink, leg)->consumed += len;
}

static void sink_watch(struct leg *leg)
{
	(void)leg;
}

static const struct leg_ops sink_ops = {.push = sink_push, .consumed = sink_consumed, .watch = sink_watch};

struct fixture {
	struct clock_fake fake;
	struct loop *loop;
	struct leg *leg;
	int far;
	struct sink sink;
	unsigned readable, writable, ended, reset;
	enum err err;
};

static void on_readable(struct leg *leg)
{
	((struct fixture *)leg->owner)->readable++;
}

static void on_writable(struct leg *leg)
{
	((struct fixture *)leg->owner)->writable++;
}

static void on_ended(struct leg *leg)
{
	((struct fixture *)leg->owner)->ended++;
}

static void on_reset(struct leg *leg, const struct why *why)
{
	struct fixture *fixture = leg->owner;
	fixture->reset++;
	fixture->err = why->err;
}

static const struct leg_listener listener = {on_readable, on_writable, on_ended, on_reset};

static int setup(void **state)
{
	struct fixture *fixture = mem_new(struct fixture);
	clock_fake_init(&fixture->fake, 0);
	fixture->loop = loop_new(&fixture->fake.clock);
	struct tcp_pair pair;
	tcp_pair_open(&pair);
	fixture->far = pair.far;
	fixture->leg = leg_new_plain(fixture->loop, pair.near);
	leg_init(&fixture->sink.leg, &sink_ops, fixture->loop);
	leg_attach(&fixture->sink.leg, fixture->leg, &listener, fixture);
	leg_attach(fixture->leg, &fixture->sink.leg, &listener, fixture);
	*state = fixture;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *fixture = *state;
	leg_free(fixture->leg);
	buf_done(&fixture->sink.leg.buffered);
	fd_close(fixture->far);
	loop_free(fixture->loop);
	mem_free(fixture);
	return 0;
}

static void run(struct fixture *fixture)
{
	loopback_settle();
	loop_run_once(fixture->loop, false);
	loop_run_once(fixture->loop, false);
}

static enum io_result pull(struct fixture *fixture, char *to, size_t cap, size_t *out_len)
{
	return fixture->leg->ops->pull(fixture->leg, (uint8_t *)to, cap, out_len);
}

static void reports_once_that_bytes_wait_until_they_are_read(void **state)
{
	struct fixture *fixture = *state;
	assert_int_equal(send(fixture->far, "abc", 3, 0), 3);
	run(fixture);
	run(fixture);
	assert_int_equal(fixture->readable, 1); /* level-triggered, but stopped */
	char bytes[8];
	size_t len = 0;
	assert_int_equal(pull(fixture, bytes, sizeof(bytes), &len), IO_DONE);
	assert_int_equal(len, 3);
	assert_int_equal(pull(fixture, bytes, sizeof(bytes), &len), IO_WANT_READ);
	assert_int_equal(send(fixture->far, "d", 1, 0), 1);
	run(fixture);
	assert_int_equal(fixture->readable, 2);
}

static void reports_the_end_and_closes_its_own_side_separately(void **state)
{
	struct fixture *fixture = *state;
	char bytes[8];
	size_t len = 0;
	fixture->leg->ops->push_end(fixture->leg);
	assert_int_equal(fixture->ended, 1);
	assert_int_equal(send(fixture->far, "abc", 3, 0), 3);
	assert_int_equal(shutdown(fixture->far, SHUT_WR), 0);
	run(fixture);
	assert_int_equal(pull(fixture, bytes, 3, &len), IO_DONE);
	assert_int_equal(pull(fixture, bytes, 3, &len), IO_EOF);
	assert_true(fixture->leg->in_ended);
	assert_int_equal(recv(fixture->far, bytes, sizeof(bytes), 0), 0);
	assert_int_equal(fixture->reset, 0);
}

static void reports_a_reset_as_a_reset(void **state)
{
	struct fixture *fixture = *state;
	char bytes[8];
	size_t len;
	tcp_abort(TAKE_FD(fixture->far));
	run(fixture);
	assert_int_equal(fixture->readable, 1);
	assert_int_equal(pull(fixture, bytes, sizeof(bytes), &len), IO_FAILED);
	assert_int_equal(fixture->reset, 1);
	assert_int_equal(fixture->err, ERR_RESET);
}

static void reports_when_a_full_socket_takes_bytes_again(void **state)
{
	struct fixture *fixture = *state;
	static const uint8_t block[65536];
	size_t len = sizeof(block), pushed = 0;
	while (fixture->leg->ops->push(fixture->leg, span_of(block, sizeof(block)), &len) == IO_DONE)
		pushed += len;
	pushed += len;
	assert_int_equal(fixture->leg->sent, pushed);
	run(fixture);
	assert_int_equal(fixture->writable, 0);
	static uint8_t got[65536];
	for (unsigned i = 0; i < 5000 && fixture->writable == 0; i++) {
		(void)!recv(fixture->far, got, sizeof(got), 0);
		run(fixture);
	}
	assert_int_equal(fixture->writable, 1);
}

static bool is_reset(int fd)
{
	char byte;
	return recv(fd, &byte, 1, 0) == -1 && errno == ECONNRESET;
}

static struct leg *leg_of_new_pair(struct fixture *fixture, int *out_far)
{
	struct tcp_pair pair;
	tcp_pair_open(&pair);
	*out_far = pair.far;
	return leg_new_plain(fixture->loop, pair.near);
}

static void finding_p15_ends_with_fin_only_where_the_end_was_forwarded(void **state)
{
	struct fixture *fixture = *state;
	char byte;
	_cleanup_fd_ int freed, reset;
	fixture->leg->in_ended = true; /* so that reporting the end is left to close() */
	fixture->sink.leg.out_ended = true;
	fixture->leg->ops->push_end(fixture->leg);
	leg_free(TAKE_PTR(fixture->leg));
	assert_int_equal(recv(fixture->far, &byte, 1, 0), 0);
	leg_free(leg_of_new_pair(fixture, &freed));
	assert_true(is_reset(freed));
	struct leg *leg = leg_of_new_pair(fixture, &reset);
	leg_reset(leg);
	leg_free(leg);
	assert_true(is_reset(reset));
}

static void finding_p15_a_socket_resets_from_its_birth_and_still_delivers_what_was_sent_before_an_orderly_end(
	void **state)
{
	struct fixture *fixture = *state;
	struct addr at;
	struct socket_connect_options options = {.resets_on_close = true};
	_cleanup_fd_ int listening = tcp_listen_any(&at), far = -1, other = -1;
	int fd;
	struct addr peer;
	char bytes[8];
	size_t len;
	assert_int_equal(socket_connect(&at, &options, &fd), ERR_NONE);
	loopback_settle();
	assert_int_equal(fd_accept(listening, &peer, &far), ERR_NONE);
	fd_close(fd); /* as the kernel does for a process that is killed */
	loopback_settle();
	assert_true(is_reset(far));
	assert_int_equal(socket_connect(&at, &options, &fd), ERR_NONE);
	loopback_settle();
	assert_int_equal(fd_accept(listening, &peer, &other), ERR_NONE);
	struct leg *leg = leg_new_plain(fixture->loop, fd);
	leg_attach(leg, &fixture->sink.leg, &listener, fixture);
	assert_int_equal(leg->ops->push(leg, SPAN_LITERAL("whole"), &len), IO_DONE);
	leg->ops->push_end(leg);
	leg_free(leg);
	loopback_settle();
	assert_int_equal(recv(other, bytes, sizeof(bytes), 0), 5);
	assert_int_equal(recv(other, bytes, sizeof(bytes), 0), 0);
}

static int option_of(int fd, int level, int name)
{
	int value = -1;
	socklen_t len = sizeof(value);
	assert_int_equal(getsockopt(fd, level, name, &value, &len), 0);
	return value;
}

/* A short connection does without what only later bytes need. */
static void a_connected_leg_sets_options_with_the_bytes_that_need_them(void **state)
{
	struct fixture *fixture = *state;
	struct addr at;
	_cleanup_fd_ int listening = tcp_listen_any(&at), far = -1;
	int fd;
	struct addr peer;
	size_t len;
	static const uint8_t bytes[SOCKET_SMALL_MAX];
	assert_int_equal(socket_connect(&at, &(struct socket_connect_options){.is_near = true}, &fd), ERR_NONE);
	loopback_settle();
	assert_int_equal(fd_accept(listening, &peer, &far), ERR_NONE);
	struct leg *leg = leg_new_connected(fixture->loop, fd, true);
	leg_attach(leg, &fixture->sink.leg, &listener, fixture);
	int unlimited = option_of(fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT);
	assert_int_equal(leg->ops->push(leg, SPAN_LITERAL("first"), &len), IO_DONE);
	assert_false(option_of(fd, IPPROTO_TCP, TCP_NODELAY));
	assert_int_equal(leg->ops->push(leg, SPAN_LITERAL("second"), &len), IO_DONE);
	assert_true(option_of(fd, IPPROTO_TCP, TCP_NODELAY));
	assert_int_equal(option_of(fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT), unlimited);
	assert_int_equal(leg->ops->push(leg, span_of(bytes, sizeof(bytes)), &len), IO_DONE);
	assert_int_equal(option_of(fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT), SOCKET_UNSENT_MAX);
	assert_int_equal(option_of(fd, SOL_SOCKET, SO_RCVBUF), 2 * SOCKET_NEAR_UNREAD_MAX);
	leg_free(leg);
}

static void a_connected_leg_whose_first_bytes_are_many_does_not_delay_the_last_of_them(void **state)
{
	struct fixture *fixture = *state;
	struct addr at;
	_cleanup_fd_ int listening = tcp_listen_any(&at);
	int fd;
	size_t len;
	static const uint8_t bytes[1500];
	assert_int_equal(socket_connect(&at, &(struct socket_connect_options){0}, &fd), ERR_NONE);
	loopback_settle();
	struct leg *leg = leg_new_connected(fixture->loop, fd, false);
	leg_attach(leg, &fixture->sink.leg, &listener, fixture);
	assert_int_equal(leg->ops->push(leg, span_of(bytes, sizeof(bytes)), &len), IO_DONE);
	assert_true(option_of(fd, IPPROTO_TCP, TCP_NODELAY));
	leg_free(leg);
}

static void look(struct fixture *fixture)
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
	run(fixture);
}

/* Nothing is read from it, as while the other side takes nothing. */
static void stop_reading(struct fixture *fixture)
{
	assert_int_equal(send(fixture->far, "abc", 3, 0), 3);
	run(fixture);
	assert_int_equal(fixture->readable, 1);
}

static void finding_l3_a_reset_is_noticed_while_nothing_is_read(void **state)
{
	struct fixture *fixture = *state;
	stop_reading(fixture);
	look(fixture);
	assert_int_equal(fixture->reset, 0);
	tcp_abort(TAKE_FD(fixture->far));
	run(fixture);
	assert_int_equal(fixture->reset, 0); /* no event reports it */
	look(fixture);
	assert_int_equal(fixture->reset, 1);
	assert_int_equal(fixture->err, ERR_RESET);
}

static void finding_l3_an_end_or_a_reset_after_it_loses_nothing_that_waits(void **state)
{
	struct fixture *fixture = *state;
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
	assert_int_equal(pull(fixture, bytes, sizeof(bytes), &len), IO_DONE);
	assert_int_equal(len, 3);
	assert_int_equal(pull(fixture, bytes, sizeof(bytes), &len), IO_WANT_READ);
	assert_int_equal(pull(fixture, bytes, sizeof(bytes), &len), IO_EOF);
}

static void finding_l3_bytes_of_an_end_that_is_gone_do_not_wait_for_ever(void **state)
{
	struct fixture *fixture = *state;
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
	struct fixture *fixture = *state;
	struct tcp_pair pair;
	tcp_pair_open(&pair);
	leg_free(fixture->leg);
	fd_close(fixture->far);
	fixture->far = pair.far;
	fixture->leg = leg_new_plain(fixture->loop, pair.near);
	leg_attach(fixture->leg, &fixture->sink.leg, &listener, fixture);
	look(fixture);
	assert_int_equal(option_of(pair.near, SOL_SOCKET, SO_KEEPALIVE), 1);
	assert_int_equal(option_of(pair.near, IPPROTO_TCP, TCP_KEEPIDLE), 25);
	assert_int_equal(option_of(pair.near, IPPROTO_TCP, TCP_KEEPINTVL), 10);
	assert_int_equal(option_of(pair.near, IPPROTO_TCP, TCP_KEEPCNT), 3);
}

static void finding_p4_a_reader_that_only_does_not_read_is_not_taken_for_lost(void **state)
{
	struct fixture *fixture = *state;
	static const uint8_t block[65536];
	size_t len;
	while (fixture->leg->ops->push(fixture->leg, span_of(block, sizeof(block)), &len) == IO_DONE)
		;
	for (unsigned i = 0; i < 300; i++)
		look(fixture);
	assert_int_equal(fixture->reset, 0);
}

static void keeps_what_the_other_side_does_not_take_and_credits_what_it_takes(void **state)
{
	struct fixture *fixture = *state;
	struct leg *source = &fixture->sink.leg; /* here the double is where bytes come from, too */
	struct sink other = {.takes = 2};
	leg_init(&other.leg, &sink_ops, fixture->loop);
	leg_attach(source, &other.leg, &listener, fixture);
	leg_deliver(source, SPAN_LITERAL("abcde"));
	assert_int_equal(fixture->sink.consumed, 2);
	assert_int_equal(buf_len(&source->buffered), 3);
	other.takes = 100;
	leg_deliver(source, SPAN_LITERAL("fg")); /* never past what waits */
	assert_int_equal(other.len, 2);
	assert_true(leg_deliver_buffered(source));
	assert_memory_equal(other.bytes, "abcdefg", 7);
	assert_int_equal(fixture->sink.consumed, 7);
	assert_null(source->buffered.ptr); /* no memory while nothing waits */
}

#define LEG_TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		LEG_TEST(a_connected_leg_sets_options_with_the_bytes_that_need_them),
		LEG_TEST(a_connected_leg_whose_first_bytes_are_many_does_not_delay_the_last_of_them),
		LEG_TEST(reports_once_that_bytes_wait_until_they_are_read),
		LEG_TEST(reports_the_end_and_closes_its_own_side_separately),
		LEG_TEST(reports_a_reset_as_a_reset),
		LEG_TEST(reports_when_a_full_socket_takes_bytes_again),
		LEG_TEST(finding_p15_ends_with_fin_only_where_the_end_was_forwarded),
		LEG_TEST(
			finding_p15_a_socket_resets_from_its_birth_and_still_delivers_what_was_sent_before_an_orderly_end),
		LEG_TEST(finding_l3_a_reset_is_noticed_while_nothing_is_read),
		LEG_TEST(finding_l3_an_end_or_a_reset_after_it_loses_nothing_that_waits),
		LEG_TEST(finding_l3_bytes_of_an_end_that_is_gone_do_not_wait_for_ever),
		LEG_TEST(finding_p2_a_connection_that_lasts_is_probed_before_it_is_forgotten),
		LEG_TEST(finding_p4_a_reader_that_only_does_not_read_is_not_taken_for_lost),
		LEG_TEST(keeps_what_the_other_side_does_not_take_and_credits_what_it_takes),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
