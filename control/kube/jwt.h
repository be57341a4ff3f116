/* Service account tokens: compact JWS (RFC 7515 7.1) with the claims that Kubernetes makes. Parsed once, within bounds;
 * what is verified is what is used (W13): the signature covers the bytes that the claims were parsed from, base64url
 * has one spelling, JSON objects have no doubled keys and nothing behind them. Stricter than RFC 7519: RS256 and ES256
 * alone, a `kid`, an `exp` and an `iss` are required, `crit` is refused. Pure. */
#pragma once

#include "base/core/buf.h"
#include "certs/web_key.h"
#include "control/kube/kube_subject.h"

#define JWT_MAX           8192 /* bytes of a token; a real one has about 1,200 */
#define JWT_KID_MAX       255
#define JWT_AUDIENCES_MAX 16
#define JWT_LEEWAY_S      60 /* clocks of two hosts: for nbf and iat. exp has none. */

struct json_t;

struct jwt {                     /* zeroed is valid to jwt_done() */
	struct span signed_part; /* header and claims, as they were sent; borrowed from the token */
	enum web_signature alg;
	char kid[JWT_KID_MAX + 1];
	struct buf signature;
	int64_t expires_s, not_before_s, issued_s; /* since 1970; 0: not given */
	struct kube_subject subject;
	struct json_t *claims;
	const char *issuer; /* borrowed from claims */
};

/* Nothing is verified: jwks_verify() and the checks below come before a claim is used. ERR_TOO_LARGE, ERR_MALFORMED,
 * ERR_UNSUPPORTED (alg, crit), ERR_DENIED (another kind of subject; bound to no pod). */
enum err jwt_parse(struct span token, struct jwt *out, struct why *why) _must_use_;
void jwt_done(struct jwt *jwt);

/* ERR_DENIED: the token is for others. */
enum err jwt_check_audience(const struct jwt *jwt, const char *audience, struct why *why) _must_use_;
/* ERR_EXPIRED, ERR_NOT_YET_VALID. */
enum err jwt_check_times(const struct jwt *jwt, int64_t now_s, struct why *why) _must_use_;
/* ERR_DENIED: another cluster made it. */
enum err jwt_check_issuer(const struct jwt *jwt, const char *issuer, struct why *why) _must_use_;
