/* For tests of which endpoint a connection takes: services with many connections, zones, failures and limits. */
#pragma once

#include "sidecar/conn/test_conns.h"

struct test_opened {
	int app, far;
	unsigned at; /* number of its endpoint */
};

enum { TEST_HERE = 7, TEST_THERE = 8 }; /* zones */

/* A connection that stays open; its endpoint answers after so many milliseconds. */
struct test_opened test_open_one(struct test_conns *conns, const uint64_t answer_ms[]);
void test_close_one(const struct test_opened *opened);
/* So many connections, each of which ends before the next one; counts them per endpoint. */
void test_one_after_the_other(struct test_conns *conns, const uint64_t answer_ms[], unsigned num, unsigned num_at[]);
struct answer *test_answer_of(struct test_conns *conns);
/* So many endpoints, of which the first `num_near` are in this sidecar's zone. */
void test_in_zones(struct test_conns *conns, unsigned num, unsigned num_near);
void test_one_fails(struct test_conns *conns, unsigned number);
struct endpoint_limit *test_limit_to(struct test_conns *conns, size_t max);
