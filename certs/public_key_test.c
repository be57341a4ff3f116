#include "certs/boringssl.h"
#include "certs/public_key.h"
#include "certs/test_ca.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
/* cmocka requires the three headers above */
#include <cmocka.h>

static void spki_of(enum test_key_kind kind, struct buf *out)
{
	struct test_cert_spec spec = test_ca_spec("key");
	spec.key = kind;
	_cleanup_(test_cert_freep) struct test_cert *cert = test_cert_new(&spec, NULL);
	uint8_t *der = NULL;
	int der_len = i2d_PUBKEY(test_cert_get0_evp(cert), &der);
	assert_true(der_len > 0);
	assert_int_equal(buf_append(out, span_of(der, (size_t)der_len)), ERR_NONE);
	OPENSSL_free(der);
}

static enum err judge(enum test_key_kind kind)
{
	_cleanup_(buf_done) struct buf spki = BUF_INIT(4096);
	spki_of(kind, &spki);
	return public_key_check(buf_span(&spki), NULL);
}

static void W17_accepts_the_allowed_kinds(_unused_ void **state)
{
	assert_int_equal(judge(TEST_KEY_P256), ERR_NONE);
	assert_int_equal(judge(TEST_KEY_P384), ERR_NONE);
	assert_int_equal(judge(TEST_KEY_ED25519), ERR_NONE);
	assert_int_equal(judge(TEST_KEY_RSA_2048), ERR_NONE);
}

static void W17_refuses_other_curves_small_rsa_and_small_exponents(_unused_ void **state)
{
	assert_int_equal(judge(TEST_KEY_P224), ERR_WEAK_KEY);
	assert_int_equal(judge(TEST_KEY_P521), ERR_WEAK_KEY);
	assert_int_equal(judge(TEST_KEY_RSA_1024), ERR_WEAK_KEY);
	assert_int_equal(judge(TEST_KEY_RSA_E3), ERR_WEAK_KEY);
}

/* A SubjectPublicKeyInfo for an elliptic curve of this name. */
static enum err judge_curve(struct span curve_oid, const uint8_t *point, size_t point_len)
{
	uint8_t room[512];
	CBB cbb, spki, algorithm, oid, bits;
	static const uint8_t ec_public_key[] = {0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01};
	CBB_init_fixed(&cbb, room, sizeof(room));
	assert_true(
		CBB_add_asn1(&cbb, &spki, CBS_ASN1_SEQUENCE) && CBB_add_asn1(&spki, &algorithm, CBS_ASN1_SEQUENCE) &&
		CBB_add_asn1(&algorithm, &oid, CBS_ASN1_OBJECT) &&
		CBB_add_bytes(&oid, ec_public_key, sizeof(ec_public_key)) &&
		CBB_add_asn1(&algorithm, &oid, CBS_ASN1_OBJECT) && CBB_add_bytes(&oid, curve_oid.ptr, curve_oid.len) &&
		CBB_add_asn1(&spki, &bits, CBS_ASN1_BITSTRING) && CBB_add_u8(&bits, 0) &&
		CBB_add_bytes(&bits, point, point_len) && CBB_flush(&cbb));
	return public_key_check(span_of(CBB_data(&cbb), CBB_len(&cbb)), NULL);
}

static void W17_refuses_secp256k1_and_p192(_unused_ void **state)
{
	uint8_t point[65] = {4, 1, 2, 3};
	assert_int_equal(judge_curve(SPAN_LITERAL("\x2b\x81\x04\x00\x0a"), point, 65), ERR_WEAK_KEY);
	assert_int_equal(judge_curve(SPAN_LITERAL("\x2a\x86\x48\xce\x3d\x03\x01\x01"), point, 49), ERR_WEAK_KEY);
}

static void W17_refuses_a_point_that_is_not_on_its_curve(_unused_ void **state)
{
	uint8_t point[65] = {4, 1, 2, 3}, infinity[1] = {0};
	struct span p256 = SPAN_LITERAL("\x2a\x86\x48\xce\x3d\x03\x01\x07");
	assert_int_not_equal(judge_curve(p256, point, sizeof(point)), ERR_NONE);
	assert_int_not_equal(judge_curve(p256, infinity, sizeof(infinity)), ERR_NONE);
}

