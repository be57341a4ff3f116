/* Credentials as messages of the SPIFFE Workload API. The generated code is used only in workload_messages.c. */
#pragma once

#include "certs/credentials.h"

/* The largest answer: 256 bundles of 16 roots of about 1 KB. */
#define WORKLOAD_MESSAGE_MAX (4u * 1024 * 1024)

/* X509SVIDResponse: one SVID with its private key (the caller wipes *out), the bundle of its own trust domain without
 * retired roots, and the bundles of the others. ERR_LIMIT: it does not fit into *out. */
enum err workload_x509_svid_encode(const struct credentials *credentials, struct buf *out) _must_use_;
/* X509BundlesResponse: the bundles of all trust domains. */
enum err workload_x509_bundles_encode(const struct credentials *credentials, struct buf *out) _must_use_;
