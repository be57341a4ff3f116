/* Public keys of peers: the allowed kinds, and signature verification. Allowed are P-256, P-384, Ed25519 and RSA
 * 2048..4096 with an exponent of at least 65537. (A larger RSA key costs the verifier, not its owner.) */
#pragma once

#include "base/core/buf.h"

#define RSA_BITS_MIN 2048
#define RSA_BITS_MAX 4096

struct evp_pkey_st;

/* Verifies a signature over `message` (SHA-256, for Ed25519 no digest) by the public key in `spki_der`, which must be
 * of an allowed kind: ERR_WEAK_KEY, ERR_MALFORMED, ERR_CRYPTO (signature does not match). */
enum err public_key_verify(
	struct span spki_der, struct span message, struct span signature, struct why *why) _must_use_;
/* Allowed kind and size, point on the curve, no trailing bytes. */
enum err public_key_check(struct span spki_der, struct why *why) _must_use_;

/* Private to certs: the same checks for BoringSSL's object. NULL (an unsupported kind) is ERR_WEAK_KEY. */
enum err public_key_check_evp(struct evp_pkey_st *key, struct why *why) _must_use_;
enum err public_key_parse(struct span spki_der, struct evp_pkey_st **out, struct why *why) _must_use_;
