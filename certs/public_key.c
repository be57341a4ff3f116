#include "certs/public_key.h"
#include "certs/boringssl.h"
#include "certs/der.h"

#define SPKI_MAX 1024 /* RSA 4096 takes 550 bytes */

#define KEY_EXPECTED "a P-256, P-384, Ed25519 or RSA key (2048 to 4096 bits, exponent 65537 or more)"
#define KEY_FIX      "issue a new certificate for a P-256 key"

static enum err weak(struct why *why, const char *got, unsigned number)
{
	return why_set(why, ERR_WEAK_KEY, KEY_EXPECTED, KEY_FIX, "%s %u", got, number);
}

static enum err check_ec(const EC_KEY *key, struct why *why)
{
	int curve = EC_GROUP_get_curve_name(EC_KEY_get0_group(key));
	if (curve != NID_X9_62_prime256v1 && curve != NID_secp384r1)
		return weak(why,
			"the key is on another elliptic curve; its bits:", EC_GROUP_get_degree(EC_KEY_get0_group(key)));
	if (!EC_KEY_check_key(key)) {
		ERR_clear_error();
		return why_set(why, ERR_WEAK_KEY, KEY_EXPECTED, KEY_FIX, "the key's point is not on its curve");
	}
	return ERR_NONE;
}

static enum err check_rsa(const RSA *key, struct why *why)
{
	unsigned bits = RSA_bits(key);
	if (bits < RSA_BITS_MIN || bits > RSA_BITS_MAX)
		return weak(why, "the RSA key has another size; its bits:", bits);
	BN_ULONG exponent = BN_get_word(RSA_get0_e(key)); /* BN_MASK2 when it does not fit */
	if (exponent < RSA_F4)
		return weak(why, "the RSA key's exponent is", (unsigned)exponent);
	return ERR_NONE;
}

enum err public_key_check_evp(EVP_PKEY *key, struct why *why)
{
	if (key == NULL)
		return why_set(why, ERR_WEAK_KEY, KEY_EXPECTED, KEY_FIX, "the key is of another kind");
	switch (EVP_PKEY_id(key)) {
	case EVP_PKEY_EC:
		return check_ec(EVP_PKEY_get0_EC_KEY(key), why);
	case EVP_PKEY_RSA:
		return check_rsa(EVP_PKEY_get0_RSA(key), why);
	case EVP_PKEY_ED25519:
		return ERR_NONE;
	}
	return why_set(why, ERR_WEAK_KEY, KEY_EXPECTED, KEY_FIX, "the key is of another kind");
}

/* A well-formed SubjectPublicKeyInfo with an unsupported algorithm is ERR_WEAK_KEY, not ERR_MALFORMED. */
static enum err refuse_unparsed(struct span spki_der, struct why *why)
{
	CBS in, spki, algorithm, oid, bits;
	CBS_init(&in, spki_der.ptr, spki_der.len);
	if (CBS_get_asn1(&in, &spki, CBS_ASN1_SEQUENCE) && CBS_len(&in) == 0 &&
		CBS_get_asn1(&spki, &algorithm, CBS_ASN1_SEQUENCE) && CBS_get_asn1(&algorithm, &oid, CBS_ASN1_OBJECT) &&
		CBS_get_asn1(&spki, &bits, CBS_ASN1_BITSTRING) && CBS_len(&spki) == 0)
		return public_key_check_evp(NULL, why);
	return why_set(why, ERR_MALFORMED, "a SubjectPublicKeyInfo in DER", KEY_FIX,
		"the key does not parse (%zu bytes)", spki_der.len);
}

/* One encoding per key: a compressed elliptic curve point would give the same key another hash, so a banned or consumed
 * key could pass as a new one. */
static bool is_canonical(const EVP_PKEY *key, struct span spki_der)
{
	CBB out;
	uint8_t *der = NULL;
	size_t len = 0;
	bool is_encoded =
		CBB_init(&out, spki_der.len) && EVP_marshal_public_key(&out, key) && CBB_finish(&out, &der, &len);
	if (!is_encoded)
		CBB_cleanup(&out);
	bool is_same = is_encoded && span_eq(span_of(der, len), spki_der);
	OPENSSL_free(der);
	ERR_clear_error();
	return is_same;
}

enum err public_key_parse(struct span spki_der, EVP_PKEY **out, struct why *why)
{
	if (spki_der.len > SPKI_MAX)
		return why_set(why, ERR_WEAK_KEY, KEY_EXPECTED, KEY_FIX, "the key has %zu bytes", spki_der.len);
	CBS in;
	CBS_init(&in, spki_der.ptr, spki_der.len);
	_cleanup_(EVP_PKEY_freep) EVP_PKEY *key = EVP_parse_public_key(&in);
	ERR_clear_error();
	if (key == NULL || CBS_len(&in) != 0 || !der_is_strict(spki_der))
		return refuse_unparsed(spki_der, why);
	RETURN_IF_ERR(public_key_check_evp(key, why));
	if (!is_canonical(key, spki_der))
		return why_set(why, ERR_MALFORMED, "a public key with an uncompressed point (RFC 5480 2.2)",
			"encode the key without point compression", "the key is not in its canonical encoding");
	*out = TAKE_PTR(key);
	return ERR_NONE;
}

enum err public_key_check(struct span spki_der, struct why *why)
{
	_cleanup_(EVP_PKEY_freep) EVP_PKEY *key = NULL;
	return public_key_parse(spki_der, &key, why);
}

enum err public_key_verify(struct span spki_der, struct span message, struct span signature, struct why *why)
{
	_cleanup_(EVP_PKEY_freep) EVP_PKEY *key = NULL;
	RETURN_IF_ERR(public_key_parse(spki_der, &key, why));
	const EVP_MD *digest = EVP_PKEY_id(key) == EVP_PKEY_ED25519 ? NULL : EVP_sha256();
	EVP_MD_CTX context;
	EVP_MD_CTX_init(&context);
	bool matches = EVP_DigestVerifyInit(&context, NULL, digest, NULL, key) &&
		       EVP_DigestVerify(&context, signature.ptr, signature.len, message.ptr, message.len);
	EVP_MD_CTX_cleanup(&context);
	ERR_clear_error();
	if (!matches)
		return why_set(why, ERR_CRYPTO, "a signature by this key over these bytes",
			"sign with the private key of this public key", "the signature does not verify");
	return ERR_NONE;
}
