/* For tests: both ends of a connection in this process, over a socket pair in plain text, with a clock of the test's.
 * Or the client's alone: the test writes the peer's bytes. */
#pragma once

#include "base/core/clock.h"
#include "base/rpc/h2_link.h"

enum { TEST_LINK_KEEPALIVE_MS = 1000, TEST_LINK_OPEN_TIMEOUT_MS = 500 };

struct test_link_end {
	struct h2_link *link;
	unsigned num_opens, num_goaways, num_deads, num_headers;
	struct why detail; /* of the end */
};

struct test_link {
	struct clock_fake clock;
	struct loop *loop;
	struct test_link_end client, server;
	int fds[2];
};

/* Of cmocka: *state is a test_link, of which the client's end is there. */
int test_link_set_up(void **state);
int test_link_set_up_always_pinging(void **state); /* that end pings also while input comes */
int test_link_tear_down(void **state);
void test_link_pass(struct test_link *link, uint64_t ms); /* lets time pass, with rounds of the loop */
void test_link_open_both(struct test_link *link);
