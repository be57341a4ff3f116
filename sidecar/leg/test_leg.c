#include "sidecar/leg/test_leg.h"
#include "base/core/mem.h"
#include "base/net/fd.h"
#include "sidecar/leg/tcp_pair.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
/* cmocka requires setjmp, stdarg, stddef and stdint */
#include <cmocka.h>

static enum io_result sink_push(struct leg *leg, struct span bytes, size_t *out_len)
{
	struct test_sink *sink = container_of(leg, struct test_sink, leg);
	*out_len = bytes.len < sink->takes ? bytes.len : sink->takes;
	memcpy(sink->bytes + sink->len, bytes.ptr, *out_len);
	sink->len += *out_len;
	sink->takes -= *out_len;
	return *out_len == bytes.len ? IO_DONE : IO_WANT_WRITE;
}

static void sink_consumed(struct leg *leg, size_t len)
{
	container_of(leg, struct test_sink, leg)->consumed += len;
}

static void sink_watch(struct leg *leg)
{
	(void)leg;
}

const struct leg_ops test_sink_ops = {.push = sink_push, .consumed = sink_consumed, .watch = sink_watch};

static void on_readable(struct leg *leg)
{
	((struct test_leg *)leg->owner)->readable++;
}

static void on_writable(struct leg *leg)
{
	((struct test_leg *)leg->owner)->writable++;
}

static void on_ended(struct leg *leg)
{
	((struct test_leg *)leg->owner)->ended++;
}

static void on_reset(struct leg *leg, const struct why *why)
{
	struct test_leg *fixture = leg->owner;
	fixture->reset++;
	fixture->err = why->err;
}

const struct leg_listener test_listener = {on_readable, on_writable, on_ended, on_reset};

int test_leg_setup(void **state)
{
	struct test_leg *fixture = mem_new(struct test_leg);
	clock_fake_init(&fixture->fake, 0);
	fixture->loop = loop_new(&fixture->fake.clock);
	struct tcp_pair pair;
	tcp_pair_open(&pair);
	fixture->far = pair.far;
	fixture->leg = leg_new_plain(fixture->loop, pair.near);
	leg_init(&fixture->sink.leg, &test_sink_ops, fixture->loop);
	leg_attach(&fixture->sink.leg, fixture->leg, &test_listener, fixture);
	leg_attach(fixture->leg, &fixture->sink.leg, &test_listener, fixture);
	*state = fixture;
	return 0;
}

int test_leg_teardown(void **state)
{
	struct test_leg *fixture = *state;
	leg_free(fixture->leg);
	leg_drop_buffered(&fixture->sink.leg);
	fd_close(fixture->far);
	loop_free(fixture->loop);
	mem_free(fixture);
	return 0;
}

void test_leg_run(struct test_leg *fixture)
{
	loopback_settle();
	loop_run_once(fixture->loop, false);
	loop_run_once(fixture->loop, false);
}

enum io_result test_leg_pull(struct test_leg *fixture, char *to, size_t cap, size_t *out_len)
{
	return fixture->leg->ops->pull(fixture->leg, (uint8_t *)to, cap, out_len);
}

int test_option_of(int fd, int level, int name)
{
	int value = -1;
	socklen_t len = sizeof(value);
	assert_int_equal(getsockopt(fd, level, name, &value, &len), 0);
	return value;
}
