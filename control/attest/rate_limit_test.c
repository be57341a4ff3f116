#include "control/attest/rate_limit.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
/* cmocka wants the four above first */
#include <cmocka.h>

static struct ip_addr parse(const char *text)
{
	struct ip_addr ip;
	assert_int_equal(ip_addr_parse(span_of_str(text), &ip), ERR_NONE);
	return ip;
}

/* W11, W23 */
static void lets_a_burst_pass_and_then_so_many_a_second(void **state)
{
	(void)state;
	struct rate_limit *limit = rate_limit_new(10, 10, 1);
	struct ip_addr source = parse("192.0.2.1"), other = parse("192.0.2.9");
	unsigned passed = 0;
	for (int i = 0; i < 100; i++)
		passed += rate_limit_take(limit, &source, NULL, 1000);
	assert_int_equal(passed, 10);
	assert_true(rate_limit_take(limit, &other, NULL, 1000));
	for (uint64_t ms = 1001; ms <= 3000; ms++)
		passed += rate_limit_take(limit, &source, NULL, ms);
	assert_int_equal(passed, 30);
	rate_limit_free(limit);
}

static void counts_strangers_by_network_and_identities_by_name(void **state)
{
	(void)state;
	struct rate_limit *limit = rate_limit_new(1, 1, 1);
	struct ip_addr one = parse("2001:db8::1"), two = parse("2001:db8::2");
	_cleanup_(spiffe_id_done) struct spiffe_id a = {0}, b = {0};
	assert_int_equal(spiffe_id_parse(SPAN_LITERAL("spiffe://td/a"), &a, NULL), ERR_NONE);
	assert_int_equal(spiffe_id_parse(SPAN_LITERAL("spiffe://td/b"), &b, NULL), ERR_NONE);
	assert_true(rate_limit_take(limit, &one, NULL, 1));
	assert_false(rate_limit_take(limit, &two, NULL, 1));
	assert_true(rate_limit_take(limit, &one, &a, 1));
	assert_true(rate_limit_take(limit, &one, &b, 1));
	assert_false(rate_limit_take(limit, &one, &a, 1));
	rate_limit_free(limit);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lets_a_burst_pass_and_then_so_many_a_second),
		cmocka_unit_test(counts_strangers_by_network_and_identities_by_name),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
