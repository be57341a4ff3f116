#include "sidecar/identity/address_claim.h"

#include "base/core/cleanup.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void a_family_that_leads_nowhere_is_tried_once_a_minute(void **state)
{
	(void)state;
	assert_int_equal(address_claim_wait_ms(ERR_UNREACHABLE, 1, 700), 60000);
	assert_int_equal(address_claim_wait_ms(ERR_NOT_FOUND, 1, 700), 60000);
	assert_int_equal(address_claim_wait_ms(ERR_TIMEOUT, 9, 700), 60000);
}

static void a_first_failure_is_tried_again_soon(void **state)
{
	(void)state;
	assert_int_equal(address_claim_wait_ms(ERR_CLOSED, 1, 700), 700);
	assert_int_equal(address_claim_wait_ms(ERR_REFUSED, 3, 700), 700);
}

static void the_servers_longer_wish_stands(void **state)
{
	(void)state;
	assert_int_equal(address_claim_wait_ms(ERR_UNREACHABLE, 1, 90000), 90000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_family_that_leads_nowhere_is_tried_once_a_minute),
		cmocka_unit_test(a_first_failure_is_tried_again_soon),
		cmocka_unit_test(the_servers_longer_wish_stands),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
