/* Trust bundles: the root certificates of one trust domain, and the set of bundles one holder trusts. Immutable and
 * refcounted. Bundles of different trust domains are never pooled (X509-SVID 5). */
#pragma once

#include "base/core/buf.h"
#include "certs/spiffe_id.h"

#define BUNDLE_ROOTS_MAX 32
#define BUNDLE_SET_MAX   256

/* Which version of the mesh's trust a holder has. A counter counts only within its incarnation. */
struct epoch {
	uint64_t incarnation; /* random, made when the control plane's store was made; 0: none */
	uint64_t counter;
};
bool epoch_eq(const struct epoch *a, const struct epoch *b);

struct bundle; /* one trust domain's roots */
enum err bundle_new(const struct trust_domain *domain, const struct span *roots_der, size_t num_roots,
	struct bundle **out,
	struct why *why) _must_use_; /* num_roots 0: trusts nothing. Each must be a CA certificate, self-issued, sane */
struct bundle *bundle_ref(struct bundle *bundle);
void bundle_unref(struct bundle *bundle);
DEFINE_CLEANUP(struct bundle *, bundle_unref)
const struct trust_domain *bundle_trust_domain(const struct bundle *bundle);
size_t bundle_num_roots(const struct bundle *bundle);
struct span bundle_root(const struct bundle *bundle, size_t i);
int64_t bundle_ends_s(const struct bundle *bundle); /* notAfter of the root that lives longest; 0: no root */

struct bundle_set;
struct bundle_set *bundle_set_new(void); /* empty; add, then share: not changed once it is shared */
enum err bundle_set_add(struct bundle_set *set, struct bundle *bundle,
	struct why *why) _must_use_; /* takes its own reference; a second for one domain: ERR_EXISTS */
/* CRLs (DER), checked when a chain of that domain is verified; a domain with CRLs fails closed on a stale or corrupt
 * one. */
enum err bundle_set_add_crl(
	struct bundle_set *set, const struct trust_domain *domain, struct span crl_der, struct why *why) _must_use_;
/* Bans by identity or leaf serial: refused whatever the chain says. */
void bundle_set_ban_id(struct bundle_set *set, const struct spiffe_id *id);
struct bundle_set *bundle_set_ref(struct bundle_set *set);
void bundle_set_unref(struct bundle_set *set);
DEFINE_CLEANUP(struct bundle_set *, bundle_set_unref)
const struct bundle *bundle_set_find(const struct bundle_set *set, struct span trust_domain);
size_t bundle_set_num(const struct bundle_set *set);
const struct bundle *bundle_set_at(const struct bundle_set *set, size_t i); /* borrowed */
/* Whether both hold the same roots and revocation lists, in the same order; bans do not count. */
bool bundle_set_has_same_anchors(const struct bundle_set *a, const struct bundle_set *b);
bool bundle_set_is_banned(const struct bundle_set *set, const struct spiffe_id *id);
typedef void bundle_ban_fn(void *arg, const struct spiffe_id *id);
void bundle_set_each_ban(const struct bundle_set *set, bundle_ban_fn *each, void *arg);
