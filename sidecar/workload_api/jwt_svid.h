/* JWT-SVIDs: validated by the keys of the trust state, without the control plane; the keys as JWK sets. Pure.
 * Specification: JWT-SVID 2 to 4; RFC 7515, RFC 7517. */
#pragma once

#include "certs/bundle.h"
#include <jansson.h>

#define JWT_SVID_MAX      8192 /* bytes of a token; one of the control plane has about 500 */
#define JWT_SVID_LEEWAY_S 30   /* a token that was issued that far in the future: clocks of two hosts */

struct jwt_svid { /* zeroed is valid to jwt_svid_done() */
	struct spiffe_id id;
	json_t *claims;
};
/* ES256 with a kid of the bundle of the subject's own trust domain, sub, aud and exp alone are accepted. ERR_MALFORMED,
 * ERR_TOO_LARGE, ERR_UNSUPPORTED (alg), ERR_NO_BUNDLE, ERR_NOT_FOUND (kid), ERR_CRYPTO, ERR_EXPIRED, ERR_NOT_YET_VALID,
 * ERR_DENIED (audience), ERR_REVOKED (a banned identity). */
enum err jwt_svid_validate(struct span token, struct span audience, const struct bundle_set *bundles, int64_t now_s,
	struct jwt_svid *out, struct why *why) _must_use_;
void jwt_svid_done(struct jwt_svid *svid);

/* The JWK set of one trust domain, which may have no key. ERR_LIMIT: it does not fit. */
enum err jwt_svid_keys_encode(const struct bundle_set *bundles, struct span trust_domain, struct buf *out) _must_use_;
