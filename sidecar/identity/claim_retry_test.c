#include "sidecar/identity/claim_retry.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void finding_i5_a_refused_claim_is_repeated_with_backoff(void **state)
{
	struct claim_retry retry;
	(void)state;
	claim_retry_init(&retry, NULL);
	uint32_t last_ms = 0;
	for (int i = 0; i < 10; i++) {
		uint32_t wait_ms = claim_retry_wait_ms(&retry, 0, UINT32_MAX);
		assert_true(wait_ms >= last_ms && wait_ms <= 60000);
		last_ms = wait_ms;
	}
	assert_true(last_ms > 59000);
	claim_retry_held(&retry);
	assert_true(claim_retry_wait_ms(&retry, 0, UINT32_MAX) <= 2000);
}

static void finding_i5_a_claim_is_not_repeated_before_retry_after(void **state)
{
	struct claim_retry retry;
	(void)state;
	claim_retry_init(&retry, NULL);
	assert_int_equal(claim_retry_wait_ms(&retry, 30000, 0), 30000);
	assert_int_equal(claim_retry_wait_ms(&retry, UINT32_MAX, 0), 60000); /* the maximum */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(finding_i5_a_refused_claim_is_repeated_with_backoff),
		cmocka_unit_test(finding_i5_a_claim_is_not_repeated_before_retry_after),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
