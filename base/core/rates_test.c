#include "base/core/rates.h"
#include <setjmp.h>
#include <stdarg.h>
/* cmocka requires the four headers above */
#include <cmocka.h>

static void W11_W23_allows_a_burst_and_then_the_rate_per_minute(void **state)
{
	(void)state;
	_cleanup_(rates_freep) struct rates *rates =
		rates_new(&(struct rates_options){.per_minute = 600, .burst = 10, .seed = 1});
	struct share_key one = share_key_of_bytes(SPAN_LITERAL("one")),
			 other = share_key_of_bytes(SPAN_LITERAL("other"));
	unsigned passed = 0;
	for (int i = 0; i < 100; i++)
		passed += rates_take(rates, &one, 1000);
	assert_int_equal(passed, 10);
	assert_true(rates_take(rates, &other, 1000));
	for (uint64_t ms = 1001; ms <= 3000; ms++)
		passed += rates_take(rates, &one, ms);
	assert_int_equal(passed, 30);
}

static void refills_to_the_burst_and_no_further(void **state)
{
	(void)state;
	_cleanup_(rates_freep) struct rates *rates =
		rates_new(&(struct rates_options){.per_minute = 1, .burst = 3, .seed = 1});
	struct share_key key = share_key_of_bytes(SPAN_LITERAL("one"));
	for (int i = 0; i < 3; i++)
		assert_true(rates_take(rates, &key, 0));
	assert_false(rates_take(rates, &key, 59999));
	assert_true(rates_take(rates, &key, 60000));
	unsigned passed = 0;
	for (int i = 0; i < 100; i++)
		passed += rates_take(rates, &key, UINT64_MAX - 1);
	assert_int_equal(passed, 3);
}

static void without_a_rate_only_the_burst_is_allowed(void **state)
{
	(void)state;
	_cleanup_(rates_freep) struct rates *rates = rates_new(&(struct rates_options){.burst = 1, .seed = 1});
	struct share_key key = share_key_of_bytes(SPAN_LITERAL("one"));
	assert_true(rates_take(rates, &key, 0));
	assert_false(rates_take(rates, &key, 1u << 30));
}

/* The table has a fixed size, so a flood of keys shares buckets. */
static void a_flood_of_keys_limits_itself(void **state)
{
	(void)state;
	_cleanup_(rates_freep) struct rates *rates =
		rates_new(&(struct rates_options){.per_minute = 60, .burst = 1, .num_buckets = 64, .seed = 1});
	unsigned passed = 0;
	for (uint32_t i = 0; i < 10000; i++) {
		struct share_key key = share_key_of_bytes(span_of(&i, sizeof i));
		passed += rates_take(rates, &key, 5);
	}
	assert_true(passed <= 64);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(W11_W23_allows_a_burst_and_then_the_rate_per_minute),
		cmocka_unit_test(refills_to_the_burst_and_no_further),
		cmocka_unit_test(without_a_rate_only_the_burst_is_allowed),
		cmocka_unit_test(a_flood_of_keys_limits_itself),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
