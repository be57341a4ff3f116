#include "certs/boringssl.h"
#include "certs/csr.h"
#include "certs/test_ca.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
/* cmocka requires the three headers above */
#include <cmocka.h>

static void encode(const struct private_key *key, struct buf *out)
{
	assert_int_equal(csr_encode(key, out), ERR_NONE);
}

static void returns_the_requested_key(_unused_ void **state)
{
	_cleanup_(private_key_unrefp) struct private_key *key = private_key_generate();
	_cleanup_(buf_done) struct buf der = BUF_INIT(1024), requested = BUF_INIT(256), got = BUF_INIT(256);
	encode(key, &der);
	assert_int_equal(private_key_public(key, &requested), ERR_NONE);
	assert_int_equal(csr_parse(buf_span(&der), &got, NULL), ERR_NONE);
	assert_true(span_eq(buf_span(&requested), buf_span(&got)));
}

static void writes_requests_that_boringssl_parses(_unused_ void **state)
{
	_cleanup_(private_key_unrefp) struct private_key *key = private_key_generate();
	_cleanup_(buf_done) struct buf der = BUF_INIT(1024);
	encode(key, &der);
	const uint8_t *at = buf_span(&der).ptr;
	X509_REQ *request = d2i_X509_REQ(NULL, &at, (long)buf_len(&der));
	assert_non_null(request);
	assert_int_equal(X509_REQ_verify(request, private_key_get0_evp(key)), 1);
	X509_REQ_free(request);
}

static void has_the_uri_in_a_critical_san(_unused_ void **state)
{
	static const char id[] = "spiffe://td.test/ns/shop/sa/cart";
	char longest[CSR_URI_MAX];
	_cleanup_(private_key_unrefp) struct private_key *key = private_key_generate();
	_cleanup_(buf_done) struct buf der = BUF_INIT(CSR_MAX), spki = BUF_INIT(256);
	assert_int_equal(csr_encode_with_uri(key, span_of_str(id), &der), ERR_NONE);
	const uint8_t *at = buf_span(&der).ptr;
	X509_REQ *request = d2i_X509_REQ(NULL, &at, (long)buf_len(&der));
	assert_non_null(request);
	assert_int_equal(X509_REQ_verify(request, private_key_get0_evp(key)), 1);
	STACK_OF(X509_EXTENSION) *extensions = X509_REQ_get_extensions(request);
	assert_int_equal(sk_X509_EXTENSION_num(extensions), 1);
	X509_EXTENSION *extension = sk_X509_EXTENSION_value(extensions, 0);
	assert_true(X509_EXTENSION_get_critical(extension));
	GENERAL_NAMES *names = X509V3_EXT_d2i(extension);
	assert_int_equal(sk_GENERAL_NAME_num(names), 1);
	const ASN1_IA5STRING *uri = sk_GENERAL_NAME_value(names, 0)->d.uniformResourceIdentifier;
	assert_int_equal(ASN1_STRING_length(uri), strlen(id));
	assert_memory_equal(ASN1_STRING_get0_data(uri), id, strlen(id));
	GENERAL_NAMES_free(names);
	sk_X509_EXTENSION_pop_free(extensions, X509_EXTENSION_free);
	X509_REQ_free(request);
	memset(longest, 'a', sizeof longest);
	buf_clear(&der);
	assert_int_equal(csr_encode_with_uri(key, span_of(longest, sizeof longest), &der), ERR_NONE);
	assert_int_equal(csr_parse(buf_span(&der), &spki, NULL), ERR_NONE);
}

