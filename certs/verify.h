/* Verification of a peer's chain and identity. BoringSSL validates the path with the bundle of the leaf's own trust
 * domain only. Further checks (X509-SVID and stricter, see certs/README.md) are needed because BoringSSL accepts CA
 * leaves, other key usages and weak keys. Pure, except for a cache that the caller owns. */
#pragma once

#include "certs/bundle.h"
#include "certs/svid.h"

enum verify_role { VERIFY_SERVER, VERIFY_CLIENT }; /* the peer's role in this session */

struct verify_input {
	const struct span *chain; /* DER, leaf first, as the peer sent it */
	size_t num_chain;
	const struct bundle_set *bundles;
	enum verify_role role;
	int64_t now_s; /* trusted time */
	const struct spiffe_id
		*expected;    /* exact identity of the peer; NULL: any identity of a domain that has a bundle */
	bool may_be_reserved; /* only for the control plane */
};

/* On success *out_svid is the verified chain (a new reference). ERR_NO_CERTIFICATE, ERR_NOT_SVID, ERR_NO_BUNDLE,
 * ERR_UNTRUSTED, ERR_EXPIRED, ERR_NOT_YET_VALID, ERR_REVOKED, ERR_WEAK_KEY, ERR_WRONG_PEER, ERR_MALFORMED; **why names
 * the certificate. */
enum err verify_chain(const struct verify_input *input, struct svid **out_svid, struct why *why) _must_use_;

/* The same; *out_until_s: the earliest end of validity in the path, root included. */
enum err verify_chain_until(
	const struct verify_input *input, struct svid **out_svid, int64_t *out_until_s, struct why *why) _must_use_;
/* Only the checks of the identity, for a chain that was verified before: not banned (ERR_REVOKED), not reserved, the
 * expected one (ERR_WRONG_PEER). */
enum err verify_identity(const struct verify_input *input, const struct spiffe_id *id, struct why *why) _must_use_;

/* Revalidates a chain that was valid before. ERR_NO_BUNDLE, ERR_UNTRUSTED: its root was removed; ERR_REVOKED: it or one
 * of its authorities is on a revocation list, or the identity is banned. ERR_NONE also for an expired chain. */
enum err verify_still_trusted(const struct svid *svid, const struct bundle_set *bundles, struct why *why) _must_use_;

/* Verifies the control plane's chain. The only anchors are self-signed bootstrap roots whose SHA-256 is one of `pins`;
 * the chain includes one; the leaf's identity is exactly `expected`. notBefore is not checked: with a clock at
 * the build date the root would not be valid yet, and only this connection can correct a slow clock. All other checks
 * apply. */
struct verify_bootstrap_input {
	const struct span *chain;
	size_t num_chain;
	const uint8_t (*pins)[32];
	size_t num_pins;
	const struct spiffe_id *expected;
	int64_t now_s;
};
enum err verify_bootstrap_chain(const struct verify_bootstrap_input *input, struct why *why) _must_use_;

/* A cache of verified chains by (chain hash, role, trust generation); bounded, one per thread. Entries expire with the
 * first notAfter of their path, and a new generation (bundle, CRL, ban or clock changed) empties the cache. */
struct verify_cache;
struct verify_cache *verify_cache_new(size_t max_entries);
void verify_cache_free(struct verify_cache *cache);
enum err verify_chain_cached(struct verify_cache *cache, uint64_t generation, const struct verify_input *input,
	struct svid **out_svid, struct why *why) _must_use_;
