/* The answer of a SPIFFE Workload API (X509SVIDResponse) as this program's structs: one of its SVIDs with the private
 * key, and the bundles. Pure. The chain is not validated here: credentials_new() does that.
 * Specification: SPIFFE Workload API 5.2.1; X509-SVID 4. */
#pragma once

#include "certs/bundle.h"
#include "certs/private_key.h"
#include "certs/svid.h"

#define WORKLOAD_ANSWER_MAX (4u * 1024 * 1024) /* bytes of a message */
#define WORKLOAD_SVIDS_MAX  64                 /* SVIDs of a message */

struct workload_choice {                 /* borrowed */
	const struct trust_domain *own;  /* the SVID must be of this trust domain */
	const char *wanted;              /* the SVID must be for this SPIFFE ID; NULL: see `present` */
	const struct spiffe_id *present; /* the identity in use, which goes before the first one; NULL: none */
	/* The bundles in use; NULL: none. A root that has ended and is no longer in the answer stays as a retired one
	 * (bundle.h): its connections go on. One that is missing before its end has been withdrawn. */
	const struct bundle_set *bundles;
	int64_t now_s;
};

struct workload_answer { /* zeroed is valid to workload_answer_done() */
	struct svid *svid;
	struct private_key *key;
	struct bundle_set *bundles; /* of the own trust domain, and of the federated ones */
	unsigned num_skipped;       /* roots and bundles that are not usable; the others are in `bundles` */
	struct why skipped;         /* why the first of them is not */
};
void workload_answer_done(struct workload_answer *answer);
/* ERR_MALFORMED, ERR_TOO_LARGE; ERR_NOT_FOUND: no SVID for `wanted`; ERR_WRONG_PEER: another trust domain;
 * ERR_WEAK_KEY: not a P-256 key; the errors of svid_parse(). *out is untouched then. */
enum err workload_answer_parse(struct span message, const struct workload_choice *choice, struct workload_answer *out,
	struct why *why) _must_use_;

/* For the answer of another source (istio_answer.h): makes the bundle of a trust domain of these certificates (DER, at
 * most BUNDLE_ROOTS_MAX) and the retired ones of the choice. A root that is not usable leaves the others in use, since
 * it is one that signs nothing here: it is counted as skipped. answer->bundles must be there. */
void workload_answer_add_roots(struct workload_answer *answer, const struct trust_domain *domain,
	const struct span *roots, size_t num, const struct workload_choice *choice);
