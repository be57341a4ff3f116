#include "sidecar/route/endpoint_limit.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static struct addr numbered(unsigned number)
{
	struct addr addr = {.port = (uint16_t)(1 + number)};
	assert_int_equal(ip_addr_parse(span_of_str("192.0.2.1"), &addr.ip), ERR_NONE);
	return addr;
}

static void each_endpoint_has_so_many_connections_and_no_more(void **state)
{
	(void)state;
	struct endpoint_limit *limit = endpoint_limit_new(2);
	const struct addr one = numbered(1), other = numbered(2);
	assert_int_equal(endpoint_limit_max(limit), 2);
	assert_true(endpoint_limit_take(limit, &one) && endpoint_limit_take(limit, &one));
	assert_true(endpoint_limit_is_full(limit, &one));
	assert_int_equal(endpoint_limit_num_full(limit), 1);
	assert_false(endpoint_limit_take(limit, &one));
	assert_false(endpoint_limit_is_full(limit, &other));
	assert_true(endpoint_limit_take(limit, &other));
	assert_int_equal(endpoint_limit_num_full(limit), 1);
	endpoint_limit_give_back(limit, &one);
	assert_int_equal(endpoint_limit_num_full(limit), 0);
	assert_false(endpoint_limit_is_full(limit, &one));
	assert_true(endpoint_limit_take(limit, &one));
	endpoint_limit_give_back(limit, &one);
	endpoint_limit_give_back(limit, &one);
	endpoint_limit_give_back(limit, &other);
	endpoint_limit_free(limit);
	endpoint_limit_free(NULL);
}

enum { THREADS = 4, ROUNDS = 20000, MAX = 3 };

struct shared {
	struct endpoint_limit *limit;
	unsigned num_held; /* atomic */
	bool was_exceeded; /* atomic */
};

static void *take_and_give_back(void *arg)
{
	struct shared *shared = arg;
	const struct addr at = {.port = 80};
	for (unsigned i = 0; i < ROUNDS; i++) {
		if (!endpoint_limit_take(shared->limit, &at))
			continue;
		if (__atomic_add_fetch(&shared->num_held, 1, __ATOMIC_SEQ_CST) > MAX)
			__atomic_store_n(&shared->was_exceeded, true, __ATOMIC_SEQ_CST);
		(void)__atomic_sub_fetch(&shared->num_held, 1, __ATOMIC_SEQ_CST);
		endpoint_limit_give_back(shared->limit, &at);
	}
	return NULL;
}

static void the_number_is_exact_with_several_threads(void **state)
{
	(void)state;
	struct shared shared = {.limit = endpoint_limit_new(MAX)};
	pthread_t threads[THREADS];
	for (unsigned i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, take_and_give_back, &shared), 0);
	for (unsigned i = 0; i < THREADS; i++)
		assert_int_equal(pthread_join(threads[i], NULL), 0);
	assert_false(shared.was_exceeded);
	endpoint_limit_free(shared.limit); /* all are given back */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_endpoint_has_so_many_connections_and_no_more),
		cmocka_unit_test(the_number_is_exact_with_several_threads),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
