/* For tests: a plain leg over a real socket, joined with a double. The test advances the clock. */
#pragma once

#include "base/core/clock.h"
#include "base/core/loop.h"
#include "sidecar/leg/leg_ops.h"

struct test_sink { /* a leg without a socket, which takes as many bytes as the test allows */
	struct leg leg;
	size_t takes, consumed;
	char bytes[64];
	size_t len;
};
extern const struct leg_ops test_sink_ops;

struct test_leg {
	struct clock_fake fake;
	struct loop *loop;
	struct leg *leg;
	int far;
	struct test_sink sink;
	unsigned readable, writable, ended, reset;
	enum err err;
};
extern const struct leg_listener test_listener; /* counts into the struct test_leg that is its owner */

/* Fixtures for cmocka: *state is a struct test_leg. */
int test_leg_setup(void **state);
int test_leg_teardown(void **state);
#define LEG_TEST(name) cmocka_unit_test_setup_teardown(name, test_leg_setup, test_leg_teardown)

void test_leg_run(struct test_leg *fixture); /* handles what has arrived */
enum io_result test_leg_pull(struct test_leg *fixture, char *to, size_t cap, size_t *out_len);
int test_option_of(int fd, int level, int name);
