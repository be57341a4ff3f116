/* Which endpoint of a service an outbound connection takes. */
#include "base/net/fd.h"
#include "sidecar/conn/test_choose.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka requires setjmp, stdarg, stddef and stdint */
#include <cmocka.h>

enum { MAX_OPEN = 8 }; /* a kind of connection has no more of the sixteen places */

static void open_connections_are_spread_evenly(void **state)
{
	struct test_conns *conns = *state;
	struct test_opened opened[MAX_OPEN];
	unsigned num_at[2] = {0};
	test_answer(conns, TEST_MESHED, DESTINATION_MESHED, 2);
	for (unsigned i = 0; i < MAX_OPEN; i++) {
		opened[i] = test_open_one(conns, NULL);
		num_at[opened[i].at]++;
	}
	assert_int_equal(num_at[0], MAX_OPEN / 2);
	assert_int_equal(num_at[1], MAX_OPEN / 2);
	conn_table_cut_all(conns->env.table, CLOSE_DRAINED);
	for (unsigned i = 0; i < MAX_OPEN; i++)
		test_close_one(&opened[i]);
}

static void the_place_of_a_connection_that_ended_is_taken_next(void **state)
{
	struct test_conns *conns = *state;
	unsigned num_at[2] = {0};
	test_answer(conns, TEST_MESHED, DESTINATION_MESHED, 2);
	struct test_opened first = test_open_one(conns, NULL);
	test_one_after_the_other(conns, NULL, 1, num_at); /* ends the first too */
	assert_int_equal(num_at[first.at], 0);
	test_one_after_the_other(conns, NULL, 40, num_at);
	assert_true(num_at[0] > 5 && num_at[1] > 5); /* both are free again */
	test_close_one(&first);
}

static void a_slow_endpoint_gets_few_connections_until_it_is_fast_again(void **state)
{
	struct test_conns *conns = *state;
	static const uint64_t slow_ms[] = {1, 500, 1};
	unsigned before[3] = {0}, num_at[3] = {0}, after[3] = {0};
	test_answer(conns, TEST_MESHED, DESTINATION_MESHED, 3);
	while (before[1] == 0)
		test_one_after_the_other(conns, slow_ms, 1, before);
	test_one_after_the_other(conns, slow_ms, 60, num_at);
	assert_int_equal(num_at[1], 0); /* of two that are compared the other one is faster */
	assert_true(num_at[0] > 10 && num_at[2] > 10);
	test_conns_wait(conns, 10000);
	test_one_after_the_other(conns, NULL, 60, after);
	assert_true(after[1] > 5);
}

static void a_slow_endpoint_is_used_where_the_others_are_full(void **state)
{
	struct test_conns *conns = *state;
	static const uint64_t slow_ms[] = {0, 16}; /* one more costs three times as much */
	struct test_opened opened[MAX_OPEN];
	unsigned num_at[2] = {0};
	test_answer(conns, TEST_MESHED, DESTINATION_MESHED, 2);
	for (unsigned i = 0; i < MAX_OPEN; i++) {
		opened[i] = test_open_one(conns, slow_ms);
		num_at[opened[i].at]++;
	}
	assert_int_equal(num_at[0], 6);
	assert_int_equal(num_at[1], 2);
	conn_table_cut_all(conns->env.table, CLOSE_DRAINED);
	for (unsigned i = 0; i < MAX_OPEN; i++)
		test_close_one(&opened[i]);
}

static void an_endpoint_that_refused_has_no_connection_of_those_that_it_refused(void **state)
{
	struct test_conns *conns = *state;
	unsigned num_at[2] = {0};
	test_answer(conns, TEST_MESHED, DESTINATION_MESHED, 2);
	_cleanup_fd_ int app = test_outbound(conns, TEST_MESHED);
	struct addr first = conns->pool.attempt->request.endpoint;
	test_pool_refuse(&conns->pool, 503, "connect_refused");
	test_conns_turn(conns);
	assert_int_equal(loads_cost(conns->env.loads, &first, 0), 1);
	assert_int_equal(loads_cost(conns->env.loads, &conns->pool.attempt->request.endpoint, 0), 2);
	_cleanup_fd_ int far = -1;
	test_pool_accept(&conns->pool, &far);
	test_conns_turn(conns);
	conn_table_cut_all(conns->env.table, CLOSE_DRAINED);
	test_conns_wait(conns, 1000);
	test_one_after_the_other(conns, NULL, 40, num_at);
	assert_true(num_at[0] > 5 && num_at[1] > 5);
}

