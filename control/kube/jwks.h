/* The keys that an API server signs service account tokens with: a JSON web key set (RFC 7517 5) with RSA and P-256
 * keys by their kid. Keys of other kinds, weak ones and those for other uses are left out, so that one of them does not
 * disable the rest. A set that names a kid twice is refused. Pure. */
#pragma once

#include "control/kube/jwt.h"

#define JWKS_MAX      65536 /* bytes of a set */
#define JWKS_KEYS_MAX 64    /* an API server publishes each key that tokens may still be signed with */

struct jwks_key;

struct jwks { /* zeroed is empty and valid to jwks_done() */
	struct jwks_key *keys;
	size_t num;
};

/* ERR_TOO_LARGE, ERR_MALFORMED; ERR_NOT_FOUND: no key in it can be used. */
enum err jwks_parse(struct span json, struct jwks *out, struct why *why) _must_use_;
void jwks_done(struct jwks *jwks);
bool jwks_has(const struct jwks *jwks, const char *kid);
/* The token's signature, by the key that it names and by that key's algorithm. ERR_NOT_FOUND: no such key; ERR_DENIED:
 * the token names another algorithm; ERR_CRYPTO. */
enum err jwks_verify(const struct jwks *jwks, const struct jwt *jwt, struct why *why) _must_use_;

/* The issuer of an API server's OpenID discovery document (OpenID Connect Discovery 3). The caller frees *out_issuer.
 */
enum err jwks_issuer_parse(struct span json, char **out_issuer, struct why *why) _must_use_;
