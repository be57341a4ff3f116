/* What a TLS end presents that has no SPIFFE ID: a webhook's certificate, or the client certificate of a kubeconfig. A
 * chain and its private key (RSA, P-256, P-384, Ed25519), refcounted; the key is wiped with the last reference. */
#pragma once

#include "base/core/span.h"
#include "certs/private_key.h"

#define WEB_IDENTITY_CHAIN_MAX 8 /* certificates, leaf included */

struct web_identity;
/* chain: DER, leaf first. ERR_KEY_MISMATCH: the key is not the leaf's. Takes its own reference of the key. */
enum err web_identity_new(const struct span *chain, size_t num_chain, struct private_key *key,
	struct web_identity **out, struct why *why) _must_use_;
/* The same from PEM (RFC 7468); the key as PKCS#8, PKCS#1 or SEC 1, not encrypted. */
enum err web_identity_parse(
	struct span chain_pem, struct span key_pem, struct web_identity **out, struct why *why) _must_use_;
struct web_identity *web_identity_ref(struct web_identity *identity);
void web_identity_unref(struct web_identity *identity);
DEFINE_CLEANUP(struct web_identity *, web_identity_unref)

struct span web_identity_cert(const struct web_identity *identity, size_t i); /* DER, borrowed */
/* Appends a signature by the leaf's key, as public_key_verify() checks it: SHA-256, for Ed25519 no digest. */
enum err web_identity_sign(const struct web_identity *identity, struct span message, struct buf *out) _must_use_;

size_t web_identity_num_chain(const struct web_identity *identity);
/* For base/tls only. */
struct crypto_buffer_st *web_identity_get0_buffer(const struct web_identity *identity, size_t i);
struct evp_pkey_st *web_identity_get0_evp(const struct web_identity *identity);