static void a_service_with_affinity_keeps_its_endpoint_however_slow_and_full_it_is(void **state)
{
	struct test_conns *conns = *state;
	static const uint64_t slow_ms[] = {1, 1, 500};
	unsigned num_at[3] = {0};
	test_answer(conns, TEST_MESHED, DESTINATION_MESHED, 3);
	test_answer_of(conns)->affinity_s = 60;
	test_answer_of(conns)->pinned = 2;
	struct test_opened open = test_open_one(conns, slow_ms);
	struct test_opened second = test_open_one(conns, slow_ms);
	assert_int_equal(second.at, 2);
	test_one_after_the_other(conns, slow_ms, 20, num_at);
	assert_int_equal(num_at[2], 20);
	test_close_one(&open);
	test_close_one(&second);
}

static void finding_p14_a_draining_endpoint_gets_nothing_while_another_is_left_however_slow(void **state)
{
	struct test_conns *conns = *state;
	static const uint64_t slow_ms[] = {500, 500, 0};
	unsigned num_at[3] = {0};
	test_answer(conns, TEST_MESHED, DESTINATION_MESHED, 3);
	test_answer_of(conns)->num_draining = 1;
	test_one_after_the_other(conns, slow_ms, 40, num_at);
	assert_int_equal(num_at[2], 0);
	assert_int_equal(num_at[0] + num_at[1], 40);
}

static void endpoints_in_the_own_zone_are_preferred(void **state)
{
	struct test_conns *conns = *state;
	unsigned num_at[4] = {0};
	test_in_zones(conns, 4, 2);
	test_one_after_the_other(conns, NULL, 60, num_at);
	assert_int_equal(num_at[0] + num_at[1], 60);
	assert_true(num_at[0] > 10 && num_at[1] > 10);
}

static void an_endpoint_may_be_near_to_several_zones(void **state)
{
	struct test_conns *conns = *state;
	unsigned num_at[4] = {0};
	test_in_zones(conns, 4, 1);
	test_answer_of(conns)->endpoints[3].zones[1] = TEST_HERE;
	answer_sort_zones(test_answer_of(conns));
	test_one_after_the_other(conns, NULL, 60, num_at);
	assert_int_equal(num_at[0] + num_at[3], 60);
	assert_true(num_at[3] > 10);
}

static void without_a_zone_or_an_endpoint_in_it_all_are_used(void **state)
{
	struct test_conns *conns = *state;
	unsigned num_at[3] = {0}, without[3] = {0};
	test_in_zones(conns, 3, 0);
	test_one_after_the_other(conns, NULL, 60, num_at);
	assert_true(num_at[0] > 5 && num_at[1] > 5 && num_at[2] > 5);
	test_in_zones(conns, 3, 1);
	conns->snapshot.networks->zone = 0;
	test_one_after_the_other(conns, NULL, 60, without);
	assert_true(without[0] > 5 && without[1] > 5 && without[2] > 5);
}

static void other_zones_are_used_when_fewer_than_half_serve_in_the_own_one(void **state)
{
	struct test_conns *conns = *state;
	unsigned half[6] = {0}, fewer[6] = {0}, again[6] = {0};
	test_in_zones(conns, 6, 4);
	test_one_fails(conns, 0);
	test_one_fails(conns, 1);
	test_one_after_the_other(conns, NULL, 60, half);
	assert_int_equal(half[2] + half[3], 60);
	test_one_fails(conns, 2);
	test_one_after_the_other(conns, NULL, 60, fewer);
	assert_int_equal(fewer[3] + fewer[4] + fewer[5], 60);
	assert_true(fewer[4] > 5 && fewer[5] > 5);
	test_conns_wait(conns, 1000);
	test_one_after_the_other(conns, NULL, 60, again);
	assert_int_equal(again[4] + again[5], 0);
}

static void other_zones_are_used_when_all_tunnels_to_the_own_one_are_silent(void **state)
{
	struct test_conns *conns = *state;
	unsigned num_at[3] = {0};
	test_in_zones(conns, 3, 1);
	conns->pool.suspect = test_answer_of(conns)->endpoints[0].address;
	test_one_after_the_other(conns, NULL, 40, num_at);
	assert_int_equal(num_at[0], 0);
	assert_true(num_at[1] > 5 && num_at[2] > 5);
}

static void a_connection_that_no_near_endpoint_takes_goes_to_another_zone(void **state)
{
	struct test_conns *conns = *state;
	test_in_zones(conns, 3, 1);
	_cleanup_fd_ int app = test_outbound(conns, TEST_MESHED);
	assert_int_equal(conns->pool.attempt->request.endpoint.ip.bytes[3], TEST_FIRST_ENDPOINT);
	test_pool_refuse(&conns->pool, 503, "connect_refused");
	test_conns_turn(conns);
	assert_non_null(conns->pool.attempt);
	assert_int_not_equal(conns->pool.attempt->request.endpoint.ip.bytes[3], TEST_FIRST_ENDPOINT);
}

static void end_all(struct test_conns *conns, const struct test_opened *opened, unsigned num)
{
	conn_table_cut_all(conns->env.table, CLOSE_DRAINED);
	for (unsigned i = 0; i < num; i++)
		test_close_one(&opened[i]);
}

