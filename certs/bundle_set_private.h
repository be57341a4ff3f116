/* The set of bundles as its files see it: bundle_set.c, bundle_crls.c. Only files of this folder include this header.
 */
#pragma once

#include "base/core/check.h"
#include "certs/boringssl.h"
#include "certs/bundle.h"
#include "certs/web_key.h"
#include <stdatomic.h>

#define SERIAL_MAX 20 /* bytes, RFC 5280 4.1.2.2 */

struct domain_trust {
	struct bundle *bundle;
	STACK_OF(X509_CRL) * crls; /* NULL: none */
	struct jwt_key {
		char kid[BUNDLE_KID_MAX + 1];
		uint8_t spki[WEB_KEY_P256_SPKI_LEN];
	} * jwt_keys; /* NULL: none */
	size_t num_jwt_keys;
};

struct bundle_set {
	atomic_uint refs;
	size_t num_domains;
	struct domain_trust domains[BUNDLE_SET_MAX];
	size_t num_banned, cap_banned;
	struct spiffe_id *banned; /* sorted by text, unique */
	size_t num_revoked, cap_revoked;
	struct serial {
		uint8_t len, bytes[SERIAL_MAX];
	} * revoked; /* sorted, unique */
	size_t num_skipped_crls;
	struct why first_skipped_crl;
};

/* A set is filled before it is shared: its readers take no lock. */
static inline void bundle_set_check_unshared(const struct bundle_set *set)
{
	CHECK(atomic_load_explicit(&set->refs, memory_order_relaxed) == 1);
}

static inline const struct domain_trust *bundle_set_domain(const struct bundle_set *set, struct span domain)
{
	for (size_t i = 0; i < set->num_domains; i++)
		if (span_eq(span_of_str(bundle_trust_domain(set->domains[i].bundle)->name), domain))
			return &set->domains[i];
	return NULL;
}
