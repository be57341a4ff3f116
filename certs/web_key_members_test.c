#include "base/core/mem.h"
#include "certs/test_ca.h"
#include "certs/web_key_members.h"
#include <setjmp.h>
#include <stdarg.h>
/* cmocka requires the two above */
#include <cmocka.h>

static void shows_the_numbers_of_each_kind_of_key(void **state)
{
	(void)state;
	static const struct {
		enum test_key_kind kind;
		const char *kty, *crv;
		size_t first, second;
	} rows[] = {{TEST_KEY_P256, "EC", "P-256", 32, 32}, {TEST_KEY_P384, "EC", "P-384", 48, 48},
		{TEST_KEY_RSA_2048, "RSA", NULL, 256, 3}, {TEST_KEY_ED25519, "OKP", "Ed25519", 32, 0}};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct test_cert_spec spec = test_ca_spec("spiffe://td.test");
		spec.key = rows[i].kind;
		struct test_cert *cert = test_cert_new(&spec, NULL);
		_cleanup_(web_key_members_done) struct web_key_members members = {0};
		assert_int_equal(web_key_members_of(test_cert_der(cert), &members, NULL), ERR_NONE);
		assert_string_equal(members.kty, rows[i].kty);
		assert_true(rows[i].crv == NULL ? members.crv == NULL : strcmp(members.crv, rows[i].crv) == 0);
		assert_int_equal(buf_len(&members.first), rows[i].first);
		assert_int_equal(buf_len(&members.second), rows[i].second);
		test_cert_free(cert);
	}
}

static void refuses_what_is_no_certificate_or_has_a_weak_key(void **state)
{
	(void)state;
	struct web_key_members members = {0};
	struct test_cert_spec spec = test_ca_spec("spiffe://td.test");
	spec.key = TEST_KEY_P521;
	struct test_cert *weak = test_cert_new(&spec, NULL);
	assert_int_equal(web_key_members_of(SPAN_LITERAL("x"), &members, NULL), ERR_MALFORMED);
	assert_int_equal(web_key_members_of(test_cert_der(weak), &members, NULL), ERR_WEAK_KEY);
	test_cert_free(weak);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(shows_the_numbers_of_each_kind_of_key),
		cmocka_unit_test(refuses_what_is_no_certificate_or_has_a_weak_key),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
