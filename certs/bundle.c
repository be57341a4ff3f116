#include "certs/bundle.h"
#include "base/core/check.h"
#include "base/core/mem.h"
#include "certs/anchors.h"
#include "certs/boringssl.h"
#include "certs/cert.h"
#include "certs/cert_rules.h"
#include "certs/signature.h"
#include <stdatomic.h>
#include <stdio.h>

struct root {
	CRYPTO_BUFFER *der;
	X509 *parsed;
};

struct bundle {
	atomic_uint refs;
	struct trust_domain domain;
	size_t num_roots, num_retired; /* the retired ones are the last of num_roots */
	struct root roots[];
};

bool epoch_eq(const struct epoch *a, const struct epoch *b)
{
	return a->incarnation == b->incarnation && a->counter == b->counter;
}

static void bundle_free(struct bundle *bundle)
{
	for (size_t i = 0; i < bundle->num_roots; i++) {
		CRYPTO_BUFFER_free(bundle->roots[i].der);
		X509_free(bundle->roots[i].parsed);
	}
	mem_free(bundle);
}
DEFINE_CLEANUP(struct bundle *, bundle_free)

/* A root must be signed by its own key; else its issuer was meant to be in the bundle. */
static enum err check_self_signed(X509 *cert, const char *which, struct why *why)
{
	bool is_self_issued = X509_NAME_cmp(X509_get_subject_name(cert), X509_get_issuer_name(cert)) == 0;
	if (is_self_issued && signature_of_cert_is_by(cert, cert))
		return ERR_NONE;
	return why_set(why, ERR_NOT_SVID, "a root certificate, signed by its own key",
		"put the root into the bundle, not an intermediate or a leaf", "%s is signed by another key", which);
}

static enum err add_root(struct bundle *bundle, struct span der, struct why *why)
{
	char which[64];
	CHECK(bundle->num_roots < BUNDLE_ROOTS_MAX);
	snprintf(which, sizeof(which), "root %zu of the bundle", bundle->num_roots + 1);
	struct root *root = &bundle->roots[bundle->num_roots];
	RETURN_IF_ERR(cert_buffer_new(der, which, &root->der, why));
	bundle->num_roots++; /* released with the bundle */
	RETURN_IF_ERR(cert_parse(root->der, which, &root->parsed, why));
	RETURN_IF_ERR(cert_check_issuer(root->parsed, true, span_of_str(bundle->domain.name), which, why));
	return check_self_signed(root->parsed, which, why);
}

enum err bundle_new_with_retired(const struct trust_domain *domain, const struct span *roots_der, size_t num_all,
	size_t num_retired, struct bundle **out, struct why *why)
{
	CHECK(num_retired <= num_all);
	if (num_all > BUNDLE_ROOTS_MAX)
		return why_set(why, ERR_LIMIT, "at most 32 roots per bundle",
			"remove roots that no longer sign anything", "the bundle has %zu roots", num_all);
	_cleanup_(bundle_freep) struct bundle *bundle =
		mem_zalloc(sizeof(struct bundle) + num_all * sizeof(struct root));
	atomic_init(&bundle->refs, 1);
	bundle->domain = *domain;
	for (size_t i = 0; i < num_all; i++)
		RETURN_IF_ERR(add_root(bundle, roots_der[i], why));
	bundle->num_retired = num_retired;
	*out = TAKE_PTR(bundle);
	return ERR_NONE;
}

struct bundle *bundle_ref(struct bundle *bundle)
{
	unsigned before = atomic_fetch_add_explicit(&bundle->refs, 1, memory_order_relaxed);
	CHECK(before > 0 && before < UINT32_MAX);
	return bundle;
}

void bundle_unref(struct bundle *bundle)
{
	if (bundle == NULL)
		return;
	unsigned before = atomic_fetch_sub_explicit(&bundle->refs, 1, memory_order_acq_rel);
	CHECK(before > 0);
	if (before == 1)
		bundle_free(bundle);
}

const struct trust_domain *bundle_trust_domain(const struct bundle *bundle)
{
	return &bundle->domain;
}

size_t bundle_num_roots(const struct bundle *bundle)
{
	return bundle->num_roots - bundle->num_retired;
}

size_t bundle_num_all(const struct bundle *bundle)
{
	return bundle->num_roots;
}

int64_t bundle_ends_s(const struct bundle *bundle)
{
	int64_t last = 0;
	for (size_t i = 0; i < bundle_num_roots(bundle); i++) {
		int64_t end = cert_not_after_s(bundle->roots[i].parsed);
		last = end > last ? end : last;
	}
	return last;
}

struct span bundle_root(const struct bundle *bundle, size_t i)
{
	CHECK(i < bundle->num_roots);
	const CRYPTO_BUFFER *der = bundle->roots[i].der;
	return span_of(CRYPTO_BUFFER_data(der), CRYPTO_BUFFER_len(der));
}

X509 *bundle_get0_root(const struct bundle *bundle, size_t i)
{
	CHECK(i < bundle->num_roots);
	return bundle->roots[i].parsed;
}
