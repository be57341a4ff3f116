/* A plain leg over a real socket, and what two joined legs do with each other. */
#include "base/net/fd.h"
#include "sidecar/leg/tcp_pair.h"
#include "sidecar/leg/test_leg.h"
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
/* cmocka requires setjmp, stdarg, stddef and stdint */
#include <cmocka.h>

static void reports_once_that_bytes_wait_until_they_are_read(void **state)
{
	struct test_leg *fixture = *state;
	assert_int_equal(send(fixture->far, "abc", 3, 0), 3);
	test_leg_run(fixture);
	test_leg_run(fixture);
	assert_int_equal(fixture->readable, 1); /* level-triggered, but stopped */
	char bytes[8];
	size_t len = 0;
	assert_int_equal(test_leg_pull(fixture, bytes, sizeof(bytes), &len), IO_DONE);
	assert_int_equal(len, 3);
	assert_int_equal(test_leg_pull(fixture, bytes, sizeof(bytes), &len), IO_WANT_READ);
	assert_int_equal(send(fixture->far, "d", 1, 0), 1);
	test_leg_run(fixture);
	assert_int_equal(fixture->readable, 2);
}

static void reports_the_end_and_closes_its_own_side_separately(void **state)
{
	struct test_leg *fixture = *state;
	char bytes[8];
	size_t len = 0;
	fixture->leg->ops->push_end(fixture->leg);
	assert_int_equal(fixture->ended, 1);
	assert_int_equal(send(fixture->far, "abc", 3, 0), 3);
	assert_int_equal(shutdown(fixture->far, SHUT_WR), 0);
	test_leg_run(fixture);
	assert_int_equal(test_leg_pull(fixture, bytes, 3, &len), IO_DONE);
	assert_int_equal(test_leg_pull(fixture, bytes, 3, &len), IO_EOF);
	assert_true(fixture->leg->in_ended);
	assert_int_equal(recv(fixture->far, bytes, sizeof(bytes), 0), 0);
	assert_int_equal(fixture->reset, 0);
}

static void reports_a_reset_as_a_reset(void **state)
{
	struct test_leg *fixture = *state;
	char bytes[8];
	size_t len;
	tcp_abort(TAKE_FD(fixture->far));
	test_leg_run(fixture);
	assert_int_equal(fixture->readable, 1);
	assert_int_equal(test_leg_pull(fixture, bytes, sizeof(bytes), &len), IO_FAILED);
	assert_int_equal(fixture->reset, 1);
	assert_int_equal(fixture->err, ERR_RESET);
}

static void reports_when_a_full_socket_takes_bytes_again(void **state)
{
	struct test_leg *fixture = *state;
	static const uint8_t block[65536];
	size_t len = sizeof(block), pushed = 0;
	while (fixture->leg->ops->push(fixture->leg, span_of(block, sizeof(block)), &len) == IO_DONE)
		pushed += len;
	pushed += len;
	assert_int_equal(fixture->leg->sent, pushed);
	test_leg_run(fixture);
	assert_int_equal(fixture->writable, 0);
	static uint8_t got[65536];
	for (unsigned i = 0; i < 5000 && fixture->writable == 0; i++) {
		(void)!recv(fixture->far, got, sizeof(got), 0);
		test_leg_run(fixture);
	}
	assert_int_equal(fixture->writable, 1);
}

static bool is_reset(int fd)
{
	char byte;
	loopback_settle();
	return recv(fd, &byte, 1, 0) == -1 && errno == ECONNRESET;
}

static struct leg *leg_of_new_pair(struct test_leg *fixture, int *out_far)
{
	struct tcp_pair pair;
	tcp_pair_open(&pair);
	*out_far = pair.far;
	return leg_new_plain(fixture->loop, pair.near);
}

static void finding_p15_ends_with_fin_only_where_the_end_was_forwarded(void **state)
{
	struct test_leg *fixture = *state;
	char byte;
	_cleanup_fd_ int freed, reset;
	fixture->leg->in_ended = true; /* so that reporting the end is left to close() */
	fixture->sink.leg.out_ended = true;
	fixture->leg->ops->push_end(fixture->leg);
	leg_free(TAKE_PTR(fixture->leg));
	loopback_settle();
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
	struct test_leg *fixture = *state;
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
	leg_attach(leg, &fixture->sink.leg, &test_listener, fixture);
	assert_int_equal(leg->ops->push(leg, SPAN_LITERAL("whole"), &len), IO_DONE);
	leg->ops->push_end(leg);
	leg_free(leg);
	loopback_settle();
	assert_int_equal(recv(other, bytes, sizeof(bytes), 0), 5);
	assert_int_equal(recv(other, bytes, sizeof(bytes), 0), 0);
}

