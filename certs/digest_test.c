#include "certs/digest.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka requires the headers above */
#include <cmocka.h>

static void hashes_the_test_vector_of_fips_180(void **state)
{
	static const uint8_t abc[DIGEST_LEN] = {0xba, 0x78, 0x16, 0xbf, 0x8f, 0x01, 0xcf, 0xea, 0x41, 0x41, 0x40, 0xde,
		0x5d, 0xae, 0x22, 0x23, 0xb0, 0x03, 0x61, 0xa3, 0x96, 0x17, 0x7a, 0x9c, 0xb4, 0x10, 0xff, 0x61, 0xf2,
		0x00, 0x15, 0xad};
	uint8_t got[DIGEST_LEN];
	(void)state;
	digest_sha256(SPAN_LITERAL("abc"), got);
	assert_memory_equal(got, abc, DIGEST_LEN);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(hashes_the_test_vector_of_fips_180)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
