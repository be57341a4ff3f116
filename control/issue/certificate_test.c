#include "certs/svid.h"
#include "control/issue/certificate.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
/* cmocka requires the four above */
#include <cmocka.h>

static void make(struct certificate_spec spec, const struct private_key *subject, struct buf *out)
{
	_cleanup_(buf_done) struct buf spki = BUF_INIT(1024);
	assert_int_equal(private_key_public(subject, &spki), ERR_NONE);
	spec.spki = buf_span(&spki);
	struct why why = {0};
	assert_int_equal(certificate_make(&spec, out, &why), ERR_NONE);
}

/* W15: whatever the request had, these are the bytes of the extensions, and there are no others. */
static void W15_makes_a_leaf_that_is_an_svid(_unused_ void **state)
{
	_cleanup_(private_key_unrefp) struct private_key *ca = private_key_generate();
	_cleanup_(private_key_unrefp) struct private_key *key = private_key_generate();
	_cleanup_(buf_done) struct buf root = BUF_INIT(CERTIFICATE_MAX);
	_cleanup_(buf_done) struct buf leaf = BUF_INIT(CERTIFICATE_MAX);
	make((struct certificate_spec){.kind = CERTIFICATE_ROOT,
		     .name = "root",
		     .not_before_s = 1700000000,
		     .not_after_s = 2700000000,
		     .issuer_key = ca},
		ca, &root);
	make((struct certificate_spec){.kind = CERTIFICATE_LEAF,
		     .uri = SPAN_LITERAL("spiffe://td/ns/a"),
		     .not_before_s = 1700000000,
		     .not_after_s = 1800000000,
		     .issuer = buf_span(&root),
		     .issuer_key = ca},
		key, &leaf);
	struct span chain = buf_span(&leaf);
	struct why why = {0};
	_cleanup_(svid_unrefp) struct svid *svid = NULL;
	assert_int_equal(svid_parse(&chain, 1, &svid, &why), ERR_NONE);
	assert_true(span_eq(spiffe_id_text(svid_id(svid)), SPAN_LITERAL("spiffe://td/ns/a")));
	assert_int_equal(svid_not_after_s(svid), 1800000000);
	assert_int_equal(svid_serial(svid).len, 16);
	static const char constraints[] = "\x30\x0c\x06\x03\x55\x1d\x13\x01\x01\xff\x04\x02\x30\x00";
	static const char usage[] = "\x30\x0e\x06\x03\x55\x1d\x0f\x01\x01\xff\x04\x04\x03\x02\x07\x80";
	static const char san[] = "\x06\x03\x55\x1d\x11\x01\x01\xff\x04\x14\x30\x12\x86\x10spiffe://td/ns/a";
	assert_non_null(memmem(chain.ptr, chain.len, constraints, sizeof constraints - 1));
	assert_non_null(memmem(chain.ptr, chain.len, usage, sizeof usage - 1));
	assert_non_null(memmem(chain.ptr, chain.len, san, sizeof san - 1));
}

static void checks_the_key_and_the_signature_of_a_certificate(_unused_ void **state)
{
	_cleanup_(private_key_unrefp) struct private_key *ca = private_key_generate();
	_cleanup_(private_key_unrefp) struct private_key *other = private_key_generate();
	_cleanup_(buf_done) struct buf root = BUF_INIT(CERTIFICATE_MAX);
	_cleanup_(buf_done) struct buf foreign = BUF_INIT(CERTIFICATE_MAX);
	struct certificate_spec spec = {.kind = CERTIFICATE_ROOT,
		.name = "root",
		.not_before_s = 1700000000,
		.not_after_s = 2700000000,
		.issuer_key = ca};
	make(spec, ca, &root);
	spec.issuer_key = other;
	make(spec, other, &foreign);
	assert_int_equal(certificate_matches(buf_span(&root), ca), ERR_NONE);
	assert_int_equal(certificate_matches(buf_span(&root), other), ERR_KEY_MISMATCH);
	assert_int_equal(certificate_is_signed_by(buf_span(&root), buf_span(&root)), ERR_NONE);
	assert_int_equal(certificate_is_signed_by(buf_span(&root), buf_span(&foreign)), ERR_UNTRUSTED);
	int64_t from, to;
	assert_int_equal(certificate_validity(SPAN_LITERAL("no certificate"), &from, &to), ERR_MALFORMED);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(W15_makes_a_leaf_that_is_an_svid),
		cmocka_unit_test(checks_the_key_and_the_signature_of_a_certificate),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
