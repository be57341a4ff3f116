#include "certs/web_identity.h"
#include "base/core/check.h"
#include "base/core/mem.h"
#include "certs/boringssl.h"
#include "certs/cert.h"
#include "certs/pem.h"
#include <stdatomic.h>
#include <stdio.h>

#define SIGNATURE_MAX 1024 /* of RSA with 8192 bits */
#define KEY_FIX       "write the private key in PEM without a passphrase"

struct web_identity {
	atomic_uint refs;
	size_t num_chain;
	CRYPTO_BUFFER *chain[WEB_IDENTITY_CHAIN_MAX];
	EVP_PKEY *key;
};

static enum err take_cert(struct web_identity *identity, struct span der, struct why *why)
{
	char which[32];
	if (identity->num_chain == WEB_IDENTITY_CHAIN_MAX)
		return why_set(why, ERR_TOO_LARGE, "at most 8 certificates", "leave out what is not in the chain",
			"the certificate chain is longer");
	snprintf(which, sizeof(which), "certificate %zu of the chain", identity->num_chain + 1);
	RETURN_IF_ERR(cert_buffer_new(der, which, &identity->chain[identity->num_chain], why));
	identity->num_chain++;
	return ERR_NONE;
}

static enum err check_pair(const struct web_identity *identity, struct why *why)
{
	static const char fix[] = "give the certificate chain, leaf first, and the leaf's own key";
	if (identity->num_chain == 0)
		return why_set(why, ERR_NO_CERTIFICATE, "a certificate", fix, "there is no certificate");
	_cleanup_(X509_freep) X509 *leaf = X509_parse_from_buffer(identity->chain[0]);
	_cleanup_(EVP_PKEY_freep) EVP_PKEY *public = leaf != NULL ? X509_get_pubkey(leaf) : NULL;
	bool is_pair = public != NULL && EVP_PKEY_cmp(public, identity->key) == 1;
	ERR_clear_error();
	if (public == NULL)
		return why_set(why, ERR_MALFORMED, "an X.509 certificate", fix, "the first certificate does not parse");
	if (!is_pair)
		return why_set(why, ERR_KEY_MISMATCH, "the private key of the first certificate", fix,
			"the private key and the first certificate do not match");
	return ERR_NONE;
}

static struct web_identity *new_empty(void)
{
	struct web_identity *identity = mem_new(struct web_identity);
	atomic_init(&identity->refs, 1);
	return identity;
}

enum err web_identity_new(
	const struct span *chain, size_t num_chain, struct private_key *key, struct web_identity **out, struct why *why)
{
	_cleanup_(web_identity_unrefp) struct web_identity *identity = new_empty();
	for (size_t i = 0; i < num_chain; i++)
		RETURN_IF_ERR(take_cert(identity, chain[i], why));
	identity->key = private_key_get0_evp(key);
	EVP_PKEY_up_ref(identity->key);
	RETURN_IF_ERR(check_pair(identity, why));
	*out = TAKE_PTR(identity);
	return ERR_NONE;
}

static enum err take_chain(struct web_identity *identity, struct span pem, struct why *why)
{
	_cleanup_(pem_block_done) struct pem_block block = {0};
	enum err err;
	while ((err = pem_next(&pem, &block)) == ERR_NONE)
		if (strcmp(block.label, "CERTIFICATE") == 0)
			RETURN_IF_ERR(take_cert(identity, span_of(block.der, block.der_len), why));
	if (err != ERR_NOT_FOUND)
		return why_set(
			why, err, "certificates in PEM", "write the file again", "the certificate chain is not PEM");
	return ERR_NONE;
}

static EVP_PKEY *parse_key(const struct pem_block *block)
{
	const uint8_t *at = block->der;
	EVP_PKEY *key = d2i_AutoPrivateKey(NULL, &at, (long)block->der_len);
	ERR_clear_error();
	return key;
}

static enum err take_key(struct web_identity *identity, struct span pem, struct why *why)
{
	static const char expected[] = "a private key in PEM: PKCS#8, PKCS#1 or SEC 1";
	_cleanup_(pem_block_done) struct pem_block block = {0};
	const char suffix[] = "PRIVATE KEY";
	while (pem_next(&pem, &block) == ERR_NONE) {
		size_t len = strlen(block.label);
		if (len < strlen(suffix) || strcmp(block.label + len - strlen(suffix), suffix) != 0)
			continue; /* EC PARAMETERS, or the chain in the same file */
		if (block.is_encrypted || strcmp(block.label, "ENCRYPTED PRIVATE KEY") == 0)
			return why_set(why, ERR_UNSUPPORTED, expected, KEY_FIX, "the private key is encrypted");
		identity->key = parse_key(&block);
		if (identity->key == NULL)
			return why_set(why, ERR_MALFORMED, expected, KEY_FIX, "the private key does not parse");
		return ERR_NONE;
	}
	return why_set(why, ERR_MALFORMED, expected, KEY_FIX, "there is no private key");
}

enum err web_identity_parse(struct span chain_pem, struct span key_pem, struct web_identity **out, struct why *why)
{
	_cleanup_(web_identity_unrefp) struct web_identity *identity = new_empty();
	RETURN_IF_ERR(take_chain(identity, chain_pem, why));
	RETURN_IF_ERR(take_key(identity, key_pem, why));
	RETURN_IF_ERR(check_pair(identity, why));
	*out = TAKE_PTR(identity);
	return ERR_NONE;
}

struct web_identity *web_identity_ref(struct web_identity *identity)
{
	unsigned before = atomic_fetch_add_explicit(&identity->refs, 1, memory_order_relaxed);
	CHECK(before > 0 && before < UINT32_MAX);
	return identity;
}

void web_identity_unref(struct web_identity *identity)
{
	if (identity == NULL)
		return;
	unsigned before = atomic_fetch_sub_explicit(&identity->refs, 1, memory_order_acq_rel);
	CHECK(before > 0);
	if (before > 1)
		return;
	for (size_t i = 0; i < identity->num_chain; i++)
		CRYPTO_BUFFER_free(identity->chain[i]);
	EVP_PKEY_free(identity->key); /* wipes */
	mem_free(identity);
}

size_t web_identity_num_chain(const struct web_identity *identity)
{
	return identity->num_chain;
}

CRYPTO_BUFFER *web_identity_get0_buffer(const struct web_identity *identity, size_t i)
{
	CHECK(i < identity->num_chain);
	return identity->chain[i];
}

EVP_PKEY *web_identity_get0_evp(const struct web_identity *identity)
{
	return identity->key;
}

struct span web_identity_cert(const struct web_identity *identity, size_t i)
{
	const CRYPTO_BUFFER *buffer = web_identity_get0_buffer(identity, i);
	return span_of(CRYPTO_BUFFER_data(buffer), CRYPTO_BUFFER_len(buffer));
}

enum err web_identity_sign(const struct web_identity *identity, struct span message, struct buf *out)
{
	const EVP_MD *digest = EVP_PKEY_id(identity->key) == EVP_PKEY_ED25519 ? NULL : EVP_sha256();
	uint8_t signature[SIGNATURE_MAX];
	size_t len = sizeof signature;
	EVP_MD_CTX context;
	EVP_MD_CTX_init(&context);
	bool is_signed = EVP_DigestSignInit(&context, NULL, digest, NULL, identity->key) == 1 &&
			 EVP_DigestSign(&context, signature, &len, message.ptr, message.len) == 1;
	EVP_MD_CTX_cleanup(&context);
	ERR_clear_error();
	return is_signed ? buf_append(out, span_of(signature, len)) : ERR_CRYPTO;
}
