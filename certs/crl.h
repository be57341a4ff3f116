/* Parsing of revocation lists (CRLs). Which of them concern a chain is decided when it is verified. Private to
 * certs. */
#pragma once

#include "base/core/err.h"
#include "base/core/span.h"
#include <stdbool.h>
#include <stdint.h>

#define CRL_MAX (1024 * 1024) /* bytes */

struct X509_crl_st;

/* DER without trailing bytes, version 2, a nextUpdate (without one a list could be replayed forever), an
 * issuer, an authorityKeyIdentifier and a CRL number (RFC 5280 5.2.1, 5.2.3), a signature of those of
 * signature_algorithm_is_allowed(), as certificates; no critical extension, no entry removeFromCRL. The signature is
 * not verified. ERR_TOO_LARGE (more than CRL_MAX), ERR_MALFORMED, ERR_UNSUPPORTED. */
enum err crl_parse(struct span der, struct X509_crl_st **out, struct why *why) _must_use_;
int64_t crl_next_update_s(const struct X509_crl_st *crl);
/* Both are of one authority's key: by its name and by authorityKeyIdentifier. */
bool crl_has_same_issuer(const struct X509_crl_st *a, const struct X509_crl_st *b);
bool crl_is_newer(const struct X509_crl_st *crl, const struct X509_crl_st *than); /* by the CRL number */
struct x509_st;
/* Whether `authority` may have issued the list: by name, and by the key identifiers if it has one. */
bool crl_is_of(const struct X509_crl_st *crl, struct x509_st *authority);
/* Its signature is that authority's, whose key may sign lists. */
bool crl_is_genuine(struct X509_crl_st *crl, struct x509_st *authority);