/* A request as another program could make it, with a name, SANs and a CA flag. */
static void foreign_request(EVP_PKEY *key, const EVP_MD *digest, struct buf *out)
{
	X509_REQ *request = X509_REQ_new();
	X509_NAME *name = X509_NAME_new();
	STACK_OF(X509_EXTENSION) *extensions = sk_X509_EXTENSION_new_null();
	X509_EXTENSION *san = X509V3_EXT_nconf_nid(NULL, NULL, NID_subject_alt_name,
		"URI:spiffe://td.test/admin,URI:spiffe://td.test/b,DNS:evil,email:a@b,IP:1.2.3.4");
	X509_EXTENSION *ca = X509V3_EXT_nconf_nid(NULL, NULL, NID_basic_constraints, "critical,CA:TRUE");
	assert_true(san != NULL && ca != NULL);
	assert_true(sk_X509_EXTENSION_push(extensions, san) && sk_X509_EXTENSION_push(extensions, ca));
	assert_true(X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_UTF8, (const uint8_t *)"admin", -1, -1, 0));
	assert_true(X509_REQ_set_subject_name(request, name) && X509_REQ_set_pubkey(request, key));
	assert_true(X509_REQ_add_extensions(request, extensions));
	assert_true(X509_REQ_sign(request, key, digest) > 0);
	uint8_t *der = NULL;
	int der_len = i2d_X509_REQ(request, &der);
	assert_true(der_len > 0);
	assert_int_equal(buf_append(out, span_of(der, (size_t)der_len)), ERR_NONE);
	OPENSSL_free(der);
	sk_X509_EXTENSION_pop_free(extensions, X509_EXTENSION_free);
	X509_NAME_free(name);
	X509_REQ_free(request);
}

/* The requested names and extensions are ignored: only the key is used. */
static void W14_W15_ignores_every_name_and_extension_in_the_request(_unused_ void **state)
{
	_cleanup_(private_key_unrefp) struct private_key *key = private_key_generate();
	_cleanup_(buf_done) struct buf der = BUF_INIT(4096), requested = BUF_INIT(256), got = BUF_INIT(256);
	foreign_request(private_key_get0_evp(key), EVP_sha256(), &der);
	assert_int_equal(private_key_public(key, &requested), ERR_NONE);
	assert_int_equal(csr_parse(buf_span(&der), &got, NULL), ERR_NONE);
	assert_true(span_eq(buf_span(&requested), buf_span(&got)));
}

static void accepts_requests_with_other_allowed_keys(_unused_ void **state)
{
	static const enum test_key_kind kinds[] = {TEST_KEY_P384, TEST_KEY_ED25519, TEST_KEY_RSA_2048};
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		struct test_cert_spec spec = test_ca_spec("key");
		spec.key = kinds[i];
		_cleanup_(test_cert_freep) struct test_cert *cert = test_cert_new(&spec, NULL);
		_cleanup_(buf_done) struct buf der = BUF_INIT(4096), got = BUF_INIT(1024);
		foreign_request(test_cert_get0_evp(cert), kinds[i] == TEST_KEY_ED25519 ? NULL : EVP_sha256(), &der);
		assert_int_equal(csr_parse(buf_span(&der), &got, NULL), ERR_NONE);
	}
}

static void W17_refuses_a_request_for_a_weak_key(_unused_ void **state)
{
	static const enum test_key_kind kinds[] = {TEST_KEY_P224, TEST_KEY_P521, TEST_KEY_RSA_1024, TEST_KEY_RSA_E3};
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		struct test_cert_spec spec = test_ca_spec("key");
		spec.key = kinds[i];
		_cleanup_(test_cert_freep) struct test_cert *cert = test_cert_new(&spec, NULL);
		_cleanup_(buf_done) struct buf der = BUF_INIT(4096), got = BUF_INIT(1024);
		foreign_request(test_cert_get0_evp(cert), EVP_sha256(), &der);
		assert_int_equal(csr_parse(buf_span(&der), &got, NULL), ERR_WEAK_KEY);
		assert_int_equal(buf_len(&got), 0);
	}
}

