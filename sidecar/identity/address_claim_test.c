#include "sidecar/identity/address_claim.h"

#include "base/core/cleanup.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void an_unusable_family_is_tried_once_per_minute(void **state)
{
	(void)state;
	assert_int_equal(address_claim_wait_ms(ERR_UNREACHABLE, 1, 700), 60000);
	assert_int_equal(address_claim_wait_ms(ERR_NOT_FOUND, 1, 700), 60000);
	assert_int_equal(address_claim_wait_ms(ERR_TIMEOUT, 9, 700), 60000);
}

static void the_first_failures_are_retried_soon(void **state)
{
	(void)state;
	assert_int_equal(address_claim_wait_ms(ERR_CLOSED, 1, 700), 700);
	assert_int_equal(address_claim_wait_ms(ERR_REFUSED, 3, 700), 700);
}

static void a_longer_wait_of_redial_is_kept(void **state)
{
	(void)state;
	assert_int_equal(address_claim_wait_ms(ERR_UNREACHABLE, 1, 90000), 90000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_unusable_family_is_tried_once_per_minute),
		cmocka_unit_test(the_first_failures_are_retried_soon),
		cmocka_unit_test(a_longer_wait_of_redial_is_kept),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
