#include "base/core/check.h"
#include "base/core/mem.h"
#include "certs/anchors.h"
#include "certs/boringssl.h"
#include "certs/bundle.h"
#include "certs/crl.h"
#include <stdatomic.h>
#include <stdlib.h>

#define DOMAIN_CRLS_MAX 64 /* bounds the search for a certificate's list */

struct domain_trust {
	struct bundle *bundle;
	STACK_OF(X509_CRL) * crls; /* NULL: none */
};

struct bundle_set {
	atomic_uint refs;
	size_t num_domains;
	struct domain_trust domains[BUNDLE_SET_MAX];
	size_t num_banned, cap_banned;
	struct spiffe_id *banned; /* sorted by text, unique */
};

struct bundle_set *bundle_set_new(void)
{
	struct bundle_set *set = mem_new(struct bundle_set);
	atomic_init(&set->refs, 1);
	return set;
}

struct bundle_set *bundle_set_ref(struct bundle_set *set)
{
	unsigned before = atomic_fetch_add_explicit(&set->refs, 1, memory_order_relaxed);
	CHECK(before > 0 && before < UINT32_MAX);
	return set;
}

static void set_free(struct bundle_set *set)
{
	for (size_t i = 0; i < set->num_domains; i++) {
		bundle_unref(set->domains[i].bundle);
		sk_X509_CRL_pop_free(set->domains[i].crls, X509_CRL_free);
	}
	for (size_t i = 0; i < set->num_banned; i++)
		spiffe_id_done(&set->banned[i]);
	mem_free(set->banned);
	mem_free(set);
}

void bundle_set_unref(struct bundle_set *set)
{
	if (set == NULL)
		return;
	unsigned before = atomic_fetch_sub_explicit(&set->refs, 1, memory_order_acq_rel);
	CHECK(before > 0);
	if (before == 1)
		set_free(set);
}

/* A set is filled before it is shared: its readers take no lock. */
static void check_unshared(const struct bundle_set *set)
{
	CHECK(atomic_load_explicit(&set->refs, memory_order_relaxed) == 1);
}

static const struct domain_trust *find(const struct bundle_set *set, struct span domain)
{
	for (size_t i = 0; i < set->num_domains; i++)
		if (span_eq(span_of_str(bundle_trust_domain(set->domains[i].bundle)->name), domain))
			return &set->domains[i];
	return NULL;
}

enum err bundle_set_add(struct bundle_set *set, struct bundle *bundle, struct why *why)
{
	const char *domain = bundle_trust_domain(bundle)->name;
	check_unshared(set);
	if (find(set, span_of_str(domain)) != NULL)
		return why_set(why, ERR_EXISTS, "one bundle per trust domain",
			"merge the roots of one trust domain into one bundle",
			"the trust domain %s has a second bundle", domain);
	if (set->num_domains == BUNDLE_SET_MAX)
		return why_set(why, ERR_LIMIT, "at most 256 trust domains", "federate with fewer",
			"the trust domain %s is one too many", domain);
	set->domains[set->num_domains++] = (struct domain_trust){.bundle = bundle_ref(bundle)};
	return ERR_NONE;
}

enum err bundle_set_add_crl(
	struct bundle_set *set, const struct trust_domain *domain, struct span crl_der, struct why *why)
{
	struct domain_trust *trust = (struct domain_trust *)find(set, span_of_str(domain->name));
	check_unshared(set);
	if (trust == NULL)
		return why_set(why, ERR_NO_BUNDLE, "a bundle for the list's trust domain", "send the bundle with it",
			"there is a revocation list but no bundle for %s", domain->name);
	_cleanup_(X509_CRL_freep) X509_CRL *crl = NULL;
	RETURN_IF_ERR(crl_parse(crl_der, &crl, why));
	if (trust->crls == NULL)
		trust->crls = sk_X509_CRL_new_null();
	CHECK(trust->crls != NULL);
	if (sk_X509_CRL_num(trust->crls) >= DOMAIN_CRLS_MAX)
		return why_set(why, ERR_LIMIT, "at most 64 revocation lists per trust domain",
			"remove lists of authorities that no longer sign",
			"the trust domain %s has more revocation lists", domain->name);
	CHECK(sk_X509_CRL_push(trust->crls, crl));
	crl = NULL; /* owned by the stack */
	return ERR_NONE;
}

