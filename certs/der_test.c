#include "base/core/cleanup.h"
#include "certs/der.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
/* cmocka requires the three headers above */
#include <cmocka.h>

#define STRICT(literal) der_is_strict(SPAN_LITERAL(literal))

static void accepts_nested_elements(_unused_ void **state)
{
	assert_true(STRICT("\x05\x00"));
	assert_true(STRICT("\x30\x00"));
	assert_true(STRICT("\x30\x05\x30\x03\x02\x01\x01"));
}

static void refuses_empty_cut_and_trailing_bytes(_unused_ void **state)
{
	assert_false(STRICT(""));
	assert_false(STRICT("\x30"));
	assert_false(STRICT("\x30\x02\x05"));
	assert_false(STRICT("\x05\x00\x05\x00"));
}

static void refuses_indefinite_and_overlong_lengths_at_any_depth(_unused_ void **state)
{
	assert_false(STRICT("\x30\x80\x00\x00"));
	assert_false(STRICT("\x30\x81\x03\x02\x01\x01"));
	assert_false(STRICT("\x30\x06\x30\x81\x03\x02\x01\x01"));
	assert_false(STRICT("\x30\x04\x30\x80\x00\x00"));
}

static void refuses_an_element_longer_than_its_parent(_unused_ void **state)
{
	assert_false(STRICT("\x30\x03\x02\x02\x01"));
}

static void refuses_deep_nesting(_unused_ void **state)
{
	uint8_t bomb[2 * 60];
	for (size_t i = 0; i < 60; i++) {
		bomb[2 * i] = 0x30;
		bomb[2 * i + 1] = (uint8_t)(sizeof(bomb) - 2 * (i + 1));
	}
	assert_false(der_is_strict(span_of(bomb, sizeof(bomb))));
	assert_true(der_is_strict(span_of(bomb + 2 * 40, sizeof(bomb) - 2 * 40)));
}

static void takes_concatenated_elements_apart(_unused_ void **state)
{
	struct span rest = SPAN_LITERAL("\x30\x00\x02\x01\x05\x30"), one;
	assert_true(der_take_first(&rest, &one));
	assert_int_equal(one.len, 2);
	assert_true(der_take_first(&rest, &one));
	assert_true(span_eq(one, SPAN_LITERAL("\x02\x01\x05")));
	assert_false(der_take_first(&rest, &one));
	assert_int_equal(rest.len, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(accepts_nested_elements),
		cmocka_unit_test(refuses_empty_cut_and_trailing_bytes),
		cmocka_unit_test(refuses_indefinite_and_overlong_lengths_at_any_depth),
		cmocka_unit_test(refuses_an_element_longer_than_its_parent),
		cmocka_unit_test(refuses_deep_nesting),
		cmocka_unit_test(takes_concatenated_elements_apart),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
