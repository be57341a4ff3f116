/* Parsing of revocation lists (CRLs). Their signature and freshness are checked when a chain is verified. Private to
 * certs. */
#pragma once

#include "base/core/err.h"
#include "base/core/span.h"

#define CRL_MAX (1024 * 1024) /* bytes */

struct X509_crl_st;

/* DER without trailing bytes, version 2, a nextUpdate (without one a list could be replayed forever), an
 * issuer, a SHA-2 or Ed25519 signature, no unknown critical extension. ERR_MALFORMED, ERR_UNSUPPORTED. */
enum err crl_parse(struct span der, struct X509_crl_st **out, struct why *why) _must_use_;
int64_t crl_next_update_s(const struct X509_crl_st *crl);
