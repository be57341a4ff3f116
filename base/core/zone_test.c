#include "base/core/zone.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void a_zone_is_the_same_in_every_release(void **state)
{
	(void)state;
	/* Published values of FNV-1a. */
	assert_int_equal(zone_of(SPAN_LITERAL("a")), 0xe40c292cU);
	assert_int_equal(zone_of(SPAN_LITERAL("foobar")), 0xbf9cf968U);
}

static void no_name_is_no_zone(void **state)
{
	(void)state;
	assert_int_equal(zone_of(SPAN_LITERAL("")), 0);
	assert_int_not_equal(zone_of(SPAN_LITERAL("eu-1a")), zone_of(SPAN_LITERAL("eu-1b")));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_zone_is_the_same_in_every_release),
		cmocka_unit_test(no_name_is_no_zone),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
