/* By which algorithms certificates and revocation lists may be signed, and whether an authority signed one. A trust
 * state that comes anew repeats most of the last one: each thread remembers the signatures that held, by a hash over
 * the authority and all that was signed, and does not compute them twice. What does not hold is never remembered. */
#pragma once

#include "base/core/cleanup.h"
#include "certs/boringssl.h"
#include <stdbool.h>

/* Whether certificates and revocation lists may be signed so: SHA-2 or Ed25519; RSASSA-PSS with SHA-2, MGF1 over the
 * same hash and a salt of its length, which is what BoringSSL verifies. One list for both: of an authority whose
 * certificates are accepted the lists are, too. */
bool signature_algorithm_is_allowed(const X509_ALGOR *algorithm) _must_use_;
/* For messages; static. */
const char *signature_algorithm_name(const X509_ALGOR *algorithm);
bool signature_of_cert_is_by(const X509 *cert, X509 *authority) _must_use_;
bool signature_of_crl_is_by(X509_CRL *crl, X509 *authority) _must_use_;
/* How many signatures this thread has computed. For tests. */
unsigned signature_num_computed(void);
