#include "sidecar/conn/test_choose.h"
#include "base/net/fd.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka requires setjmp, stdarg, stddef and stdint */
#include <cmocka.h>

struct test_opened test_open_one(struct test_conns *conns, const uint64_t answer_ms[])
{
	struct test_opened opened = {.app = test_outbound(conns, TEST_MESHED)};
	assert_non_null(conns->pool.attempt);
	opened.at = conns->pool.attempt->request.endpoint.ip.bytes[3] - TEST_FIRST_ENDPOINT;
	conns->pool.answer_ms = answer_ms == NULL ? 0 : answer_ms[opened.at];
	test_pool_accept(&conns->pool, &opened.far);
	test_conns_turn(conns);
	return opened;
}

void test_close_one(const struct test_opened *opened)
{
	fd_close(opened->app);
	fd_close(opened->far);
}

void test_one_after_the_other(struct test_conns *conns, const uint64_t answer_ms[], unsigned num, unsigned num_at[])
{
	for (unsigned i = 0; i < num; i++) {
		struct test_opened opened = test_open_one(conns, answer_ms);
		num_at[opened.at]++;
		test_close_one(&opened);
		conn_table_cut_all(conns->env.table, CLOSE_DRAINED);
	}
}

struct answer *test_answer_of(struct test_conns *conns)
{
	struct addr at;
	assert_int_equal(addr_parse(span_of_str(TEST_MESHED), &at), ERR_NONE);
	return endpoint_table_find(conns->snapshot.answers, &at);
}

void test_in_zones(struct test_conns *conns, unsigned num, unsigned num_near)
{
	test_answer(conns, TEST_MESHED, DESTINATION_MESHED, num);
	conns->snapshot.networks->zone = TEST_HERE;
	for (unsigned i = 0; i < num; i++)
		test_answer_of(conns)->endpoints[i].zones[0] = i < num_near ? TEST_HERE : TEST_THERE;
	answer_sort_zones(test_answer_of(conns));
}

void test_one_fails(struct test_conns *conns, unsigned number)
{
	(void)outliers_failed(conns->env.outliers, &test_answer_of(conns)->endpoints[number].address, false,
		loop_now_ms(conns->loop));
}

struct endpoint_limit *test_limit_to(struct test_conns *conns, size_t max)
{
	conns->env.endpoint_limit = endpoint_limit_new(max);
	return conns->env.endpoint_limit;
}
