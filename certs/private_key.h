/* Private keys (P-256). Generated here, refcounted, wiped with the last reference. Only private_key_encode() exports
 * the bytes, for the attestation key and the signer's files. */
#pragma once

#include "base/core/buf.h"
#include "certs/public_key.h"

struct private_key;

struct private_key *private_key_generate(void);
struct private_key *private_key_ref(struct private_key *key);
void private_key_unref(struct private_key *key);
DEFINE_CLEANUP(struct private_key *, private_key_unref)

enum err private_key_parse(struct span pkcs8_der, struct private_key **out, struct why *why) _must_use_;
enum err private_key_encode(
	const struct private_key *key, struct buf *out_pkcs8_der) _must_use_; /* the caller wipes the buf */
/* SubjectPublicKeyInfo, DER. */
enum err private_key_public(const struct private_key *key, struct buf *out_spki_der) _must_use_;
/* ECDSA with SHA-256 over `message`, DER signature. */
enum err private_key_sign(const struct private_key *key, struct span message, struct buf *out_signature) _must_use_;

/* The same as ES256 has it (RFC 7518 3.4): r and s, 32 bytes each. */
#define PRIVATE_KEY_ES256_LEN 64
enum err private_key_sign_es256(
	const struct private_key *key, struct span message, uint8_t out[PRIVATE_KEY_ES256_LEN]) _must_use_;

struct private_key *private_key_adopt_evp(struct evp_pkey_st *evp);      /* private to certs: remote_key.c */
struct evp_pkey_st *private_key_get0_evp(const struct private_key *key); /* for base/tls and control/issue only */
