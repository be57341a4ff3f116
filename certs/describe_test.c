#include "certs/describe.h"

#include "certs/digest.h"
#include "certs/test_mesh.h"
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

enum { NOW_S = 1767225600 };

static void describes_a_leaf_by_serial_times_and_hash(void **state)
{
	(void)state;
	_cleanup_(test_mesh_freep) struct test_mesh *mesh = test_mesh_new("td.test", NOW_S);
	_cleanup_(credentials_unrefp) struct credentials *credentials =
		test_mesh_credentials(mesh, "spiffe://td.test/a");
	const struct svid *svid = credentials_svid(credentials);
	struct cert_description description;
	char serial[42];
	assert_int_equal(cert_describe(svid_cert(svid, 0), &description, NULL), ERR_NONE);
	assert_string_equal(description.serial, describe_hex(svid_serial(svid), serial, sizeof(serial)));
	assert_int_equal(description.not_before_s, svid_not_before_s(svid));
	assert_int_equal(description.not_after_s, NOW_S + 3600);
	uint8_t hash[DIGEST_LEN];
	char digits[65];
	digest_sha256(svid_cert(svid, 0), hash); /* as openssl x509 -fingerprint -sha256 shows it */
	assert_string_equal(description.sha256, describe_hex(span_of(hash, sizeof hash), digits, sizeof digits));
}

static void refuses_bytes_that_are_not_a_certificate(void **state)
{
	(void)state;
	struct cert_description description;
	struct why why;
	assert_int_equal(cert_describe(SPAN_LITERAL("nonsense"), &description, &why), ERR_MALFORMED);
}

static void cuts_hexadecimal_at_whole_bytes(void **state)
{
	(void)state;
	char out[4];
	assert_string_equal(describe_hex(SPAN_LITERAL("\x00\xff"), out, sizeof(out)), "00");
	assert_string_equal(describe_hex(SPAN_LITERAL("\xa9"), out, sizeof(out)), "a9");
	assert_string_equal(describe_hex(SPAN_LITERAL("\xa9"), out, 1), "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(describes_a_leaf_by_serial_times_and_hash),
		cmocka_unit_test(refuses_bytes_that_are_not_a_certificate),
		cmocka_unit_test(cuts_hexadecimal_at_whole_bytes),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
