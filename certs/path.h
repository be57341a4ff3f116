/* From a parsed chain to a root: the library's path validation (RFC 5280 6), one candidate root at a time, with time
 * and anchors as arguments, and its verdict translated. Inside certs only. */
#pragma once

#include "certs/svid.h"

struct x509_st;
struct stack_st_X509_CRL;

struct path_input {
	const struct svid *svid;
	struct x509_st *const *roots; /* self-signed, checked when they came */
	size_t num_roots;
	struct stack_st_X509_CRL *crls; /* NULL: revocation is not checked; else each authority of the path needs one */
	int64_t now_s;
	bool ignore_not_before; /* and only that */
	/* A chain that was good before: only what was taken back since counts, a root or a listed certificate. Time
	 * does not, nor does a revocation list that is missing or stale. */
	bool is_standing;
};

/* ERR_UNTRUSTED, ERR_EXPIRED, ERR_NOT_YET_VALID, ERR_REVOKED. *out_until_s: the first notAfter of the path, root and
 * revocation lists included. */
enum err path_verify(const struct path_input *input, int64_t *out_until_s, struct why *why) _must_use_;
