#include "base/core/cleanup.h"
#include "base/core/random.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
/* cmocka requires the four headers above */
#include <cmocka.h>

static void fills_exactly_the_requested_bytes(_unused_ void **state)
{
	/* More than getrandom(2) returns without interruption (256 bytes). */
	uint8_t bytes[1001];
	uint8_t seen[1000] = {0};
	bytes[1000] = 0x5a;
	for (unsigned round = 0; round < 16; round++) {
		random_bytes(bytes, 1000);
		for (unsigned i = 0; i < 1000; i++)
			seen[i] |= bytes[i];
	}
	for (unsigned i = 0; i < 1000; i++)
		assert_int_not_equal(seen[i], 0); /* fails by chance once in 2^118 runs */
	assert_int_equal(bytes[1000], 0x5a);
	random_bytes(NULL, 0);
}

static void does_not_repeat_itself(_unused_ void **state)
{
	assert_true(random_u64() != random_u64());
	uint32_t first = random_u32();
	assert_true(first != random_u32() || first != random_u32() || first != random_u32());
}

static void spreads_over_two_and_over_three_alike(_unused_ void **state)
{
	uint32_t spread = 1;
	unsigned of_two[2] = {0}, of_three[3] = {0};
	for (unsigned i = 0; i < 6000; i++) {
		uint32_t number = random_spread(&spread);
		assert_int_not_equal(number, 0);
		of_two[(uint16_t)number % 2]++;
		of_three[(uint16_t)number % 3]++;
	}
	for (unsigned i = 0; i < 3; i++)
		assert_in_range(of_three[i], 1800, 2200);
	assert_in_range(of_two[0], 2800, 3200);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(fills_exactly_the_requested_bytes),
		cmocka_unit_test(does_not_repeat_itself),
		cmocka_unit_test(spreads_over_two_and_over_three_alike),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
