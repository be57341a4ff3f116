#include "certs/web_key.h"
#include "base/core/base64url.h"
#include "base/core/check.h"
#include "base/core/mem.h"
#include "certs/boringssl.h"
#include "certs/digest.h"

#define KEY_EXPECTED "an RSA key of 2048 to 8192 bits with an exponent of 65537 or more, or a P-256 key"
#define KEY_FIX      "sign tokens with a key of an allowed kind"

enum { EXPONENT_MAX = 8 };

struct web_key { /* one of the two */
	RSA *rsa;
	EC_KEY *p256;
};

DEFINE_CLEANUP(RSA *, RSA_free)
DEFINE_CLEANUP(BIGNUM *, BN_free)
DEFINE_CLEANUP(ECDSA_SIG *, ECDSA_SIG_free)

void web_key_free(struct web_key *key)
{
	if (key == NULL)
		return;
	RSA_free(key->rsa);
	EC_KEY_free(key->p256);
	mem_free(key);
}

static enum err weak(struct why *why, const char *got, unsigned number)
{
	ERR_clear_error();
	return why_set(why, ERR_WEAK_KEY, KEY_EXPECTED, KEY_FIX, "%s %u", got, number);
}

static struct span without_leading_zeros(struct span number)
{
	while (number.len > 0 && number.ptr[0] == 0)
		number = span_from(number, 1);
	return number;
}

static BIGNUM *number_of(struct span bytes)
{
	BIGNUM *number = BN_bin2bn(bytes.ptr, bytes.len, NULL);
	CHECK(number != NULL); /* fails only without memory */
	return number;
}

/* The sizes are checked on bytes, before BoringSSL computes with them. */
enum err web_key_from_rsa(struct span modulus, struct span exponent, struct web_key **out, struct why *why)
{
	modulus = without_leading_zeros(modulus);
	exponent = without_leading_zeros(exponent);
	if (modulus.len > WEB_KEY_RSA_BITS_MAX / 8 || modulus.len < WEB_KEY_RSA_BITS_MIN / 8)
		return weak(why, "the RSA key has another size; its bytes:", (unsigned)modulus.len);
	if (exponent.len > EXPONENT_MAX)
		return weak(why, "the RSA key has a long exponent; its bytes:", (unsigned)exponent.len);
	_cleanup_(RSA_freep) RSA *rsa = RSA_new();
	CHECK(rsa != NULL && RSA_set0_key(rsa, number_of(modulus), number_of(exponent), NULL));
	unsigned bits = RSA_bits(rsa);
	if (bits < WEB_KEY_RSA_BITS_MIN)
		return weak(why, "the RSA key has another size; its bits:", bits);
	BN_ULONG value = BN_get_word(RSA_get0_e(rsa));
	if (value < RSA_F4 || value >> 33 != 0 || value % 2 == 0)
		return weak(why, "the RSA key's exponent is", (unsigned)value);
	if (!RSA_check_key(rsa))
		return weak(why, "the RSA key is not valid; its bits:", bits);
	struct web_key *key = mem_new(struct web_key);
	key->rsa = TAKE_PTR(rsa);
	*out = key;
	return ERR_NONE;
}

enum err web_key_from_p256(struct span x, struct span y, struct web_key **out, struct why *why)
{
	if (x.len != WEB_KEY_P256_LEN || y.len != WEB_KEY_P256_LEN) /* RFC 7518 6.2.1.2: always the full length */
		return weak(
			why, "the point's coordinates have another length; their bytes:", (unsigned)(x.len + y.len));
	_cleanup_(EC_KEY_freep) EC_KEY *ec = EC_KEY_new_by_curve_name(NID_X9_62_prime256v1);
	_cleanup_(BN_freep) BIGNUM *number_x = number_of(x);
	_cleanup_(BN_freep) BIGNUM *number_y = number_of(y);
	CHECK(ec != NULL);
	if (!EC_KEY_set_public_key_affine_coordinates(ec, number_x, number_y)) {
		ERR_clear_error();
		return why_set(why, ERR_WEAK_KEY, KEY_EXPECTED, KEY_FIX, "the key's point is not on its curve");
	}
	struct web_key *key = mem_new(struct web_key);
	key->p256 = TAKE_PTR(ec);
	*out = key;
	return ERR_NONE;
}

