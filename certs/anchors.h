/* Trust anchors as BoringSSL objects: parsed roots and revocation lists. Private to certs: bundle.c writes, path.c
 * reads. Immutable once shared between threads. */
#pragma once

#include "certs/bundle.h"

struct x509_st;
struct stack_st_X509_CRL;

struct x509_st *bundle_get0_root(const struct bundle *bundle, size_t i);
/* The domain's revocation lists, borrowed. NULL: it has none. */
struct stack_st_X509_CRL *bundle_set_get0_crls(const struct bundle_set *set, struct span trust_domain);
