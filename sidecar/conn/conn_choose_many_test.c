/* Which endpoint of a service with more endpoints than a connection tries. */
#include "base/net/fd.h"
#include "sidecar/conn/test_choose.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka requires setjmp, stdarg, stddef and stdint */
#include <cmocka.h>

enum { MANY = 150, HEALTHY = 50 }; /* the healthy ones are neighbors by address, as the others are */

static void of_many_endpoints_those_in_the_own_zone_are_preferred(void **state)
{
	struct test_conns *conns = *state;
	unsigned num_at[MANY] = {0}, num_near = 0, num_used = 0;
	test_in_zones(conns, MANY, HEALTHY);
	test_one_fails(conns, MANY - 1); /* is not looked for among those that are near */
	test_one_after_the_other(conns, NULL, 400, num_at);
	for (unsigned i = 0; i < HEALTHY; i++) {
		num_near += num_at[i];
		num_used += num_at[i] > 0;
	}
	assert_int_equal(num_near, 400);
	assert_true(num_used > 40);
}

static void of_many_endpoints_each_that_has_room_is_found(void **state)
{
	struct test_conns *conns = *state;
	struct endpoint_limit *limit = test_limit_to(conns, 1);
	test_in_zones(conns, MANY, 0);
	for (unsigned i = 0; i < MANY - 1; i++)
		assert_true(endpoint_limit_take(limit, &test_answer_of(conns)->endpoints[i].address));
	for (unsigned i = 0; i < 20; i++) {
		unsigned num_at[MANY] = {0};
		test_one_after_the_other(conns, NULL, 1, num_at);
		assert_int_equal(num_at[MANY - 1], 1);
	}
	assert_true(endpoint_limit_take(limit, &test_answer_of(conns)->endpoints[MANY - 1].address));
	_cleanup_fd_ int app = test_outbound(conns, TEST_MESHED);
	assert_int_equal(conns->reason, CLOSE_ENDPOINT_LIMIT);
	for (unsigned i = 0; i < MANY; i++)
		endpoint_limit_give_back(limit, &test_answer_of(conns)->endpoints[i].address);
	endpoint_limit_free(limit);
}

static unsigned current_number(const struct test_conns *conns)
{
	return conns->pool.attempt->request.endpoint.ip.bytes[3] - TEST_FIRST_ENDPOINT;
}

/* Whether it comes to a healthy one, while the others refuse. */
static bool is_served(struct test_conns *conns, unsigned *out_number)
{
	_cleanup_fd_ int app = test_outbound(conns, TEST_MESHED);
	while (conns->pool.attempt != NULL && current_number(conns) >= HEALTHY) {
		test_pool_refuse(&conns->pool, 503, "connect_refused");
		test_conns_turn(conns);
	}
	if (conns->pool.attempt == NULL)
		return false;
	*out_number = current_number(conns);
	_cleanup_fd_ int far = -1;
	test_pool_accept(&conns->pool, &far);
	test_conns_turn(conns);
	conn_table_cut_all(conns->env.table, CLOSE_DRAINED);
	return true;
}

static void where_two_thirds_of_many_endpoints_fail_the_others_serve_evenly(void **state)
{
	struct test_conns *conns = *state;
	unsigned num_failed = 0, num_at[HEALTHY] = {0}, number = 0, most = 0, before = 0;
	test_in_zones(conns, MANY, 0);
	for (unsigned i = 0; i < 300; i++) {
		before = i == 100 ? conns->pool.num_opened : before;
		if (is_served(conns, &number))
			num_at[number]++;
		else
			num_failed++;
		test_conns_wait(conns, 20);
	}
	for (unsigned i = 0; i < HEALTHY; i++)
		most = num_at[i] > most ? num_at[i] : most;
	assert_true(num_failed <= 2); /* one has sixteen tries: two thirds to the sixteenth power fail at first */
	assert_true(most <= 24);      /* and not the neighbor of those that fail for all of them */
	assert_true(conns->pool.num_opened - before < 400); /* once they are known few are tried again */
}

static void where_none_of_many_endpoints_serves_a_connection_tries_three(void **state)
{
	struct test_conns *conns = *state;
	test_in_zones(conns, MANY, 0);
	for (unsigned i = 0; i < MANY; i++)
		test_one_fails(conns, i);
	_cleanup_fd_ int app = test_outbound(conns, TEST_MESHED);
	while (conns->pool.attempt != NULL) {
		test_pool_refuse(&conns->pool, 503, "connect_refused");
		test_conns_turn(conns);
	}
	assert_int_equal(conns->pool.num_opened, 3);
	assert_int_equal(conns->reason, CLOSE_CONNECT_REFUSED);
}

static void a_service_with_affinity_goes_on_in_the_order_of_its_endpoints(void **state)
{
	struct test_conns *conns = *state;
	unsigned num_at[MANY] = {0};
	test_in_zones(conns, MANY, 0);
	test_answer_of(conns)->affinity_s = 60;
	test_answer_of(conns)->pinned = 10;
	test_answer_of(conns)->num_draining = 20;
	for (unsigned i = 10; i < MANY - 20; i++)
		test_one_fails(conns, i);
	test_one_after_the_other(conns, NULL, 20, num_at);
	assert_int_equal(num_at[0], 20);
	for (unsigned i = 0; i < 10; i++)
		test_one_fails(conns, i);
	test_one_after_the_other(conns, NULL, 20, num_at);
	assert_int_equal(num_at[MANY - 20 + 10], 20);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CONNS_TEST(of_many_endpoints_those_in_the_own_zone_are_preferred),
		CONNS_TEST(of_many_endpoints_each_that_has_room_is_found),
		CONNS_TEST(where_two_thirds_of_many_endpoints_fail_the_others_serve_evenly),
		CONNS_TEST(where_none_of_many_endpoints_serves_a_connection_tries_three),
		CONNS_TEST(a_service_with_affinity_goes_on_in_the_order_of_its_endpoints),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
