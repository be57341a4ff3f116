/* The revocation lists of a set of bundles. */
#include "certs/anchors.h"
#include "certs/bundle_set_private.h"
#include "certs/crl.h"

/* The signature of a list of a root is checked at once; that of another authority, which only a chain brings, when the
 * list names a certificate of it. */
static enum err check_root_signed(const struct bundle *bundle, X509_CRL *crl, struct why *why)
{
	bool has_namesake = false;
	for (size_t i = 0; i < bundle_num_all(bundle); i++) {
		X509 *root = bundle_get0_root(bundle, i);
		if (!crl_is_of(crl, root))
			continue;
		if (crl_is_genuine(crl, root))
			return ERR_NONE;
		has_namesake = true;
	}
	if (!has_namesake)
		return ERR_NONE;
	return why_set(why, ERR_CRYPTO, "a revocation list that its authority signed",
		"let the certificate authority publish a new list", "the list of a root of %s has another signature",
		bundle_trust_domain(bundle)->name);
}

static void replace_at(struct domain_trust *trust, size_t i, X509_CRL *crl)
{
	X509_CRL *before = sk_X509_CRL_value(trust->crls, i);
	CHECK(sk_X509_CRL_set(trust->crls, i, crl) != NULL);
	X509_CRL_free(before);
}

/* Takes *crl over where it is newer than that of the same issuer. False: there is none. */
static bool replace_crl(struct domain_trust *trust, X509_CRL **crl)
{
	for (size_t i = 0; i < sk_X509_CRL_num(trust->crls); i++) {
		X509_CRL *before = sk_X509_CRL_value(trust->crls, i);
		if (!crl_has_same_issuer(before, *crl))
			continue;
		if (crl_is_newer(*crl, before))
			replace_at(trust, i, TAKE_PTR(*crl));
		return true;
	}
	return false;
}

/* Takes *crl over, or leaves it to the caller. */
static enum err put_crl(struct domain_trust *trust, X509_CRL **crl, struct why *why)
{
	if (trust->crls == NULL)
		trust->crls = sk_X509_CRL_new_null();
	CHECK(trust->crls != NULL);
	if (replace_crl(trust, crl))
		return ERR_NONE;
	if (sk_X509_CRL_num(trust->crls) >= BUNDLE_CRLS_MAX)
		return why_set(why, ERR_LIMIT, "at most 64 revocation lists per trust domain",
			"remove lists of authorities that no longer sign",
			"the trust domain %s has more revocation lists", bundle_trust_domain(trust->bundle)->name);
	CHECK(sk_X509_CRL_push(trust->crls, TAKE_PTR(*crl)));
	return ERR_NONE;
}

static bool has_crl_of(const struct domain_trust *trust, const X509_CRL *crl)
{
	for (size_t i = 0; trust->crls != NULL && i < sk_X509_CRL_num(trust->crls); i++)
		if (crl_has_same_issuer(sk_X509_CRL_value(trust->crls, i), crl))
			return true;
	return false;
}

static enum err add_crl(struct bundle_set *set, const struct trust_domain *domain, struct span crl_der,
	bool may_replace, struct why *why)
{
	struct domain_trust *trust = (struct domain_trust *)bundle_set_domain(set, span_of_str(domain->name));
	bundle_set_check_unshared(set);
	if (trust == NULL)
		return why_set(why, ERR_NO_BUNDLE, "a bundle for the list's trust domain", "send the bundle with it",
			"there is a revocation list but no bundle for %s", domain->name);
	_cleanup_(X509_CRL_freep) X509_CRL *crl = NULL;
	RETURN_IF_ERR(crl_parse(crl_der, &crl, why));
	RETURN_IF_ERR(check_root_signed(trust->bundle, crl, why));
	if (!may_replace && has_crl_of(trust, crl))
		return ERR_EXISTS;
	return put_crl(trust, &crl, why);
}

enum err bundle_set_add_crl(
	struct bundle_set *set, const struct trust_domain *domain, struct span crl_der, struct why *why)
{
	return add_crl(set, domain, crl_der, true, why);
}

enum err bundle_set_add_own_crl(
	struct bundle_set *set, const struct trust_domain *domain, struct span crl_der, struct why *why)
{
	return add_crl(set, domain, crl_der, false, why);
}

void bundle_set_skip_crl(struct bundle_set *set, const struct why *why)
{
	bundle_set_check_unshared(set);
	if (set->num_skipped_crls++ == 0)
		set->first_skipped_crl = *why;
}

void bundle_set_lists(const struct bundle_set *set, int64_t now_s, struct revocation_lists *out)
{
	*out = (struct revocation_lists){.num_skipped = set->num_skipped_crls,
		.first_skipped = set->num_skipped_crls == 0 ? NULL : &set->first_skipped_crl};
	for (size_t i = 0; i < set->num_domains; i++) {
		const STACK_OF(X509_CRL) *crls = set->domains[i].crls;
		for (size_t at = 0; crls != NULL && at < sk_X509_CRL_num(crls); at++) {
			out->num++;
			out->ends_s = crl_next_update_s(sk_X509_CRL_value(crls, at));
			out->num_stale += out->ends_s <= now_s;
		}
	}
}

size_t bundle_set_num_crls(const struct bundle_set *set, struct span trust_domain)
{
	const struct domain_trust *trust = bundle_set_domain(set, trust_domain);
	return trust == NULL || trust->crls == NULL ? 0 : sk_X509_CRL_num(trust->crls);
}

enum err bundle_set_put_crl(const struct bundle_set *set, struct span trust_domain, size_t i, struct buf *out)
{
	uint8_t *der = NULL;
	CHECK(i < bundle_set_num_crls(set, trust_domain));
	int len = i2d_X509_CRL(sk_X509_CRL_value(bundle_set_domain(set, trust_domain)->crls, i), &der);
	CHECK(len > 0);
	enum err err = buf_append(out, span_of(der, (size_t)len));
	OPENSSL_free(der);
	return err;
}
