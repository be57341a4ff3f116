#include "certs/private_key.h"
#include "base/core/check.h"
#include "base/core/mem.h"
#include "certs/boringssl.h"
#include "certs/der.h"
#include <stdatomic.h>

#define PKCS8_MAX          512 /* P-256 takes 138 bytes */
#define P256_SIGNATURE_MAX 72

/* The scalar is part of BoringSSL's object; its allocator wipes all memory that it frees. */
struct private_key {
	atomic_uint refs;
	EVP_PKEY *evp;
};

struct private_key *private_key_adopt_evp(EVP_PKEY *evp)
{
	CHECK(evp != NULL);
	struct private_key *key = mem_new(struct private_key);
	atomic_init(&key->refs, 1);
	key->evp = evp;
	return key;
}

struct private_key *private_key_generate(void)
{
	_cleanup_(EC_KEY_freep) EC_KEY *ec = EC_KEY_new_by_curve_name(NID_X9_62_prime256v1);
	CHECK(ec != NULL && EC_KEY_generate_key(ec)); /* fails only without memory or entropy */
	EVP_PKEY *evp = EVP_PKEY_new();
	CHECK(evp != NULL && EVP_PKEY_set1_EC_KEY(evp, ec));
	return private_key_adopt_evp(evp);
}

struct private_key *private_key_ref(struct private_key *key)
{
	unsigned before = atomic_fetch_add_explicit(&key->refs, 1, memory_order_relaxed);
	CHECK(before > 0 && before < UINT32_MAX);
	return key;
}

void private_key_unref(struct private_key *key)
{
	if (key == NULL)
		return;
	unsigned before = atomic_fetch_sub_explicit(&key->refs, 1, memory_order_acq_rel);
	CHECK(before > 0);
	if (before > 1)
		return;
	EVP_PKEY_free(key->evp);
	mem_wipe(key, sizeof(*key));
	mem_free(key);
}

static bool is_sound_p256(const EVP_PKEY *evp)
{
	if (EVP_PKEY_id(evp) != EVP_PKEY_EC)
		return false;
	const EC_KEY *ec = EVP_PKEY_get0_EC_KEY(evp);
	return EC_GROUP_get_curve_name(EC_KEY_get0_group(ec)) == NID_X9_62_prime256v1 && EC_KEY_check_key(ec);
}

enum err private_key_parse(struct span pkcs8_der, struct private_key **out, struct why *why)
{
	static const char expected[] = "a P-256 private key, PKCS#8 in DER";
	static const char fix[] = "make a new P-256 key";
	if (pkcs8_der.len > PKCS8_MAX)
		return why_set(why, ERR_TOO_LARGE, expected, fix, "the private key has %zu bytes", pkcs8_der.len);
	CBS in;
	CBS_init(&in, pkcs8_der.ptr, pkcs8_der.len);
	_cleanup_(EVP_PKEY_freep) EVP_PKEY *evp = EVP_parse_private_key(&in);
	ERR_clear_error();
	if (evp == NULL || CBS_len(&in) != 0 || !der_is_strict(pkcs8_der))
		return why_set(
			why, ERR_MALFORMED, expected, fix, "the private key does not parse (%zu bytes)", pkcs8_der.len);
	if (!is_sound_p256(evp)) {
		ERR_clear_error();
		return why_set(why, ERR_WEAK_KEY, expected, fix, "the private key is of another kind");
	}
	*out = private_key_adopt_evp(TAKE_PTR(evp));
	return ERR_NONE;
}

/* Copies the content of `cbb` into *out and wipes the original. */
static enum err append_cbb(CBB *cbb, struct buf *out)
{
	uint8_t *der = NULL;
	size_t der_len = 0;
	CHECK(CBB_finish(cbb, &der, &der_len));
	enum err err = buf_append(out, span_of(der, der_len));
	OPENSSL_free(der); /* wipes */
	return err;
}

enum err private_key_encode(const struct private_key *key, struct buf *out_pkcs8_der)
{
	CBB cbb;
	CHECK(CBB_init(&cbb, PKCS8_MAX) && EVP_marshal_private_key(&cbb, key->evp));
	return append_cbb(&cbb, out_pkcs8_der);
}

enum err private_key_public(const struct private_key *key, struct buf *out_spki_der)
{
	CBB cbb;
	CHECK(CBB_init(&cbb, 128) && EVP_marshal_public_key(&cbb, key->evp));
	return append_cbb(&cbb, out_spki_der);
}

enum err private_key_sign(const struct private_key *key, struct span message, struct buf *out_signature)
{
	uint8_t digest[SHA256_DIGEST_LENGTH];
	uint8_t signature[P256_SIGNATURE_MAX];
	unsigned signature_len = sizeof(signature);
	const EC_KEY *ec = EVP_PKEY_get0_EC_KEY(key->evp);
	CHECK(ECDSA_size(ec) <= sizeof(signature));
	SHA256(message.ptr, message.len, digest);
	if (!ECDSA_sign(0, digest, sizeof(digest), signature, &signature_len, ec)) {
		ERR_clear_error();
		return ERR_CRYPTO;
	}
	return buf_append(out_signature, span_of(signature, signature_len));
}

DEFINE_CLEANUP(ECDSA_SIG *, ECDSA_SIG_free)

enum err private_key_sign_es256(const struct private_key *key, struct span message, uint8_t out[PRIVATE_KEY_ES256_LEN])
{
	const size_t half = PRIVATE_KEY_ES256_LEN / 2;
	uint8_t digest[SHA256_DIGEST_LENGTH];
	const BIGNUM *r, *s;
	SHA256(message.ptr, message.len, digest);
	_cleanup_(ECDSA_SIG_freep) ECDSA_SIG *pair =
		ECDSA_do_sign(digest, sizeof(digest), EVP_PKEY_get0_EC_KEY(key->evp));
	if (pair == NULL) {
		ERR_clear_error();
		return ERR_CRYPTO;
	}
	ECDSA_SIG_get0(pair, &r, &s);
	CHECK(BN_bn2bin_padded(out, half, r) && BN_bn2bin_padded(out + half, half, s));
	return ERR_NONE;
}

EVP_PKEY *private_key_get0_evp(const struct private_key *key)
{
	return key->evp;
}