/* A short connection does without what only later bytes need. */
static void a_connected_leg_sets_options_with_the_bytes_that_need_them(void **state)
{
	struct test_leg *fixture = *state;
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
	leg_attach(leg, &fixture->sink.leg, &test_listener, fixture);
	int unlimited = test_option_of(fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT);
	assert_int_equal(leg->ops->push(leg, SPAN_LITERAL("first"), &len), IO_DONE);
	assert_false(test_option_of(fd, IPPROTO_TCP, TCP_NODELAY));
	assert_int_equal(leg->ops->push(leg, SPAN_LITERAL("second"), &len), IO_DONE);
	assert_true(test_option_of(fd, IPPROTO_TCP, TCP_NODELAY));
	assert_int_equal(test_option_of(fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT), unlimited);
	assert_int_equal(leg->ops->push(leg, span_of(bytes, sizeof(bytes)), &len), IO_DONE);
	assert_int_equal(test_option_of(fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT), SOCKET_UNSENT_MAX);
	assert_int_equal(test_option_of(fd, SOL_SOCKET, SO_RCVBUF), 2 * SOCKET_NEAR_UNREAD_MAX);
	leg_free(leg);
}

static void a_connected_leg_whose_first_bytes_are_many_does_not_delay_the_last_of_them(void **state)
{
	struct test_leg *fixture = *state;
	struct addr at;
	_cleanup_fd_ int listening = tcp_listen_any(&at);
	int fd;
	size_t len;
	static const uint8_t bytes[1500];
	assert_int_equal(socket_connect(&at, &(struct socket_connect_options){0}, &fd), ERR_NONE);
	loopback_settle();
	struct leg *leg = leg_new_connected(fixture->loop, fd, false);
	leg_attach(leg, &fixture->sink.leg, &test_listener, fixture);
	assert_int_equal(leg->ops->push(leg, span_of(bytes, sizeof(bytes)), &len), IO_DONE);
	assert_true(test_option_of(fd, IPPROTO_TCP, TCP_NODELAY));
	leg_free(leg);
}

static void keeps_what_the_other_side_does_not_take_and_credits_what_it_takes(void **state)
{
	struct test_leg *fixture = *state;
	struct leg *source = &fixture->sink.leg; /* here the double is where bytes come from, too */
	struct test_sink other = {.takes = 2};
	leg_init(&other.leg, &test_sink_ops, fixture->loop);
	leg_attach(source, &other.leg, &test_listener, fixture);
	leg_deliver(source, SPAN_LITERAL("abcde"));
	assert_int_equal(fixture->sink.consumed, 2);
	assert_int_equal(buf_len(source->buffered), 3);
	other.takes = 100;
	leg_deliver(source, SPAN_LITERAL("fg")); /* never past what waits */
	assert_int_equal(other.len, 2);
	assert_true(leg_deliver_buffered(source));
	assert_memory_equal(other.bytes, "abcdefg", 7);
	assert_int_equal(fixture->sink.consumed, 7);
	assert_null(source->buffered); /* no memory while nothing waits */
}

static void what_is_put_back_comes_before_what_is_kept(void **state)
{
	struct test_leg *fixture = *state;
	struct leg *source = &fixture->sink.leg;
	struct test_sink other = {.takes = 0};
	uint8_t got[8];
	leg_init(&other.leg, &test_sink_ops, fixture->loop);
	leg_attach(source, &other.leg, &test_listener, fixture);
	leg_deliver(source, SPAN_LITERAL("late"));
	source->in_ended = true;
	leg_put_back(source, SPAN_LITERAL("1st"));
	assert_false(source->in_ended);
	assert_int_equal(leg_take_buffered(source, got, 2), 2);
	assert_int_equal(leg_take_buffered(source, got + 2, sizeof(got) - 2), 5);
	assert_memory_equal(got, "1stlate", 7);
	assert_null(source->buffered);
	leg_put_back(source, span_of(NULL, 0)); /* the end alone */
	assert_null(source->buffered);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		LEG_TEST(a_connected_leg_sets_options_with_the_bytes_that_need_them),
		LEG_TEST(a_connected_leg_whose_first_bytes_are_many_does_not_delay_the_last_of_them),
		LEG_TEST(what_is_put_back_comes_before_what_is_kept),
		LEG_TEST(reports_once_that_bytes_wait_until_they_are_read),
		LEG_TEST(reports_the_end_and_closes_its_own_side_separately),
		LEG_TEST(reports_a_reset_as_a_reset),
		LEG_TEST(reports_when_a_full_socket_takes_bytes_again),
		LEG_TEST(finding_p15_ends_with_fin_only_where_the_end_was_forwarded),
		LEG_TEST(
			finding_p15_a_socket_resets_from_its_birth_and_still_delivers_what_was_sent_before_an_orderly_end),
		LEG_TEST(keeps_what_the_other_side_does_not_take_and_credits_what_it_takes),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