static int compare(struct span a, struct span b)
{
	size_t shorter = a.len < b.len ? a.len : b.len;
	int order = memcmp(a.ptr, b.ptr, shorter);
	if (order != 0)
		return order;
	return a.len < b.len ? -1 : a.len > b.len;
}

/* The position of `id` in the sorted bans, or its insertion point. */
static size_t ban_place(const struct bundle_set *set, const struct spiffe_id *id)
{
	size_t low = 0, high = set->num_banned;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (compare(spiffe_id_text(&set->banned[middle]), spiffe_id_text(id)) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

size_t bundle_set_num(const struct bundle_set *set)
{
	return set->num_domains;
}

const struct bundle *bundle_set_at(const struct bundle_set *set, size_t i)
{
	CHECK(i < set->num_domains);
	return set->domains[i].bundle;
}

static bool has_same_roots(const struct bundle *a, const struct bundle *b)
{
	bool same = bundle_num_roots(a) == bundle_num_roots(b) &&
		    strcmp(bundle_trust_domain(a)->name, bundle_trust_domain(b)->name) == 0;
	for (size_t i = 0; same && i < bundle_num_roots(a); i++)
		same = span_eq(bundle_root(a, i), bundle_root(b, i));
	return same;
}

static bool has_same_crls(const STACK_OF(X509_CRL) * a, const STACK_OF(X509_CRL) * b)
{
	size_t num_a = a == NULL ? 0 : sk_X509_CRL_num(a), num_b = b == NULL ? 0 : sk_X509_CRL_num(b);
	for (size_t i = 0; num_a == num_b && i < num_a; i++)
		if (X509_CRL_match(sk_X509_CRL_value(a, i), sk_X509_CRL_value(b, i)) != 0)
			return false;
	return num_a == num_b;
}

bool bundle_set_has_same_anchors(const struct bundle_set *a, const struct bundle_set *b)
{
	bool same = a->num_domains == b->num_domains;
	for (size_t i = 0; same && i < a->num_domains; i++)
		same = has_same_roots(a->domains[i].bundle, b->domains[i].bundle) &&
		       has_same_crls(a->domains[i].crls, b->domains[i].crls);
	return same;
}

bool bundle_set_is_banned(const struct bundle_set *set, const struct spiffe_id *id)
{
	if (set->num_banned == 0)
		return false;
	size_t at = ban_place(set, id);
	return at < set->num_banned && spiffe_id_eq(&set->banned[at], id);
}

void bundle_set_ban_id(struct bundle_set *set, const struct spiffe_id *id)
{
	CHECK(spiffe_id_is_set(id));
	check_unshared(set);
	if (bundle_set_is_banned(set, id))
		return;
	if (set->num_banned == set->cap_banned) {
		set->cap_banned = set->cap_banned == 0 ? 8 : set->cap_banned * 2;
		set->banned = mem_realloc(set->banned, set->cap_banned * sizeof(set->banned[0]));
	}
	size_t at = ban_place(set, id);
	CHECK(at <= set->num_banned && set->num_banned < set->cap_banned);
	memmove(&set->banned[at + 1], &set->banned[at], (set->num_banned - at) * sizeof(set->banned[0]));
	spiffe_id_copy(id, &set->banned[at]);
	set->num_banned++;
}

const struct bundle *bundle_set_find(const struct bundle_set *set, struct span trust_domain)
{
	const struct domain_trust *trust = find(set, trust_domain);
	return trust == NULL ? NULL : trust->bundle;
}

STACK_OF(X509_CRL) * bundle_set_get0_crls(const struct bundle_set *set, struct span trust_domain)
{
	const struct domain_trust *trust = find(set, trust_domain);
	return trust == NULL ? NULL : trust->crls;
}

void bundle_set_each_ban(const struct bundle_set *set, bundle_ban_fn *each, void *arg)
{
	for (size_t i = 0; i < set->num_banned; i++)
		each(arg, &set->banned[i]);
}
