#include "control/kube/test_token.h"
#include "base/core/base64url.h"
#include "base/core/check.h"
#include "base/core/mem.h"
#include <openssl/bn.h>
#include <openssl/ec_key.h>
#include <openssl/ecdsa.h>
#include <openssl/nid.h>
#include <openssl/rsa.h>
#include <openssl/sha.h>

#define TEST_ABOUT                                                                                                     \
	"{\"namespace\":\"shop\",\"node\":{\"name\":\"node-1\"},\"pod\":{\"name\":\"cart-1\",\"uid\":\"" TEST_UID      \
	"\"},\"serviceaccount\":{\"name\":\"cart\",\"uid\":\"95b1bedc-d1ad-4c52-bd31-2585f826315c\"}}"

struct test_signer {
	const char *kid;
	RSA *rsa;
	EC_KEY *ec;
};

struct test_claims test_claims(void)
{
	return (struct test_claims){.issuer = TEST_ISSUER,
		.audience = "[\"handfast\"]",
		.subject = "system:serviceaccount:shop:cart",
		.about = TEST_ABOUT,
		.expires_s = TEST_NOW_S + 3600,
		.not_before_s = TEST_NOW_S,
		.issued_s = TEST_NOW_S};
}

struct test_signer *test_signer_new(const char *kid, enum web_signature alg, unsigned rsa_bits)
{
	struct test_signer *signer = mem_new(struct test_signer);
	signer->kid = kid;
	if (alg == WEB_SIGNATURE_RS256) {
		BIGNUM *exponent = BN_new();
		signer->rsa = RSA_new();
		CHECK(BN_set_word(exponent, RSA_F4) && RSA_generate_key_ex(signer->rsa, (int)rsa_bits, exponent, NULL));
		BN_free(exponent);
	} else {
		signer->ec = EC_KEY_new_by_curve_name(NID_X9_62_prime256v1);
		CHECK(EC_KEY_generate_key(signer->ec));
	}
	return signer;
}

void test_signer_free(struct test_signer *signer)
{
	RSA_free(signer->rsa);
	EC_KEY_free(signer->ec);
	mem_free(signer);
}

char *test_base64url(struct span bytes)
{
	_cleanup_(buf_done) struct buf text = BUF_INIT(65536);
	CHECK(base64url_encode(bytes, &text) == ERR_NONE);
	return mem_strdup(buf_cstr(&text));
}

static char *number_text(const BIGNUM *number, size_t len)
{
	uint8_t bytes[1024];
	CHECK(len <= sizeof bytes && BN_bn2bin_padded(bytes, len, number));
	return test_base64url(span_of(bytes, len));
}

char *test_signer_row(const struct test_signer *signer)
{
	_cleanup_(mem_freep) char *first = NULL, *second = NULL;
	if (signer->rsa != NULL) {
		first = number_text(RSA_get0_n(signer->rsa), RSA_size(signer->rsa));
		second = number_text(RSA_get0_e(signer->rsa), 3);
		return mem_printf(
			"{\"use\":\"sig\",\"kty\":\"RSA\",\"kid\":\"%s\",\"alg\":\"RS256\",\"n\":\"%s\",\"e\":\"%s\"}",
			signer->kid, first, second);
	}
	BIGNUM *x = BN_new(), *y = BN_new();
	CHECK(EC_POINT_get_affine_coordinates_GFp(
		EC_KEY_get0_group(signer->ec), EC_KEY_get0_public_key(signer->ec), x, y, NULL));
	first = number_text(x, 32);
	second = number_text(y, 32);
	BN_free(x);
	BN_free(y);
	return mem_printf("{\"use\":\"sig\",\"kty\":\"EC\",\"crv\":\"P-256\",\"kid\":\"%s\",\"alg\":\"ES256\",\"x\":\"%"
			  "s\",\"y\":\"%s\"}",
		signer->kid, first, second);
}

char *test_signer_set(const struct test_signer *signer)
{
	_cleanup_(mem_freep) char *row = test_signer_row(signer);
	return mem_printf("{\"keys\":[%s]}", row);
}

char *test_signer_header(const struct test_signer *signer)
{
	return mem_printf("{\"alg\":\"%s\",\"kid\":\"%s\"}", signer->rsa != NULL ? "RS256" : "ES256", signer->kid);
}

static void append_text(struct buf *out, const char *name, const char *value, const char *quote)
{
	if (value != NULL)
		CHECK(buf_printf(out, "%s\"%s\":%s%s%s", buf_len(out) > 1 ? "," : "", name, quote, value, quote) ==
			ERR_NONE);
}

static void append_time(struct buf *out, const char *name, long long value)
{
	_cleanup_(mem_freep) char *text = mem_printf("%lld", value);
	append_text(out, name, value == 0 ? NULL : text, "");
}

char *test_claims_json(const struct test_claims *claims)
{
	_cleanup_(buf_done) struct buf out = BUF_INIT(65536);
	CHECK(buf_append_str(&out, "{") == ERR_NONE);
	append_text(&out, "iss", claims->issuer, "\"");
	append_text(&out, "sub", claims->subject, "\"");
	append_text(&out, "aud", claims->audience, "");
	append_text(&out, "kubernetes.io", claims->about, "");
	append_time(&out, "exp", claims->expires_s);
	append_time(&out, "nbf", claims->not_before_s);
	append_time(&out, "iat", claims->issued_s);
	CHECK(buf_append_str(&out, "}") == ERR_NONE);
	return mem_strdup(buf_cstr(&out));
}

static size_t sign(const struct test_signer *signer, const char *text, uint8_t out[1024])
{
	uint8_t digest[SHA256_DIGEST_LENGTH];
	unsigned len = 0;
	SHA256((const uint8_t *)text, strlen(text), digest);
	if (signer->rsa != NULL) {
		CHECK(RSA_sign(NID_sha256, digest, sizeof digest, out, &len, signer->rsa));
		return len;
	}
	ECDSA_SIG *pair = ECDSA_do_sign(digest, sizeof digest, signer->ec);
	CHECK(pair != NULL && BN_bn2bin_padded(out, 32, ECDSA_SIG_get0_r(pair)) &&
		BN_bn2bin_padded(out + 32, 32, ECDSA_SIG_get0_s(pair)));
	ECDSA_SIG_free(pair);
	return 64;
}

char *test_signer_sign(const struct test_signer *signer, const char *header, const char *claims)
{
	_cleanup_(mem_freep) char *first = test_base64url(span_of_str(header));
	_cleanup_(mem_freep) char *second = test_base64url(span_of_str(claims));
	_cleanup_(mem_freep) char *both = mem_printf("%s.%s", first, second);
	uint8_t signature[1024];
	size_t len = sign(signer, both, signature);
	_cleanup_(mem_freep) char *third = test_base64url(span_of(signature, len));
	return mem_printf("%s.%s", both, third);
}

char *test_signer_token(const struct test_signer *signer, const struct test_claims *claims)
{
	_cleanup_(mem_freep) char *header = test_signer_header(signer);
	_cleanup_(mem_freep) char *json = test_claims_json(claims);
	return test_signer_sign(signer, header, json);
}
