#include "certs/private_key.h"
#include "certs/web_key.h"
#include <openssl/bn.h>
#include <openssl/ec_key.h>
#include <openssl/ecdsa.h>
#include <openssl/nid.h>
#include <openssl/rsa.h>
#include <openssl/sha.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
/* cmocka requires the headers above */
#include <cmocka.h>

#define MESSAGE SPAN_LITERAL("header.claims")

struct numbers {
	uint8_t first[1024 + 1], second[32];
	size_t first_len, second_len;
};

static RSA *make_rsa(int bits, BN_ULONG exponent, struct numbers *out)
{
	RSA *rsa = RSA_new();
	BIGNUM *e = BN_new();
	assert_true(BN_set_word(e, exponent) && RSA_generate_key_ex(rsa, bits, e, NULL));
	out->first_len = BN_bn2bin(RSA_get0_n(rsa), out->first);
	out->second_len = BN_bn2bin(e, out->second);
	BN_free(e);
	return rsa;
}

static EC_KEY *make_p256(struct numbers *out)
{
	EC_KEY *ec = EC_KEY_new_by_curve_name(NID_X9_62_prime256v1);
	BIGNUM *x = BN_new(), *y = BN_new();
	assert_true(
		EC_KEY_generate_key(ec) &&
		EC_POINT_get_affine_coordinates_GFp(EC_KEY_get0_group(ec), EC_KEY_get0_public_key(ec), x, y, NULL) &&
		BN_bn2bin_padded(out->first, 32, x) && BN_bn2bin_padded(out->second, 32, y));
	out->first_len = out->second_len = 32;
	BN_free(x);
	BN_free(y);
	return ec;
}

static enum err from_rsa(const struct numbers *numbers, struct web_key **out)
{
	return web_key_from_rsa(
		span_of(numbers->first, numbers->first_len), span_of(numbers->second, numbers->second_len), out, NULL);
}

static void digest_of(struct span message, uint8_t out[SHA256_DIGEST_LENGTH])
{
	SHA256(message.ptr, message.len, out);
}

static void an_rsa_key_verifies_rs256(void **state)
{
	(void)state;
	struct numbers numbers = {0};
	_cleanup_(web_key_freep) struct web_key *key = NULL;
	uint8_t digest[SHA256_DIGEST_LENGTH], signature[256 + 1] = {0};
	unsigned len;
	RSA *rsa = make_rsa(2048, RSA_F4, &numbers);
	assert_int_equal(from_rsa(&numbers, &key), ERR_NONE);
	assert_int_equal(web_key_signature(key), WEB_SIGNATURE_RS256);
	digest_of(MESSAGE, digest);
	assert_true(RSA_sign(NID_sha256, digest, sizeof digest, signature, &len, rsa));
	RSA_free(rsa);
	assert_int_equal(web_key_verify(key, MESSAGE, span_of(signature, len), NULL), ERR_NONE);
	assert_int_equal(web_key_verify(key, SPAN_LITERAL("header.claimt"), span_of(signature, len), NULL), ERR_CRYPTO);
	assert_int_equal(web_key_verify(key, MESSAGE, span_of(signature, len - 1), NULL), ERR_CRYPTO);
	assert_int_equal(web_key_verify(key, MESSAGE, span_of(signature, len + 1), NULL), ERR_CRYPTO);
	assert_int_equal(web_key_verify(key, MESSAGE, span_of(NULL, 0), NULL), ERR_CRYPTO);
	signature[0] ^= 1;
	assert_int_equal(web_key_verify(key, MESSAGE, span_of(signature, len), NULL), ERR_CRYPTO);
}

static void a_p256_key_verifies_es256(void **state)
{
	(void)state;
	struct numbers numbers = {0};
	_cleanup_(web_key_freep) struct web_key *key = NULL;
	uint8_t digest[SHA256_DIGEST_LENGTH], signature[65] = {0};
	EC_KEY *ec = make_p256(&numbers);
	assert_int_equal(
		web_key_from_p256(span_of(numbers.first, 32), span_of(numbers.second, 32), &key, NULL), ERR_NONE);
	assert_int_equal(web_key_signature(key), WEB_SIGNATURE_ES256);
	digest_of(MESSAGE, digest);
	ECDSA_SIG *pair = ECDSA_do_sign(digest, sizeof digest, ec);
	assert_true(BN_bn2bin_padded(signature, 32, ECDSA_SIG_get0_r(pair)) &&
		    BN_bn2bin_padded(signature + 32, 32, ECDSA_SIG_get0_s(pair)));
	ECDSA_SIG_free(pair);
	EC_KEY_free(ec);
	assert_int_equal(web_key_verify(key, MESSAGE, span_of(signature, 64), NULL), ERR_NONE);
	assert_int_equal(web_key_verify(key, SPAN_LITERAL("x"), span_of(signature, 64), NULL), ERR_CRYPTO);
	assert_int_equal(web_key_verify(key, MESSAGE, span_of(signature, 65), NULL), ERR_CRYPTO);
	assert_int_equal(web_key_verify(key, MESSAGE, span_of(signature, 63), NULL), ERR_CRYPTO);
	memset(signature, 0, sizeof signature); /* r = s = 0 */
	assert_int_equal(web_key_verify(key, MESSAGE, span_of(signature, 64), NULL), ERR_CRYPTO);
	memset(signature, 0xff, sizeof signature); /* above the group's order */
	assert_int_equal(web_key_verify(key, MESSAGE, span_of(signature, 64), NULL), ERR_CRYPTO);
}

