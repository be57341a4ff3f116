/* The messages of the Workload API about JWT-SVIDs, and those of the control plane. The generated code is used only in
 * jwt_messages.c. */
#pragma once

#include "certs/bundle.h"
#include "sidecar/workload_api/jwt_svid.h"

#define JWT_FETCH_PATH    "/handfast.v1.Identity/FetchJwt"
#define JWT_AUDIENCES_MAX 8

/* A JWTSVIDRequest as a JwtRequest of the control plane. ERR_MALFORMED; ERR_DENIED: it asks for another identity. */
enum err jwt_request_translate(
	struct span bytes, const struct spiffe_id *own, struct buf *out, struct why *why) _must_use_;
/* A JwtResponse as a JWTSVIDResponse. */
enum err jwt_answer_translate(
	struct span bytes, const struct spiffe_id *own, struct buf *out, struct why *why) _must_use_;
/* JWTBundlesResponse of all trust domains. */
enum err jwt_bundles_encode(const struct bundle_set *bundles, struct buf *out) _must_use_;
/* A ValidateJWTSVIDRequest, judged, as a ValidateJWTSVIDResponse. Errors as jwt_svid_validate(). */
enum err jwt_validation_translate(struct span bytes, const struct bundle_set *bundles, int64_t now_s, struct buf *out,
	struct why *why) _must_use_;