static void W16_refuses_a_signature_by_another_hash(_unused_ void **state)
{
	_cleanup_(private_key_unrefp) struct private_key *key = private_key_generate();
	_cleanup_(buf_done) struct buf der = BUF_INIT(4096), got = BUF_INIT(256);
	foreign_request(private_key_get0_evp(key), EVP_sha1(), &der);
	assert_int_equal(csr_parse(buf_span(&der), &got, NULL), ERR_UNSUPPORTED);
}

static void W16_refuses_every_flipped_bit(_unused_ void **state)
{
	_cleanup_(private_key_unrefp) struct private_key *key = private_key_generate();
	_cleanup_(buf_done) struct buf der = BUF_INIT(1024), got = BUF_INIT(256);
	encode(key, &der);
	uint8_t copy[1024];
	size_t len = buf_len(&der);
	memcpy(copy, buf_span(&der).ptr, len);
	for (size_t i = 0; i < len; i++) {
		for (unsigned bit = 0; bit < 8; bit++) {
			copy[i] ^= (uint8_t)(1U << bit);
			assert_int_not_equal(csr_parse(span_of(copy, len), &got, NULL), ERR_NONE);
			copy[i] ^= (uint8_t)(1U << bit);
		}
	}
	assert_int_equal(buf_len(&got), 0);
}

static void W16_refuses_empty_cut_trailing_and_huge_requests(_unused_ void **state)
{
	static const uint8_t huge[1024 * 1024] = {0x30, 0x83, 0x0f, 0xff, 0xfb};
	_cleanup_(private_key_unrefp) struct private_key *key = private_key_generate();
	_cleanup_(buf_done) struct buf der = BUF_INIT(1024), got = BUF_INIT(256);
	encode(key, &der);
	struct span whole = buf_span(&der);
	for (size_t len = 0; len < whole.len; len++)
		assert_int_equal(csr_parse(span_of(whole.ptr, len), &got, NULL), ERR_MALFORMED);
	assert_int_equal(buf_append_str(&der, "x"), ERR_NONE);
	assert_int_equal(csr_parse(buf_span(&der), &got, NULL), ERR_MALFORMED);
	struct why why = {0};
	assert_int_equal(csr_parse(span_of(huge, sizeof(huge)), &got, &why), ERR_TOO_LARGE);
	assert_int_equal(why.err, ERR_TOO_LARGE);
}

/* The request with the outer length in BER's long or indefinite form. */
static void W16_refuses_ber(_unused_ void **state)
{
	_cleanup_(private_key_unrefp) struct private_key *key = private_key_generate();
	_cleanup_(buf_done) struct buf der = BUF_INIT(1024), got = BUF_INIT(256);
	encode(key, &der);
	struct span whole = buf_span(&der);
	assert_int_equal(whole.ptr[1], 0x81); /* one byte of length */
	uint8_t overlong[1024] = {0x30, 0x82, 0x00, whole.ptr[2]};
	memcpy(overlong + 4, whole.ptr + 3, whole.len - 3);
	assert_int_equal(csr_parse(span_of(overlong, whole.len + 1), &got, NULL), ERR_MALFORMED);
	uint8_t indefinite[1024] = {0x30, 0x80};
	memcpy(indefinite + 2, whole.ptr + 3, whole.len - 3);
	assert_int_equal(csr_parse(span_of(indefinite, whole.len + 1), &got, NULL), ERR_MALFORMED);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(returns_the_requested_key),
		cmocka_unit_test(writes_requests_that_boringssl_parses),
		cmocka_unit_test(has_the_uri_in_a_critical_san),
		cmocka_unit_test(W14_W15_ignores_every_name_and_extension_in_the_request),
		cmocka_unit_test(accepts_requests_with_other_allowed_keys),
		cmocka_unit_test(W17_refuses_a_request_for_a_weak_key),
		cmocka_unit_test(W16_refuses_a_signature_by_another_hash),
		cmocka_unit_test(W16_refuses_every_flipped_bit),
		cmocka_unit_test(W16_refuses_empty_cut_trailing_and_huge_requests),
		cmocka_unit_test(W16_refuses_ber),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
