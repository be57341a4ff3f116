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
/* num_all 0: trusts nothing. Each must be a valid self-signed CA certificate. The last num_retired of them have been
 * replaced by a rotation. Connections that were opened by their chains go on (verify_still_trusted()); nothing new is
 * accepted from them. */
enum err bundle_new_with_retired(const struct trust_domain *domain, const struct span *roots_der, size_t num_all,
	size_t num_retired, struct bundle **out, struct why *why) _must_use_;
static inline enum err bundle_new(const struct trust_domain *domain, const struct span *roots_der, size_t num_roots,
	struct bundle **out, struct why *why)
{
	return bundle_new_with_retired(domain, roots_der, num_roots, 0, out, why);
}
struct bundle *bundle_ref(struct bundle *bundle);
void bundle_unref(struct bundle *bundle);
DEFINE_CLEANUP(struct bundle *, bundle_unref)
const struct trust_domain *bundle_trust_domain(const struct bundle *bundle);
size_t bundle_num_roots(const struct bundle *bundle);           /* without the retired ones */
size_t bundle_num_all(const struct bundle *bundle);             /* the retired ones come last */
struct span bundle_root(const struct bundle *bundle, size_t i); /* i < bundle_num_all() */
int64_t bundle_ends_s(const struct bundle *bundle);             /* the latest notAfter of the roots; 0: no root */

struct bundle_set;
struct bundle_set *bundle_set_new(void); /* empty; must not be changed once it is shared */
enum err bundle_set_add(struct bundle_set *set, struct bundle *bundle,
	struct why *why) _must_use_; /* takes its own reference; ERR_EXISTS: a second bundle of one domain */
/* The set as before that domain's bundle was added: without its roots, JWT keys and lists. It must be in the set. */
void bundle_set_remove(struct bundle_set *set, struct span trust_domain);
/* Adds a CRL (DER). What it names of its authority's certificates is refused in chains of that domain, also after its
 * nextUpdate; what it does not name is not (decision 069). Of two lists of one authority's key the one with the higher
 * number stays. ERR_CRYPTO: a root of that name and key did not sign it; ERR_LIMIT: the 65th. */
#define BUNDLE_CRLS_MAX 64 /* per trust domain: bounds the search for a certificate's list */
enum err bundle_set_add_crl(
	struct bundle_set *set, const struct trust_domain *domain, struct span crl_der, struct why *why) _must_use_;
/* The same for a list of the control plane's own signer, of which ERR_EXISTS is no harm: a list of that authority's key
 * is there, which is the operator's. */
enum err bundle_set_add_own_crl(
	struct bundle_set *set, const struct trust_domain *domain, struct span crl_der, struct why *why) _must_use_;
/* A list that could not be added: counted for bundle_set_lists(). */
void bundle_set_skip_crl(struct bundle_set *set, const struct why *why);
struct revocation_lists {
	size_t num, num_stale, num_skipped; /* in use; of those, after their nextUpdate; not usable */
	const struct why *first_skipped;    /* borrowed; NULL: none */
	int64_t ends_s;                     /* nextUpdate of the last list; 0: none */
};
void bundle_set_lists(const struct bundle_set *set, int64_t now_s, struct revocation_lists *out);
/* The lists of a domain; 0: none, or no such domain. The second appends the DER of one; ERR_LIMIT as buf_append(). */
size_t bundle_set_num_crls(const struct bundle_set *set, struct span trust_domain);
enum err bundle_set_put_crl(
	const struct bundle_set *set, struct span trust_domain, size_t i, struct buf *out) _must_use_;
/* Adds a key that signs JWT-SVIDs of that domain: a P-256 SubjectPublicKeyInfo (DER). kid: its name in tokens,
 * printable ASCII without space, quotation mark and backslash; empty: web_key_id_of_spki(). ERR_WEAK_KEY: another kind
 * of key; ERR_MALFORMED: no such kid. */
#define BUNDLE_JWT_KEYS_MAX 64  /* two per signer, and those of signers that ended within hours */
#define BUNDLE_KID_MAX      128 /* bytes */
enum err bundle_set_add_jwt_key(struct bundle_set *set, const struct trust_domain *domain, struct span kid,
	struct span spki_der, struct why *why) _must_use_;
/* Of a domain of the set; borrowed. 0: none, or no such domain. */
size_t bundle_set_num_jwt_keys(const struct bundle_set *set, struct span trust_domain);
struct span bundle_set_jwt_key(const struct bundle_set *set, struct span trust_domain, size_t i);
const char *bundle_set_jwt_kid(const struct bundle_set *set, struct span trust_domain, size_t i);
/* Bans an identity: it is refused even if its chain is valid. */
void bundle_set_ban_id(struct bundle_set *set, const struct spiffe_id *id);
/* Revokes the certificates with that serial (1 to 20 bytes, big-endian) in every chain, a leaf or an authority. Serials
 * are random and long, so one number names one certificate. ERR_MALFORMED: another length. */
enum err bundle_set_revoke(struct bundle_set *set, struct span serial) _must_use_;
typedef void bundle_serial_fn(void *arg, struct span serial); /* borrowed */
void bundle_set_each_revoked(const struct bundle_set *set, bundle_serial_fn *each, void *arg);
bool bundle_set_is_revoked(const struct bundle_set *set, struct span serial);
struct bundle_set *bundle_set_ref(struct bundle_set *set);
void bundle_set_unref(struct bundle_set *set);
DEFINE_CLEANUP(struct bundle_set *, bundle_set_unref)
const struct bundle *bundle_set_find(const struct bundle_set *set, struct span trust_domain);
size_t bundle_set_num(const struct bundle_set *set);
const struct bundle *bundle_set_at(const struct bundle_set *set, size_t i); /* borrowed */
/* Whether both have the same roots, retired roots, revoked serials and revocation lists, in the same order; bans are
 * not compared. */
bool bundle_set_has_same_anchors(const struct bundle_set *a, const struct bundle_set *b);
bool bundle_set_is_banned(const struct bundle_set *set, const struct spiffe_id *id);
typedef void bundle_ban_fn(void *arg, const struct spiffe_id *id);
void bundle_set_each_ban(const struct bundle_set *set, bundle_ban_fn *each, void *arg);
