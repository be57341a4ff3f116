/* Path validation (RFC 5280 6) by BoringSSL, from a parsed chain to one candidate root at a time. Time and anchors are
 * arguments. Private to certs. */
#pragma once

#include "certs/bundle.h"
#include "certs/svid.h"

struct x509_st;
struct stack_st_X509_CRL;

struct path_input {
	const struct svid *svid;
	struct x509_st *const *roots; /* self-signed, checked when added */
	size_t num_roots;
	struct stack_st_X509_CRL
		*crls; /* NULL: none. Each withdraws what it names of its own authority's certificates */
	const struct bundle_set *revoker; /* refuses serials of leaf and intermediates; NULL: none */
	int64_t now_s;
	bool ignore_not_before; /* no other check is skipped */
	/* Revalidation of a chain that was valid before: fails only if its root was removed or a certificate was
	 * revoked. Expiry is ignored. */
	bool is_revalidation;
};

/* ERR_UNTRUSTED, ERR_EXPIRED, ERR_NOT_YET_VALID, ERR_REVOKED. *out_until_s: the earliest end of validity in the path,
 * root included. */
enum err path_verify(const struct path_input *input, int64_t *out_until_s, struct why *why) _must_use_;