/* 16,384 bits: refused by its size before any computation. */
static void W17_refuses_a_huge_rsa_key_without_computing(_unused_ void **state)
{
	static const uint8_t identifier[] = {
		0x30, 0x0d, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01, 0x05, 0x00};
	uint8_t room[4096], modulus[2048];
	memset(modulus, 0x7f, sizeof(modulus));
	CBB cbb, spki, bits, key, number;
	CBB_init_fixed(&cbb, room, sizeof(room));
	assert_true(CBB_add_asn1(&cbb, &spki, CBS_ASN1_SEQUENCE) &&
		    CBB_add_bytes(&spki, identifier, sizeof(identifier)) &&
		    CBB_add_asn1(&spki, &bits, CBS_ASN1_BITSTRING) && CBB_add_u8(&bits, 0) &&
		    CBB_add_asn1(&bits, &key, CBS_ASN1_SEQUENCE) && CBB_add_asn1(&key, &number, CBS_ASN1_INTEGER) &&
		    CBB_add_bytes(&number, modulus, sizeof(modulus)) && CBB_add_asn1_uint64(&key, 65537) &&
		    CBB_flush(&cbb));
	assert_int_equal(public_key_check(span_of(CBB_data(&cbb), CBB_len(&cbb)), NULL), ERR_WEAK_KEY);
}

static void refuses_cut_and_trailing_bytes(_unused_ void **state)
{
	_cleanup_(buf_done) struct buf spki = BUF_INIT(4096);
	spki_of(TEST_KEY_P256, &spki);
	struct span whole = buf_span(&spki);
	for (size_t len = 0; len < whole.len; len++)
		assert_int_equal(public_key_check(span_of(whole.ptr, len), NULL), ERR_MALFORMED);
	assert_int_equal(buf_append_str(&spki, "x"), ERR_NONE);
	assert_int_equal(public_key_check(buf_span(&spki), NULL), ERR_MALFORMED);
}

/* Finding L13: the same key with a compressed point would have another hash. */
static void finding_l13_refuses_a_point_in_compressed_form(_unused_ void **state)
{
	struct test_cert_spec spec = test_ca_spec("key");
	_cleanup_(test_cert_freep) struct test_cert *cert = test_cert_new(&spec, NULL);
	EC_KEY *key = EVP_PKEY_get0_EC_KEY(test_cert_get0_evp(cert));
	uint8_t point[65];
	size_t len = EC_POINT_point2oct(EC_KEY_get0_group(key), EC_KEY_get0_public_key(key),
		POINT_CONVERSION_COMPRESSED, point, sizeof(point), NULL);
	assert_int_equal(len, 33);
	assert_int_equal(judge_curve(SPAN_LITERAL("\x2a\x86\x48\xce\x3d\x03\x01\x07"), point, len), ERR_MALFORMED);
	len = EC_POINT_point2oct(EC_KEY_get0_group(key), EC_KEY_get0_public_key(key), POINT_CONVERSION_UNCOMPRESSED,
		point, sizeof(point), NULL);
	assert_int_equal(judge_curve(SPAN_LITERAL("\x2a\x86\x48\xce\x3d\x03\x01\x07"), point, len), ERR_NONE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(W17_accepts_the_allowed_kinds),
		cmocka_unit_test(W17_refuses_other_curves_small_rsa_and_small_exponents),
		cmocka_unit_test(W17_refuses_secp256k1_and_p192),
		cmocka_unit_test(W17_refuses_a_point_that_is_not_on_its_curve),
		cmocka_unit_test(W17_refuses_a_huge_rsa_key_without_computing),
		cmocka_unit_test(finding_l13_refuses_a_point_in_compressed_form),
		cmocka_unit_test(refuses_cut_and_trailing_bytes),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
