/* A trust bundle as a JSON web key set (SPIFFE Trust Domain and Bundle 4): what bundle endpoints of others serve, and
 * ours.
 *
 * Strict where the specification is: `keys` must be there; an entry of an unknown or missing `kty` or `use` is skipped;
 * any other entry that cannot be used makes the whole bundle unusable, so that the one in force stays. Pure. */
#pragma once

#include "base/core/buf.h"
#include "certs/web_key.h"

#define JWKS_TEXT_MAX     (256u * 1024) /* bytes of a text: bounds what a partner can make us hold */
#define JWKS_ENTRIES_MAX  128
#define JWKS_ROOTS_MAX    16           /* sidecars take no more per trust domain */
#define JWKS_DER_MAX      (20u * 1024) /* bytes of all roots: a record of the store has room for them */
#define JWKS_ROOT_MAX     8192         /* bytes of one root */
#define JWKS_JWT_KEYS_MAX 16
#define JWKS_KID_MAX      128

struct jwks_jwt_key {
	char kid[JWKS_KID_MAX + 1]; /* printable ASCII without quotation mark and backslash */
	uint8_t spki[WEB_KEY_P256_SPKI_LEN];
};

struct jwks_bundle { /* zeroed is empty, and valid to jwks_bundle_done() */
	bool has_sequence;
	uint64_t sequence;                 /* spiffe_sequence */
	uint32_t refresh_hint_s;           /* spiffe_refresh_hint; 0: none */
	struct buf der;                    /* the roots, one after the other */
	struct span roots[JWKS_ROOTS_MAX]; /* in `der` */
	size_t num_roots;
	struct jwks_jwt_key jwt_keys[JWKS_JWT_KEYS_MAX];
	size_t num_jwt_keys;
	size_t num_skipped; /* entries, also JWT keys of another kind than P-256 */
};

/* The roots are DER of any content: bundle_new() judges them. ERR_MALFORMED, ERR_LIMIT, ERR_WEAK_KEY; **why names the
 * entry. */
enum err jwks_bundle_parse(struct span text, struct jwks_bundle *out, struct why *why) _must_use_;
void jwks_bundle_done(struct jwks_bundle *bundle);
/* ERR_LIMIT: more than fits. */
enum err jwks_bundle_add_root(
	struct jwks_bundle *bundle, struct span der) _must_use_; /* one that is there: no effect */
enum err jwks_bundle_add_jwt_key(struct jwks_bundle *bundle, const char *kid, struct span spki) _must_use_;
enum err jwks_bundle_encode(const struct jwks_bundle *bundle, struct buf *out) _must_use_; /* appends JSON */
