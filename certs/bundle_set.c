#include "base/core/check.h"
#include "base/core/mem.h"
#include "certs/anchors.h"
#include "certs/bundle_set_private.h"
#include <stdlib.h>

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

static void domain_done(struct domain_trust *trust)
{
	bundle_unref(trust->bundle);
	sk_X509_CRL_pop_free(trust->crls, X509_CRL_free);
	mem_free(trust->jwt_keys);
}

static void set_free(struct bundle_set *set)
{
	for (size_t i = 0; i < set->num_domains; i++)
		domain_done(&set->domains[i]);
	for (size_t i = 0; i < set->num_banned; i++)
		spiffe_id_done(&set->banned[i]);
	mem_free(set->banned);
	mem_free(set->revoked);
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

enum err bundle_set_add(struct bundle_set *set, struct bundle *bundle, struct why *why)
{
	const char *domain = bundle_trust_domain(bundle)->name;
	bundle_set_check_unshared(set);
	if (bundle_set_domain(set, span_of_str(domain)) != NULL)
		return why_set(why, ERR_EXISTS, "one bundle per trust domain",
			"merge the roots of one trust domain into one bundle",
			"the trust domain %s has a second bundle", domain);
	if (set->num_domains == BUNDLE_SET_MAX)
		return why_set(why, ERR_LIMIT, "at most 256 trust domains", "federate with fewer",
			"the trust domain %s is one too many", domain);
	set->domains[set->num_domains++] = (struct domain_trust){.bundle = bundle_ref(bundle)};
	return ERR_NONE;
}

void bundle_set_remove(struct bundle_set *set, struct span trust_domain)
{
	struct domain_trust *trust = (struct domain_trust *)bundle_set_domain(set, trust_domain);
	bundle_set_check_unshared(set);
	CHECK(trust != NULL);
	domain_done(trust);
	set->num_domains--;
	memmove(trust, trust + 1, (size_t)(set->domains + set->num_domains - trust) * sizeof(*trust));
}

static bool is_kid(struct span kid)
{
	for (size_t i = 0; i < kid.len; i++)
		if (kid.ptr[i] <= ' ' || kid.ptr[i] > '~' || kid.ptr[i] == '"' || kid.ptr[i] == '\\')
			return false;
	return kid.len <= BUNDLE_KID_MAX;
}

enum err bundle_set_add_jwt_key(struct bundle_set *set, const struct trust_domain *domain, struct span kid,
	struct span spki_der, struct why *why)
{
	struct domain_trust *trust = (struct domain_trust *)bundle_set_domain(set, span_of_str(domain->name));
	struct span x, y;
	_cleanup_(web_key_freep) struct web_key *key = NULL;
	bundle_set_check_unshared(set);
	if (trust == NULL)
		return why_set(why, ERR_NO_BUNDLE, "a bundle for the key's trust domain", "send the bundle with it",
			"there is a JWT key but no bundle for %s", domain->name);
	RETURN_IF_ERR(web_key_point_of_spki(spki_der, &x, &y, why));
	RETURN_IF_ERR(web_key_from_p256(x, y, &key, why));
	if (trust->num_jwt_keys == BUNDLE_JWT_KEYS_MAX)
		return why_set(why, ERR_LIMIT, "at most 64 JWT keys per trust domain",
			"remove keys that no longer sign", "the trust domain %s has more JWT keys", domain->name);
	if (!is_kid(kid))
		return why_set(why, ERR_MALFORMED, "a kid of at most 128 printable bytes", "rename the key",
			"the kid of a JWT key of %s is another text", domain->name);
	trust->jwt_keys = mem_realloc(trust->jwt_keys, (trust->num_jwt_keys + 1) * sizeof(*trust->jwt_keys));
	struct jwt_key *added = &trust->jwt_keys[trust->num_jwt_keys++];
	memcpy(added->spki, spki_der.ptr, WEB_KEY_P256_SPKI_LEN);
	if (kid.len > 0)
		memcpy(added->kid, kid.ptr, kid.len);
	added->kid[kid.len] = '\0';
	if (kid.len == 0)
		web_key_id_of_spki(spki_der, added->kid);
	return ERR_NONE;
}

size_t bundle_set_num_jwt_keys(const struct bundle_set *set, struct span trust_domain)
{
	const struct domain_trust *trust = bundle_set_domain(set, trust_domain);
	return trust == NULL ? 0 : trust->num_jwt_keys;
}

struct span bundle_set_jwt_key(const struct bundle_set *set, struct span trust_domain, size_t i)
{
	const struct domain_trust *trust = bundle_set_domain(set, trust_domain);
	CHECK(trust != NULL && i < trust->num_jwt_keys);
	return span_of(trust->jwt_keys[i].spki, WEB_KEY_P256_SPKI_LEN);
}

const char *bundle_set_jwt_kid(const struct bundle_set *set, struct span trust_domain, size_t i)
{
	const struct domain_trust *trust = bundle_set_domain(set, trust_domain);
	CHECK(trust != NULL && i < trust->num_jwt_keys);
	return trust->jwt_keys[i].kid;
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

/* --- revoked serials --- */

static int compare_serial(const struct serial *a, struct span b)
{
	return compare(span_of(a->bytes, a->len), b);
}

/* The position of the serial, or its insertion point. */
static size_t serial_place(const struct bundle_set *set, struct span serial)
{
	size_t low = 0, high = set->num_revoked;
	if (high > 0 && compare_serial(&set->revoked[high - 1], serial) < 0)
		return high; /* they mostly arrive in order */
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (compare_serial(&set->revoked[middle], serial) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static bool is_at(const struct bundle_set *set, size_t at, struct span serial)
{
	return at < set->num_revoked && compare_serial(&set->revoked[at], serial) == 0;
}

bool bundle_set_is_revoked(const struct bundle_set *set, struct span serial)
{
	return set->num_revoked > 0 && is_at(set, serial_place(set, serial), serial);
}

enum err bundle_set_revoke(struct bundle_set *set, struct span serial)
{
	bundle_set_check_unshared(set);
	if (serial.len == 0 || serial.len > SERIAL_MAX)
		return ERR_MALFORMED;
	size_t at = serial_place(set, serial);
	if (is_at(set, at, serial))
		return ERR_NONE;
	if (set->num_revoked == set->cap_revoked) {
		set->cap_revoked = set->cap_revoked == 0 ? 8 : set->cap_revoked * 2;
		set->revoked = mem_realloc(set->revoked, set->cap_revoked * sizeof(set->revoked[0]));
	}
	memmove(&set->revoked[at + 1], &set->revoked[at], (set->num_revoked - at) * sizeof(set->revoked[0]));
	set->revoked[at] = (struct serial){.len = (uint8_t)serial.len};
	memcpy(set->revoked[at].bytes, serial.ptr, serial.len);
	set->num_revoked++;
	return ERR_NONE;
}

void bundle_set_each_revoked(const struct bundle_set *set, bundle_serial_fn *each, void *arg)
{
	for (size_t i = 0; i < set->num_revoked; i++)
		each(arg, span_of(set->revoked[i].bytes, set->revoked[i].len));
}

static bool has_same_revoked(const struct bundle_set *a, const struct bundle_set *b)
{
	return a->num_revoked == b->num_revoked &&
	       (a->num_revoked == 0 || memcmp(a->revoked, b->revoked, a->num_revoked * sizeof(a->revoked[0])) == 0);
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
	bool same = bundle_num_roots(a) == bundle_num_roots(b) && bundle_num_all(a) == bundle_num_all(b) &&
		    strcmp(bundle_trust_domain(a)->name, bundle_trust_domain(b)->name) == 0;
	for (size_t i = 0; same && i < bundle_num_all(a); i++)
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
	bool same = a->num_domains == b->num_domains && has_same_revoked(a, b);
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
	bundle_set_check_unshared(set);
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
	const struct domain_trust *trust = bundle_set_domain(set, trust_domain);
	return trust == NULL ? NULL : trust->bundle;
}

STACK_OF(X509_CRL) * bundle_set_get0_crls(const struct bundle_set *set, struct span trust_domain)
{
	const struct domain_trust *trust = bundle_set_domain(set, trust_domain);
	return trust == NULL ? NULL : trust->crls;
}

void bundle_set_each_ban(const struct bundle_set *set, bundle_ban_fn *each, void *arg)
{
	for (size_t i = 0; i < set->num_banned; i++)
		each(arg, &set->banned[i]);
}
