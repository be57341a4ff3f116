#include "control/issue/passphrase.h"
#include "base/core/check.h"
#include "base/core/mem.h"
#include <openssl/aead.h>
#include <openssl/evp.h>
#include <openssl/rand.h>

enum { MAGIC_LEN = sizeof PASSPHRASE_KEYS - 1, SALT_LEN = 16, NONCE_LEN = 12, TAG_LEN = 16, KEY_LEN = 32 };
enum { HEAD_LEN = MAGIC_LEN + SALT_LEN, SCRYPT_N = 1 << 16, SCRYPT_R = 8, SCRYPT_P = 1, SCRYPT_MEMORY = 128 << 20 };

static enum err check_length(struct span passphrase, struct why *why)
{
	if (passphrase.len >= PASSPHRASE_MIN && passphrase.len <= PASSPHRASE_MAX)
		return ERR_NONE;
	return why_set(why, ERR_CONFIG, "a passphrase of 12 to 1024 bytes",
		"make one: `openssl rand -base64 24 > FILE`", "the passphrase has %zu bytes", passphrase.len);
}

static enum err derive(struct span passphrase, const uint8_t *salt, EVP_AEAD_CTX *out)
{
	uint8_t key[KEY_LEN];
	bool is_derived = EVP_PBE_scrypt((const char *)passphrase.ptr, passphrase.len, salt, SALT_LEN, SCRYPT_N,
				  SCRYPT_R, SCRYPT_P, SCRYPT_MEMORY, key, sizeof key) == 1 &&
			  EVP_AEAD_CTX_init(out, EVP_aead_aes_256_gcm(), key, sizeof key, TAG_LEN, NULL) == 1;
	mem_wipe(key, sizeof key);
	return is_derived ? ERR_NONE : ERR_CRYPTO;
}

enum err passphrase_seal(
	const char *kind, struct span passphrase, struct span secret, struct buf *out_sealed, struct why *why)
{
	uint8_t head[HEAD_LEN], nonce[NONCE_LEN], *place;
	size_t len = 0;
	_cleanup_(EVP_AEAD_CTX_cleanup) EVP_AEAD_CTX aead;
	EVP_AEAD_CTX_zero(&aead);
	RETURN_IF_ERR(check_length(passphrase, why));
	CHECK(strlen(kind) == MAGIC_LEN);
	memcpy(head, kind, MAGIC_LEN);
	CHECK(RAND_bytes(head + MAGIC_LEN, SALT_LEN) == 1 && RAND_bytes(nonce, sizeof nonce) == 1);
	RETURN_IF_ERR(derive(passphrase, head + MAGIC_LEN, &aead));
	RETURN_IF_ERR(buf_append(out_sealed, span_of(head, sizeof head)));
	RETURN_IF_ERR(buf_append(out_sealed, span_of(nonce, sizeof nonce)));
	RETURN_IF_ERR(buf_reserve(out_sealed, secret.len + TAG_LEN, &place));
	if (!EVP_AEAD_CTX_seal(&aead, place, &len, secret.len + TAG_LEN, nonce, sizeof nonce, secret.ptr, secret.len,
		    head, sizeof head))
		return ERR_CRYPTO;
	buf_commit(out_sealed, len);
	return ERR_NONE;
}

enum err passphrase_open(
	const char *kind, struct span passphrase, struct span sealed, struct buf *out_secret, struct why *why)
{
	uint8_t *place;
	size_t len = 0;
	_cleanup_(EVP_AEAD_CTX_cleanup) EVP_AEAD_CTX aead;
	EVP_AEAD_CTX_zero(&aead);
	RETURN_IF_ERR(check_length(passphrase, why));
	if (sealed.len < HEAD_LEN + NONCE_LEN + TAG_LEN || !span_starts_with(sealed, span_of_str(kind)))
		return why_set(why, ERR_MALFORMED, "a file that `handfast-control keys export` or `backup` wrote",
			"name that file; keys export is for keys import, backup for restore; a mesh's keys in PEM are "
			"copied instead",
			"the file does not begin as such a file");
	RETURN_IF_ERR(derive(passphrase, sealed.ptr + MAGIC_LEN, &aead));
	struct span body = span_from(sealed, HEAD_LEN + NONCE_LEN);
	RETURN_IF_ERR(buf_reserve(out_secret, body.len, &place));
	if (!EVP_AEAD_CTX_open(&aead, place, &len, body.len, sealed.ptr + HEAD_LEN, NONCE_LEN, body.ptr, body.len,
		    sealed.ptr, HEAD_LEN))
		return why_set(why, ERR_DENIED, "the passphrase that the file was made with",
			"give that passphrase, or make the file again",
			"the file cannot be opened: another passphrase, or it was changed");
	buf_commit(out_secret, len);
	return ERR_NONE;
}
