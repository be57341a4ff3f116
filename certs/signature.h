/* Whether an authority signed a certificate or a revocation list. A trust state that comes anew repeats most of the
 * last one: each thread remembers the signatures that held, by a hash over the authority and all that was signed, and
 * does not compute them twice. What does not hold is never remembered. */
#pragma once

#include "base/core/cleanup.h"
#include "certs/boringssl.h"
#include <stdbool.h>

bool signature_of_cert_is_by(const X509 *cert, X509 *authority) _must_use_;
bool signature_of_crl_is_by(X509_CRL *crl, X509 *authority) _must_use_;
/* How many signatures this thread has computed. For tests. */
unsigned signature_num_computed(void);
