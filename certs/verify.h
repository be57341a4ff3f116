/* Is this chain who it says it is, now, for us? The chain check is BoringSSL's, with the bundle of the leaf's own trust
 * domain and no other; our own checks (X509-SVID and stricter, see certs/README.md) come on top, since the
 * library accepts CA leaves, odd key usages and weak keys. Pure but for a cache that the caller owns. */
#pragma once

#include "certs/bundle.h"
#include "certs/svid.h"

enum verify_role { VERIFY_SERVER, VERIFY_CLIENT }; /* what the peer is in this session */

struct verify_input {
	const struct span *chain; /* DER, leaf first, as the peer sent it */
	size_t num_chain;
	const struct bundle_set *bundles;
	enum verify_role role;
	int64_t now_s; /* trusted time */
	const struct spiffe_id
		*expected;    /* exact identity the peer must have; NULL: any of a domain that has a bundle */
	bool may_be_reserved; /* only towards the control plane */
};

/* On success *out_svid is the verified chain (a reference). ERR_NO_CERTIFICATE, ERR_NOT_SVID, ERR_NO_BUNDLE,
 * ERR_UNTRUSTED, ERR_EXPIRED, ERR_NOT_YET_VALID, ERR_REVOKED, ERR_WEAK_KEY, ERR_WRONG_PEER, ERR_MALFORMED; *why says
 * which certificate. */
enum err verify_chain(const struct verify_input *input, struct svid **out_svid, struct why *why) _must_use_;

/* The same, and until when the verdict holds: the first notAfter of the whole path, root and revocation lists included.
 */
enum err verify_chain_until(
	const struct verify_input *input, struct svid **out_svid, int64_t *out_until_s, struct why *why) _must_use_;
/* Only the part about names, for an identity whose chain was verified before: not banned (ERR_REVOKED), not reserved,
 * the expected one (ERR_WRONG_PEER). */
enum err verify_identity(const struct verify_input *input, const struct spiffe_id *id, struct why *why) _must_use_;

/* Has a chain that was good when it was verified lost that since? ERR_NO_BUNDLE, ERR_UNTRUSTED: its root was withdrawn;
 * ERR_REVOKED: itself or an authority of it is on a list, or the identity is banned. ERR_NONE also where it has expired
 * meanwhile, and where a list is missing or stale: that forbids what is new, and ends nothing. */
enum err verify_still_trusted(const struct svid *svid, const struct bundle_set *bundles, struct why *why) _must_use_;

/* Towards the control plane: the only anchor is a self-signed bootstrap root whose SHA-256 is one of `pins`; the chain
 * carries that root; the leaf's identity is exactly `expected`; no notBefore of this chain is checked (the mesh is
 * younger than this program, so that a clock at the build's date would refuse the root too, and a slow clock must be
 * able to be corrected); everything else is. */
struct verify_bootstrap_input {
	const struct span *chain;
	size_t num_chain;
	const uint8_t (*pins)[32];
	size_t num_pins;
	const struct spiffe_id *expected;
	int64_t now_s;
};
enum err verify_bootstrap_chain(const struct verify_bootstrap_input *input, struct why *why) _must_use_;

/* Chains already verified, keyed by (chain hash, role, trust generation); bounded, one a thread. Nothing outlives its
 * first notAfter, and a new generation (bundle, CRL, ban or clock changed) starts empty. */
struct verify_cache;
struct verify_cache *verify_cache_new(size_t max_entries);
void verify_cache_free(struct verify_cache *cache);
enum err verify_chain_cached(struct verify_cache *cache, uint64_t generation, const struct verify_input *input,
	struct svid **out_svid, struct why *why) _must_use_;
