#include "base/core/cleanup.h"
#include "base/core/span.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka requires the four headers above */
#include <cmocka.h>

static void compares_bytes_and_lengths(_unused_ void **state)
{
	struct span abc = SPAN_LITERAL("abc");
	assert_true(span_eq(abc, span_of_str("abc")));
	assert_false(span_eq(abc, SPAN_LITERAL("abd")));
	assert_false(span_eq(abc, SPAN_LITERAL("abcd")));
	assert_true(span_eq(span_of(NULL, 0), SPAN_LITERAL("")));
	assert_true(span_starts_with(abc, SPAN_LITERAL("ab")));
	assert_true(span_starts_with(abc, span_of(NULL, 0)));
	assert_false(span_starts_with(abc, SPAN_LITERAL("abcd")));
	assert_true(span_eq(span_from(abc, 3), SPAN_LITERAL("")));
}

static void finds_any_one_different_bit_in_constant_time(_unused_ void **state)
{
	uint8_t a[33], b[33];
	memset(a, 0x5a, sizeof a);
	memset(b, 0x5a, sizeof b);
	assert_true(span_eq_constant_time(span_of(a, sizeof a), span_of(b, sizeof b)));
	for (unsigned bit = 0; bit < sizeof a * 8; bit++) {
		b[bit / 8] ^= (uint8_t)(1u << (bit % 8));
		assert_false(span_eq_constant_time(span_of(a, sizeof a), span_of(b, sizeof b)));
		b[bit / 8] ^= (uint8_t)(1u << (bit % 8));
	}
	assert_false(span_eq_constant_time(span_of(a, 32), span_of(b, 33)));
	assert_true(span_eq_constant_time(span_of(NULL, 0), span_of(NULL, 0)));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(compares_bytes_and_lengths),
		cmocka_unit_test(finds_any_one_different_bit_in_constant_time),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