static void W17_refuses_weak_rsa_keys(void **state)
{
	(void)state;
	struct numbers numbers = {0};
	struct web_key *key = NULL;
	RSA_free(make_rsa(1024, RSA_F4, &numbers));
	assert_int_equal(from_rsa(&numbers, &key), ERR_WEAK_KEY);
	RSA_free(make_rsa(2048, 3, &numbers));
	assert_int_equal(from_rsa(&numbers, &key), ERR_WEAK_KEY);
	RSA_free(make_rsa(2048, RSA_F4, &numbers));
	numbers.second_len = 0; /* exponents 0, even, and of many bytes */
	assert_int_equal(from_rsa(&numbers, &key), ERR_WEAK_KEY);
	memcpy(numbers.second, "\x01\x00\x02", 3);
	numbers.second_len = 3;
	assert_int_equal(from_rsa(&numbers, &key), ERR_WEAK_KEY);
	memset(numbers.second, 0xff, 32);
	numbers.second_len = 5;
	assert_int_equal(from_rsa(&numbers, &key), ERR_WEAK_KEY);
	numbers.second_len = 32;
	assert_int_equal(from_rsa(&numbers, &key), ERR_WEAK_KEY);
	memcpy(numbers.second, "\x01\x00\x01", 3);
	numbers.second_len = 3;
	memset(numbers.first, 0xff, sizeof numbers.first);
	numbers.first_len = 1025;
	assert_int_equal(from_rsa(&numbers, &key), ERR_WEAK_KEY);
	numbers.first_len = 0;
	assert_int_equal(from_rsa(&numbers, &key), ERR_WEAK_KEY);
	memset(numbers.first, 0, sizeof numbers.first);
	numbers.first_len = 1025;
	assert_int_equal(from_rsa(&numbers, &key), ERR_WEAK_KEY);
	memset(numbers.first, 0xfe, 256); /* an even modulus */
	numbers.first_len = 256;
	assert_int_equal(from_rsa(&numbers, &key), ERR_WEAK_KEY);
	assert_null(key);
}

static void W17_refuses_a_point_that_is_not_on_its_curve(void **state)
{
	(void)state;
	struct numbers numbers = {0};
	struct web_key *key = NULL;
	EC_KEY_free(make_p256(&numbers));
	struct span x = span_of(numbers.first, 32), y = span_of(numbers.second, 32);
	numbers.first[31] ^= 1;
	assert_int_equal(web_key_from_p256(x, y, &key, NULL), ERR_WEAK_KEY);
	numbers.first[31] ^= 1;
	assert_int_equal(web_key_from_p256(span_of(x.ptr, 31), y, &key, NULL), ERR_WEAK_KEY);
	assert_int_equal(web_key_from_p256(x, span_of(NULL, 0), &key, NULL), ERR_WEAK_KEY);
	memset(numbers.first, 0xff, 32); /* above the field's prime */
	assert_int_equal(web_key_from_p256(x, y, &key, NULL), ERR_WEAK_KEY);
	assert_null(key);
}

static void a_p256_key_is_read_from_its_spki(void **state)
{
	(void)state;
	_cleanup_(private_key_unrefp) struct private_key *private = private_key_generate();
	_cleanup_(web_key_freep) struct web_key *key = NULL;
	_cleanup_(buf_done) struct buf spki = BUF_INIT(200);
	uint8_t signature[PRIVATE_KEY_ES256_LEN];
	struct span x, y;
	assert_int_equal(private_key_public(private, &spki), ERR_NONE);
	assert_int_equal(web_key_point_of_spki(buf_span(&spki), &x, &y, NULL), ERR_NONE);
	assert_int_equal(web_key_from_p256(x, y, &key, NULL), ERR_NONE);
	for (unsigned i = 0; i < 300; i++) { /* also with leading zeros in r and s */
		assert_int_equal(private_key_sign_es256(private, MESSAGE, signature), ERR_NONE);
		assert_int_equal(web_key_verify(key, MESSAGE, span_of(signature, sizeof(signature)), NULL), ERR_NONE);
	}
	char id[WEB_KEY_ID_LEN + 1];
	web_key_id_of_spki(SPAN_LITERAL("abc"), id); /* the example of FIPS 180-2 */
	assert_string_equal(id, "ungWv48Bz-pBQUDeXa4iI7ADYaOWF3qctBD_YfIAFa0");
	struct span cut = span_of(buf_span(&spki).ptr, buf_len(&spki) - 1);
	assert_int_equal(web_key_point_of_spki(cut, &x, &y, NULL), ERR_WEAK_KEY);
	spki.ptr[spki.start + 20] ^= 1; /* of the curve's name */
	assert_int_equal(web_key_point_of_spki(buf_span(&spki), &x, &y, NULL), ERR_WEAK_KEY);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_rsa_key_verifies_rs256),
		cmocka_unit_test(a_p256_key_verifies_es256),
		cmocka_unit_test(a_p256_key_is_read_from_its_spki),
		cmocka_unit_test(W17_refuses_weak_rsa_keys),
		cmocka_unit_test(W17_refuses_a_point_that_is_not_on_its_curve),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
