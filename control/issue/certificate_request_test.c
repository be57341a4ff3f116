#include "certs/csr.h"
#include "control/issue/certificate_request.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
/* cmocka requires the four above */
#include <cmocka.h>

static bool has(struct span der, const char *bytes, size_t len)
{
	return memmem(der.ptr, der.len, bytes, len) != NULL;
}

/* RFC 2986; the extensions as RFC 5280 4.2.1 encodes them. */
static void asks_for_an_authority_of_the_trust_domain(_unused_ void **state)
{
	static const char constraints[] = "\x06\x03\x55\x1d\x13\x01\x01\xff\x04\x08\x30\x06\x01\x01\xff\x02\x01";
	static const char usage[] = "\x06\x03\x55\x1d\x0f\x01\x01\xff\x04\x04\x03\x02\x01\x06";
	static const char name[] = "\x06\x03\x55\x1d\x11\x04\x14\x30\x12\x86\x10spiffe://td.test";
	_cleanup_(private_key_unrefp) struct private_key *key = private_key_generate();
	_cleanup_(buf_done) struct buf der = BUF_INIT(2048), spki = BUF_INIT(256), own = BUF_INIT(256);
	assert_int_equal(certificate_request_make(key, "td.test", &der, NULL), ERR_NONE);
	assert_int_equal(csr_parse(buf_span(&der), &spki, NULL), ERR_NONE);
	assert_int_equal(private_key_public(key, &own), ERR_NONE);
	assert_true(span_eq(buf_span(&spki), buf_span(&own)));
	assert_true(has(buf_span(&der), constraints, sizeof constraints - 1));
	assert_true(has(buf_span(&der), usage, sizeof usage - 1));
	assert_true(has(buf_span(&der), name, sizeof name - 1));
}

static void two_keys_have_two_subjects(_unused_ void **state)
{
	_cleanup_(private_key_unrefp) struct private_key *key = private_key_generate(), *other = private_key_generate();
	_cleanup_(buf_done) struct buf der = BUF_INIT(2048), other_der = BUF_INIT(2048);
	assert_int_equal(certificate_request_make(key, "td", &der, NULL), ERR_NONE);
	assert_int_equal(certificate_request_make(other, "td", &other_der, NULL), ERR_NONE);
	const uint8_t *name = memmem(buf_span(&der).ptr, buf_len(&der), "intermediate ", 13);
	assert_non_null(name);
	assert_null(memmem(buf_span(&other_der).ptr, buf_len(&other_der), name, 25));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(asks_for_an_authority_of_the_trust_domain),
		cmocka_unit_test(two_keys_have_two_subjects),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