static void a_full_endpoint_gives_way_and_a_full_service_refuses(void **state)
{
	struct test_conns *conns = *state;
	struct endpoint_limit *limit = test_limit_to(conns, 2);
	static const uint64_t slow_ms[] = {0, 500}; /* which would get none before the other has seven */
	struct test_opened opened[4];
	unsigned num_at[2] = {0};
	test_answer(conns, TEST_MESHED, DESTINATION_MESHED, 2);
	for (unsigned i = 0; i < 4; i++) {
		opened[i] = test_open_one(conns, slow_ms);
		num_at[opened[i].at]++;
	}
	assert_true(num_at[0] == 2 && num_at[1] == 2);
	_cleanup_fd_ int app = test_outbound(conns, TEST_MESHED);
	assert_null(conns->pool.attempt);
	assert_int_equal(conns->reason, CLOSE_ENDPOINT_LIMIT);
	assert_non_null(strstr(conns->detail.got, "2 connections"));
	assert_non_null(strstr(conns->detail.fix, "limits.per_endpoint"));
	assert_true(test_was_reset(app));
	end_all(conns, opened, 4);
	struct test_opened again = test_open_one(conns, NULL); /* there is room again */
	end_all(conns, &again, 1);
	endpoint_limit_free(limit);
}

static void an_endpoint_that_refused_holds_no_place_and_one_that_is_full_is_no_try(void **state)
{
	struct test_conns *conns = *state;
	struct endpoint_limit *limit = test_limit_to(conns, 1);
	test_answer(conns, TEST_MESHED, DESTINATION_MESHED, 3);
	struct test_opened opened = test_open_one(conns, NULL);
	for (unsigned round = 0; round < 2; round++) { /* in the second one those two have failed recently */
		unsigned before = conns->pool.num_opened;
		_cleanup_fd_ int app = test_outbound(conns, TEST_MESHED);
		for (unsigned i = 0; i < 2; i++) {
			assert_non_null(conns->pool.attempt);
			assert_int_not_equal(
				conns->pool.attempt->request.endpoint.ip.bytes[3], TEST_FIRST_ENDPOINT + opened.at);
			test_pool_refuse(&conns->pool, 503, "connect_refused");
			test_conns_turn(conns);
		}
		assert_int_equal(conns->pool.num_opened, before + 2);
		assert_null(conns->pool.attempt);
		assert_int_equal(conns->reason, CLOSE_CONNECT_REFUSED);
		assert_true(test_was_reset(app));
	}
	end_all(conns, &opened, 1);
	endpoint_limit_free(limit);
}

static void a_plaintext_destination_is_limited_too(void **state)
{
	struct test_conns *conns = *state;
	struct endpoint_limit *limit = test_limit_to(conns, 1);
	_cleanup_fd_ int first = test_outbound(conns, NULL);
	_cleanup_fd_ int taken = test_app_accept(conns);
	assert_true(taken >= 0 && conns->num_relayed == 1);
	_cleanup_fd_ int second = test_outbound(conns, NULL);
	assert_int_equal(conns->reason, CLOSE_ENDPOINT_LIMIT);
	assert_true(test_was_reset(second));
	conn_table_cut_all(conns->env.table, CLOSE_DRAINED);
	_cleanup_fd_ int third = test_outbound(conns, NULL);
	assert_int_equal(conns->num_relayed, 2);
	conn_table_cut_all(conns->env.table, CLOSE_DRAINED);
	endpoint_limit_free(limit);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CONNS_TEST(open_connections_are_spread_evenly),
		CONNS_TEST(the_place_of_a_connection_that_ended_is_taken_next),
		CONNS_TEST(a_slow_endpoint_gets_few_connections_until_it_is_fast_again),
		CONNS_TEST(a_slow_endpoint_is_used_where_the_others_are_full),
		CONNS_TEST(an_endpoint_that_refused_has_no_connection_of_those_that_it_refused),
		CONNS_TEST(a_service_with_affinity_keeps_its_endpoint_however_slow_and_full_it_is),
		CONNS_TEST(endpoints_in_the_own_zone_are_preferred),
		CONNS_TEST(an_endpoint_may_be_near_to_several_zones),
		CONNS_TEST(without_a_zone_or_an_endpoint_in_it_all_are_used),
		CONNS_TEST(other_zones_are_used_when_fewer_than_half_serve_in_the_own_one),
		CONNS_TEST(other_zones_are_used_when_all_tunnels_to_the_own_one_are_silent),
		CONNS_TEST(a_connection_that_no_near_endpoint_takes_goes_to_another_zone),
		CONNS_TEST(a_full_endpoint_gives_way_and_a_full_service_refuses),
		CONNS_TEST(an_endpoint_that_refused_holds_no_place_and_one_that_is_full_is_no_try),
		CONNS_TEST(a_plaintext_destination_is_limited_too),
		CONNS_TEST(finding_p14_a_draining_endpoint_gets_nothing_while_another_is_left_however_slow),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
