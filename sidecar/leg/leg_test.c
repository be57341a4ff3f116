/* A plain leg over a real socket, and what two joined legs do with each other. The other side is a double that takes as
 * many bytes as the test allows. */
#include "base/core/mem.h"
#include "base/net/fd.h"
#include "sidecar/leg/leg_ops.h"
#include "sidecar/leg/tcp_pair.h"
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <unistd.h>
/* cmocka wants the four above first */
#include <cmocka.h>

struct sink { /* the double */
	struct leg leg;
	size_t takes, took;
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

static void sink_took(struct leg *leg, size_t len)
{
	container_of(leg, struct sink, leg)->took += len;
}

static void sink_watch(struct leg *leg)
{
	(void)leg;
}

static const struct leg_ops sink_ops = {.push = sink_push, .took = sink_took, .watch = sink_watch};

struct fixture {
	struct clock_fake fake;
	struct loop *loop;
	struct leg *leg;
	int far;
	struct sink sink;
	unsigned readable, writable, ended, reset;
	enum err why;
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
	fixture->why = why->err;
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
	leg_join(&fixture->sink.leg, fixture->leg, &listener, fixture);
	leg_join(fixture->leg, &fixture->sink.leg, &listener, fixture);
	*state = fixture;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *fixture = *state;
	leg_free(fixture->leg);
	buf_done(&fixture->sink.leg.kept);
	fd_close(fixture->far);
	loop_free(fixture->loop);
	mem_free(fixture);
	return 0;
}

static void run(struct fixture *fixture)
{
	usleep(500);
	loop_run_once(fixture->loop, false);
	loop_run_once(fixture->loop, false);
}

static enum io_result pull(struct fixture *fixture, char *to, size_t cap, size_t *out_len)
{
	return fixture->leg->ops->pull(fixture->leg, (uint8_t *)to, cap, out_len);
}

static void tells_once_that_bytes_wait_until_they_are_read(void **state)
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

static void tells_the_end_and_closes_its_own_side_apart(void **state)
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

static void tells_a_reset_as_a_reset(void **state)
{
	struct fixture *fixture = *state;
	char bytes[8];
	size_t len;
	tcp_abort(TAKE_FD(fixture->far));
	run(fixture);
	assert_int_equal(fixture->readable, 1);
	assert_int_equal(pull(fixture, bytes, sizeof(bytes), &len), IO_FAILED);
	assert_int_equal(fixture->reset, 1);
	assert_int_equal(fixture->why, ERR_RESET);
}

static void tells_when_a_full_socket_takes_bytes_again(void **state)
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

static void ends_with_fin_when_freed_and_with_rst_after_a_reset(void **state)
{
	struct fixture *fixture = *state;
	char byte;
	leg_free(TAKE_PTR(fixture->leg));
	assert_int_equal(recv(fixture->far, &byte, 1, 0), 0);
	struct tcp_pair pair;
	tcp_pair_open(&pair);
	struct leg *leg = leg_new_plain(fixture->loop, pair.near);
	leg_reset(leg);
	leg_free(leg);
	assert_int_equal(recv(pair.far, &byte, 1, 0), -1);
	assert_int_equal(errno, ECONNRESET);
	fd_close(pair.far);
}

static void keeps_what_the_other_side_does_not_take_and_credits_what_it_takes(void **state)
{
	struct fixture *fixture = *state;
	struct leg *source = &fixture->sink.leg; /* here the double is where bytes come from, too */
	struct sink other = {.takes = 2};
	leg_init(&other.leg, &sink_ops, fixture->loop);
	leg_join(source, &other.leg, &listener, fixture);
	leg_deliver(source, SPAN_LITERAL("abcde"));
	assert_int_equal(fixture->sink.took, 2);
	assert_int_equal(buf_len(&source->kept), 3);
	other.takes = 100;
	leg_deliver(source, SPAN_LITERAL("fg")); /* never past what waits */
	assert_int_equal(other.len, 2);
	assert_true(leg_deliver_kept(source));
	assert_memory_equal(other.bytes, "abcdefg", 7);
	assert_int_equal(fixture->sink.took, 7);
	assert_null(source->kept.ptr); /* no memory while nothing waits */
}

#define LEG_TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		LEG_TEST(tells_once_that_bytes_wait_until_they_are_read),
		LEG_TEST(tells_the_end_and_closes_its_own_side_apart),
		LEG_TEST(tells_a_reset_as_a_reset),
		LEG_TEST(tells_when_a_full_socket_takes_bytes_again),
		LEG_TEST(ends_with_fin_when_freed_and_with_rst_after_a_reset),
		LEG_TEST(keeps_what_the_other_side_does_not_take_and_credits_what_it_takes),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
