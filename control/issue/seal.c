#include "control/issue/seal.h"
#include "base/core/check.h"
#include "base/core/mem.h"
#include <openssl/aead.h>
#include <openssl/digest.h>
#include <openssl/hkdf.h>
#include <openssl/rand.h>

#define KEY_LEN    32
#define NONCE_LEN  12
#define TAG_LEN    16
#define SECRET_MAX 16384

static const char label[] = "Handfast: sealed key of a root, version 1";

static enum err derive(const struct private_key *by, EVP_AEAD_CTX *out)
{
	_cleanup_(buf_wipe) struct buf secret = BUF_INIT(SECRET_MAX);
	uint8_t key[KEY_LEN];
	RETURN_IF_ERR(private_key_encode(by, &secret));
	bool is_derived = HKDF(key, sizeof key, EVP_sha256(), buf_span(&secret).ptr, buf_len(&secret), NULL, 0,
				  (const uint8_t *)label, sizeof label - 1) &&
			  EVP_AEAD_CTX_init(out, EVP_aead_aes_256_gcm(), key, sizeof key, TAG_LEN, NULL);
	mem_wipe(key, sizeof key);
	return is_derived ? ERR_NONE : ERR_CRYPTO;
}

enum err seal_make(const struct private_key *by, struct span context, struct span secret, struct buf *out_sealed)
{
	uint8_t nonce[NONCE_LEN], *place;
	size_t len = 0;
	_cleanup_(EVP_AEAD_CTX_cleanup) EVP_AEAD_CTX aead;
	EVP_AEAD_CTX_zero(&aead);
	RETURN_IF_ERR(derive(by, &aead));
	CHECK(RAND_bytes(nonce, sizeof nonce) == 1);
	RETURN_IF_ERR(buf_append(out_sealed, span_of(nonce, sizeof nonce)));
	RETURN_IF_ERR(buf_reserve(out_sealed, secret.len + TAG_LEN, &place));
	if (!EVP_AEAD_CTX_seal(&aead, place, &len, secret.len + TAG_LEN, nonce, sizeof nonce, secret.ptr, secret.len,
		    context.ptr, context.len))
		return ERR_CRYPTO;
	buf_commit(out_sealed, len);
	return ERR_NONE;
}

static enum err damaged(struct why *why)
{
	return why_set(why, ERR_STATE_DAMAGED, "a root key sealed by this mesh's bootstrap root",
		"restore the key folder and the store from one backup; nothing was overwritten",
		"the sealed key cannot be opened");
}

enum err seal_open(
	const struct private_key *by, struct span context, struct span sealed, struct buf *out_secret, struct why *why)
{
	uint8_t *place;
	size_t len = 0;
	_cleanup_(EVP_AEAD_CTX_cleanup) EVP_AEAD_CTX aead;
	EVP_AEAD_CTX_zero(&aead);
	if (sealed.len < NONCE_LEN + TAG_LEN)
		return damaged(why);
	RETURN_IF_ERR(derive(by, &aead));
	struct span body = span_from(sealed, NONCE_LEN);
	RETURN_IF_ERR(buf_reserve(out_secret, body.len, &place));
	if (!EVP_AEAD_CTX_open(
		    &aead, place, &len, body.len, sealed.ptr, NONCE_LEN, body.ptr, body.len, context.ptr, context.len))
		return damaged(why);
	buf_commit(out_secret, len);
	return ERR_NONE;
}
