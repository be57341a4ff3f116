#include "intercept/preflight.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
/* cmocka requires the four headers above */
#include <cmocka.h>

#define NET_ADMIN 12

static bool has(const char *status)
{
	return preflight_status_has_capability(span_of_str(status), NET_ADMIN);
}

static void finds_the_capability_in_the_effective_set(_unused_ void **state)
{
	assert_true(has("Name:\tx\nCapPrm:\t0000000000000000\nCapEff:\t0000000000001000\nCapBnd:\t0000000000000000\n"));
	assert_true(has("Name:\tx\nCapEff:\t000001ffffffffff\n"));
}

static void does_not_find_it_in_any_other_set(_unused_ void **state)
{
	assert_false(
		has("Name:\tx\nCapPrm:\t0000000000001000\nCapEff:\t0000000000000000\nCapBnd:\t0000000000001000\n"));
}

static void does_not_find_it_in_a_truncated_text(_unused_ void **state)
{
	assert_false(has(""));
	assert_false(has("Name:\tx\nCapEff:\t0000000000001"));
	assert_false(has("Name:\tx\nCapEff:"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(finds_the_capability_in_the_effective_set),
		cmocka_unit_test(does_not_find_it_in_any_other_set),
		cmocka_unit_test(does_not_find_it_in_a_truncated_text),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
