#include "base/core/hash.h"
#include <setjmp.h>
#include <stdarg.h>
/* cmocka requires the four headers above */
#include <cmocka.h>

static void depends_on_every_byte_the_length_and_the_seed(void **state)
{
	(void)state;
	uint8_t bytes[20] = {0};
	const uint64_t plain = hash_bytes(span_of(bytes, sizeof bytes), 1);
	for (size_t i = 0; i < sizeof bytes; i++) {
		bytes[i] = 1;
		assert_true(hash_bytes(span_of(bytes, sizeof bytes), 1) != plain);
		bytes[i] = 0;
	}
	assert_true(hash_bytes(span_of(bytes, sizeof bytes - 1), 1) != plain);
	assert_true(hash_bytes(span_of(bytes, sizeof bytes), 2) != plain);
	assert_true(hash_bytes(span_of(bytes, sizeof bytes), 1) == plain);
}

/* Neighboring addresses must not collide: of 256 buckets with 256 keys none has more than 16. */
static void spreads_neighbors(void **state)
{
	(void)state;
	unsigned filled[256] = {0};
	for (uint32_t i = 0; i < 256; i++)
		assert_true(++filled[hash_bytes(span_of(&i, sizeof i), 7) % 256] <= 16);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(depends_on_every_byte_the_length_and_the_seed),
		cmocka_unit_test(spreads_neighbors),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
