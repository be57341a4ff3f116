/* Explains BoringSSL's errors of path validation: which certificate, what was expected, how to fix it. Private to
 * certs. */
#pragma once

#include "base/core/err.h"
#include "certs/svid.h"
#include <stdbool.h>

struct x509_st;
struct x509_store_ctx_st;

/* Each fills *why and returns the error. `sent` is the chain as the peer sent it. */
enum err path_explain_verdict(const struct x509_store_ctx_st *context, struct x509_st *const *sent, size_t num_sent,
	const struct x509_st *root, int64_t now_s, struct why *why) _must_use_;
enum err path_explain_expired(const struct x509_st *cert, const char *which, int64_t now_s, struct why *why) _must_use_;
enum err path_explain_revoked(const struct x509_st *cert, const char *which, struct why *why) _must_use_;
enum err path_explain_no_root(
	const struct svid *svid, const struct x509_st *last, size_t num_roots, struct why *why) _must_use_;