/* SEQUENCE { SEQUENCE { id-ecPublicKey, prime256v1 }, BIT STRING { 0 unused bits, 4: uncompressed (RFC 5480) */
static const struct span spki_head = SPAN_LITERAL("\x30\x59\x30\x13\x06\x07\x2a\x86\x48\xce\x3d\x02\x01\x06\x08\x2a"
						  "\x86\x48\xce\x3d\x03\x01\x07\x03\x42\x00\x04");

void web_key_p256_spki(const uint8_t point[2 * WEB_KEY_P256_LEN], uint8_t out[WEB_KEY_P256_SPKI_LEN])
{
	memcpy(out, spki_head.ptr, spki_head.len);
	memcpy(out + spki_head.len, point, 2 * WEB_KEY_P256_LEN);
}

enum err web_key_point_of_spki(struct span spki, struct span *out_x, struct span *out_y, struct why *why)
{
	const struct span head = spki_head;
	if (spki.len != WEB_KEY_P256_SPKI_LEN || !span_starts_with(spki, head))
		return why_set(why, ERR_WEAK_KEY, KEY_EXPECTED, KEY_FIX, "the public key is not a P-256 key");
	*out_x = span_of(spki.ptr + head.len, WEB_KEY_P256_LEN);
	*out_y = span_of(spki.ptr + head.len + WEB_KEY_P256_LEN, WEB_KEY_P256_LEN);
	return ERR_NONE;
}

void web_key_id_of_spki(struct span spki, char out[WEB_KEY_ID_LEN + 1])
{
	_cleanup_(buf_done) struct buf text = BUF_INIT(WEB_KEY_ID_LEN);
	uint8_t hash[DIGEST_LEN];
	digest_sha256(spki, hash);
	CHECK(base64url_encode(span_of(hash, sizeof(hash)), &text) == ERR_NONE && buf_len(&text) == WEB_KEY_ID_LEN);
	memcpy(out, buf_cstr(&text), WEB_KEY_ID_LEN + 1);
}

enum web_signature web_key_signature(const struct web_key *key)
{
	return key->rsa != NULL ? WEB_SIGNATURE_RS256 : WEB_SIGNATURE_ES256;
}

static bool verify_rsa(RSA *rsa, const uint8_t digest[SHA256_DIGEST_LENGTH], struct span signature)
{
	return signature.len == RSA_size(rsa) &&
	       RSA_verify(NID_sha256, digest, SHA256_DIGEST_LENGTH, signature.ptr, signature.len, rsa) == 1;
}

static bool verify_p256(const EC_KEY *ec, const uint8_t digest[SHA256_DIGEST_LENGTH], struct span signature)
{
	if (signature.len != 2 * WEB_KEY_P256_LEN)
		return false;
	_cleanup_(ECDSA_SIG_freep) ECDSA_SIG *pair = ECDSA_SIG_new();
	CHECK(pair != NULL && ECDSA_SIG_set0(pair, number_of(span_of(signature.ptr, WEB_KEY_P256_LEN)),
				      number_of(span_from(signature, WEB_KEY_P256_LEN))));
	return ECDSA_do_verify(digest, SHA256_DIGEST_LENGTH, pair, ec) == 1;
}

enum err web_key_verify(const struct web_key *key, struct span message, struct span signature, struct why *why)
{
	uint8_t digest[SHA256_DIGEST_LENGTH];
	CHECK((key->rsa != NULL) != (key->p256 != NULL));
	SHA256(message.ptr, message.len, digest);
	bool matches =
		key->rsa != NULL ? verify_rsa(key->rsa, digest, signature) : verify_p256(key->p256, digest, signature);
	ERR_clear_error();
	if (!matches)
		return why_set(why, ERR_CRYPTO, "a signature by this key over these bytes",
			"use the token as it was issued, unchanged", "the token's signature does not verify");
	return ERR_NONE;
}
