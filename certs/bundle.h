/* Trust bundles: the root certificates of one trust domain, and the set of bundles that a process trusts. Immutable and
 * refcounted. Bundles of different trust domains are never pooled (X509-SVID 5). */
#pragma once

#include "base/core/buf.h"
#include "certs/spiffe_id.h"

#define BUNDLE_ROOTS_MAX 32
#define BUNDLE_SET_MAX   256

/* The version of a sidecar's trust. Counters are comparable only within one incarnation. */
struct epoch {
	uint64_t incarnation; /* random, created with the control plane's store; 0: none */
	uint64_t counter;
};
bool epoch_eq(const struct epoch *a, const struct epoch *b);

struct bundle; /* one trust domain's roots */
enum err bundle_new(const struct trust_domain *domain, const struct span *roots_der, size_t num_roots,
	struct bundle **out,
	struct why *why) _must_use_; /* num_roots 0: trusts nothing. Each must be a valid self-signed CA certificate */
struct bundle *bundle_ref(struct bundle *bundle);
void bundle_unref(struct bundle *bundle);
DEFINE_CLEANUP(struct bundle *, bundle_unref)
const struct trust_domain *bundle_trust_domain(const struct bundle *bundle);
size_t bundle_num_roots(const struct bundle *bundle);
struct span bundle_root(const struct bundle *bundle, size_t i);
int64_t bundle_ends_s(const struct bundle *bundle); /* the latest notAfter of the roots; 0: no root */

struct bundle_set;
struct bundle_set *bundle_set_new(void); /* empty; must not be changed once it is shared */
enum err bundle_set_add(struct bundle_set *set, struct bundle *bundle,
	struct why *why) _must_use_; /* takes its own reference; ERR_EXISTS: a second bundle of one domain */
/* Adds a CRL (DER), checked when a chain of that domain is verified. Verification in a domain with CRLs fails when a
 * needed one is missing, stale or corrupt. */
enum err bundle_set_add_crl(
	struct bundle_set *set, const struct trust_domain *domain, struct span crl_der, struct why *why) _must_use_;
/* Bans an identity: it is refused even if its chain is valid. */
void bundle_set_ban_id(struct bundle_set *set, const struct spiffe_id *id);
struct bundle_set *bundle_set_ref(struct bundle_set *set);
void bundle_set_unref(struct bundle_set *set);
DEFINE_CLEANUP(struct bundle_set *, bundle_set_unref)
const struct bundle *bundle_set_find(const struct bundle_set *set, struct span trust_domain);
size_t bundle_set_num(const struct bundle_set *set);
const struct bundle *bundle_set_at(const struct bundle_set *set, size_t i); /* borrowed */
/* Whether both have the same roots and revocation lists, in the same order; bans are not compared. */
bool bundle_set_has_same_anchors(const struct bundle_set *a, const struct bundle_set *b);
bool bundle_set_is_banned(const struct bundle_set *set, const struct spiffe_id *id);
typedef void bundle_ban_fn(void *arg, const struct spiffe_id *id);
void bundle_set_each_ban(const struct bundle_set *set, bundle_ban_fn *each, void *arg);
