/* caBundle of a webhook's registration (admissionregistration.k8s.io/v1, WebhookClientConfig): PEM certificates, in
 * base64. Each replica of the control plane adds its own authorities; those of replicas that are gone end some time
 * after their notAfter. Pure. */
#pragma once

#include "base/core/buf.h"

#define CA_BUNDLE_AUTHORITIES_MAX                                                                                      \
	32 /* beyond it the one that expires first goes: a replica that restarts in a loop                             \
	    */
/* From notAfter on: a replica whose clock is ahead does not remove the living authorities of others (K24). */
#define CA_BUNDLE_EXPIRED_S (30ll * 86400)
#define CA_BUNDLE_TEXT_MAX  (256u * 1024) /* bytes of base64 that are read and written; more is replaced */

/* What `before` (base64; empty: none) must become so that it has every one of `own` (DER), and nothing that expired
 * CA_BUNDLE_EXPIRED_S ago or is no certificate. False: it is right as it is; nothing is appended to *out. */
bool ca_bundle_repair(struct span before, const struct span *own, size_t num_own, int64_t now_s, struct buf *out);

bool ca_bundle_has(struct span bundle, struct span authority); /* base64; DER */
