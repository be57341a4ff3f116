/* Revocation lists: parsed and sane by themselves. Whether the right key signed one, and whether it is fresh, is judged
 * when a chain is verified. Inside certs only. */
#pragma once

#include "base/core/err.h"
#include "base/core/span.h"

#define CRL_MAX (1024 * 1024) /* bytes */

struct X509_crl_st;

/* DER without trailing bytes, version 2, a nextUpdate (without one a list could be replayed for ever), an issuer, a
 * SHA-2 or Ed25519 signature, no critical extension that is not understood. ERR_MALFORMED, ERR_UNSUPPORTED. */
enum err crl_parse(struct span der, struct X509_crl_st **out, struct why *why) _must_use_;
int64_t crl_next_update_s(const struct X509_crl_st *crl);
