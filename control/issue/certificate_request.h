/* The certification request (PKCS#10, RFC 2986) for an intermediate that an authority of the operator's is to sign. It
 * asks for what the mesh needs: a subject of its own, cA with path length 0, keyCertSign and cRLSign, and the trust
 * domain as URI (X509-SVID 3.2), so that an authority which copies extensions needs no profile. */
#pragma once

#include "base/core/buf.h"
#include "certs/private_key.h"

/* trust_domain: "cluster.local". Appends DER. */
enum err certificate_request_make(
	const struct private_key *key, const char *trust_domain, struct buf *out_der, struct why *why) _must_use_;
