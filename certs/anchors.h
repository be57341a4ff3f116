/* What a chain is verified against, as the library wants it: parsed roots and revocation lists. Inside certs only:
 * bundle.c fills it, path.c reads it. Shared by threads, never changed once shared. */
#pragma once

#include "certs/bundle.h"

struct x509_st;
struct stack_st_X509_CRL;

struct x509_st *bundle_get0_root(const struct bundle *bundle, size_t i);
/* The domain's revocation lists; NULL: it has none, and none are asked for. Borrowed. */
struct stack_st_X509_CRL *bundle_set_get0_crls(const struct bundle_set *set, struct span trust_domain);
