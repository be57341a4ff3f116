#include "base/core/cleanup.h"
#include "base/net/resolver.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka requires the four headers above */
#include <cmocka.h>

struct query {
	struct loop *loop;
	unsigned num_answers;
	enum err err;
	struct ip_addr first;
	size_t num;
};

static void on_done(void *arg, enum err err, const struct ip_addr *ips, size_t num)
{
	struct query *query = arg;
	query->num_answers++;
	query->err = err;
	query->num = num;
	if (num > 0)
		query->first = ips[0];
	loop_stop(query->loop);
}

static void resolves_names_of_the_hosts_file(_unused_ void **state)
{
	struct query query = {.loop = loop_new(&clock_system)};
	struct resolver *resolver;
	assert_int_equal(resolver_new(query.loop, NULL, &resolver, NULL), ERR_NONE);
	resolver_query(resolver, "localhost", 5000, on_done, &query);
	assert_int_equal(query.num_answers, 0); /* never within resolver_query() */
	loop_run(query.loop);
	assert_int_equal(query.num_answers, 1);
	assert_int_equal(query.err, ERR_NONE);
	assert_true(ip_addr_is_loopback(&query.first));
	resolver_free(resolver);
	loop_free(query.loop);
}

static void reports_a_timeout(_unused_ void **state)
{
	struct query query = {.loop = loop_new(&clock_system)};
	struct resolver *resolver;
	assert_int_equal(resolver_new(query.loop, NULL, &resolver, NULL), ERR_NONE);
	resolver_query(resolver, "missing.invalid", 100, on_done, &query);
	loop_run(query.loop);
	assert_int_equal(query.num_answers, 1);
	assert_int_not_equal(query.err, ERR_NONE);
	assert_int_equal(query.num, 0);
	resolver_free(resolver);
	loop_free(query.loop);
}

static void a_canceled_query_has_no_callback(_unused_ void **state)
{
	struct query query = {.loop = loop_new(&clock_system)};
	struct resolver *resolver;
	assert_int_equal(resolver_new(query.loop, NULL, &resolver, NULL), ERR_NONE);
	resolver_query(resolver, "localhost", 5000, on_done, &query);
	resolver_cancel(resolver);
	loop_run_once(query.loop, false);
	assert_int_equal(query.num_answers, 0);
	resolver_free(resolver);
	loop_free(query.loop);
}

/* One per composition root, not one per process. */
static void name_servers_are_kept_for_each_that_asks(_unused_ void **state)
{
	struct query query = {.loop = loop_new(&clock_system)};
	struct name_servers *first = name_servers_new(), *second = name_servers_new();
	struct resolver *resolver;
	name_servers_free(first);
	assert_int_equal(resolver_new(query.loop, second, &resolver, NULL), ERR_NONE);
	name_servers_free(second); /* needed during the call alone */
	resolver_query(resolver, "localhost", 5000, on_done, &query);
	loop_run(query.loop);
	assert_int_equal(query.err, ERR_NONE);
	resolver_free(resolver);
	loop_free(query.loop);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(resolves_names_of_the_hosts_file),
		cmocka_unit_test(reports_a_timeout),
		cmocka_unit_test(a_canceled_query_has_no_callback),
		cmocka_unit_test(name_servers_are_kept_for_each_that_asks),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
