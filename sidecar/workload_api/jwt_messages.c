#include "sidecar/workload_api/jwt_messages.h"

#include "base/core/check.h"
#include "base/pb/unpack.h"
#include "proto/handfast/v1/identity.pb-c.h"
#include "proto/workload/spiffe.pb-c.h"
#include "sidecar/workload_api/bundle_entries.h"
#include "sidecar/workload_api/jwt_claims.h"

/* --- a token --- */

enum err jwt_request_translate(struct span bytes, const struct spiffe_id *own, struct buf *out, struct why *why)
{
	_cleanup_(pb_arena_freep) struct pb_arena *arena = NULL;
	ProtobufCMessage *base;
	RETURN_IF_ERR(pb_unpack(&handfast__workload__jwt_svid_request__descriptor, bytes, &arena, &base, why));
	const Handfast__Workload__JwtSvidRequest *request = (const Handfast__Workload__JwtSvidRequest *)base;
	if (request->n_audience == 0 || request->n_audience > JWT_AUDIENCES_MAX)
		return why_set(why, ERR_MALFORMED, "1 to 8 audiences", "name the service that the token is for",
			"the request has %zu audiences", request->n_audience);
	if (request->spiffe_id.len > 0 && !span_eq(pb_span(request->spiffe_id), spiffe_id_text(own)))
		return why_set(why, ERR_DENIED, "the identity of this workload",
			"leave the SPIFFE ID of the request out", "the request is for another identity");
	Handfast__V1__JwtRequest up = HANDFAST__V1__JWT_REQUEST__INIT;
	up.n_audience = request->n_audience;
	up.audience = request->audience;
	return pb_pack(&up.base, out);
}

enum err jwt_answer_translate(struct span bytes, const struct spiffe_id *own, struct buf *out, struct why *why)
{
	_cleanup_(pb_arena_freep) struct pb_arena *arena = NULL;
	ProtobufCMessage *base;
	RETURN_IF_ERR(pb_unpack(&handfast__v1__jwt_response__descriptor, bytes, &arena, &base, why));
	const Handfast__V1__JwtResponse *down = (const Handfast__V1__JwtResponse *)base;
	Handfast__Workload__JwtSvid svid = HANDFAST__WORKLOAD__JWT_SVID__INIT, *svids[] = {&svid};
	svid.spiffe_id = pb_bytes(spiffe_id_text(own));
	svid.svid = down->token;
	Handfast__Workload__JwtSvidResponse answer = HANDFAST__WORKLOAD__JWT_SVID_RESPONSE__INIT;
	answer.n_svids = 1;
	answer.svids = svids;
	return pb_pack(&answer.base, out);
}

/* --- bundles --- */

static enum err put_keys(const struct bundle_set *bundles, const struct bundle *bundle, struct buf *out)
{
	return jwt_svid_keys_encode(bundles, span_of_str(bundle_trust_domain(bundle)->name), out);
}

enum err jwt_bundles_encode(const struct bundle_set *bundles, struct buf *out)
{
	_cleanup_(bundle_entries_done) struct bundle_entries sets = {0};
	RETURN_IF_ERR(bundle_entries_make(bundles, NULL, put_keys, &sets));
	Handfast__Workload__JwtBundlesResponse answer = HANDFAST__WORKLOAD__JWT_BUNDLES_RESPONSE__INIT;
	answer.n_bundles = sets.num;
	answer.bundles = sets.pointers;
	return pb_pack(&answer.base, out);
}

/* --- validation --- */

enum err jwt_validation_translate(
	struct span bytes, const struct bundle_set *bundles, int64_t now_s, struct buf *out, struct why *why)
{
	_cleanup_(pb_arena_freep) struct pb_arena *arena = NULL;
	_cleanup_(jwt_svid_done) struct jwt_svid svid = {0};
	ProtobufCMessage *base;
	RETURN_IF_ERR(pb_unpack(&handfast__workload__validate_jwt_svid_request__descriptor, bytes, &arena, &base, why));
	const Handfast__Workload__ValidateJwtSvidRequest *request =
		(const Handfast__Workload__ValidateJwtSvidRequest *)base;
	RETURN_IF_ERR(
		jwt_svid_validate(pb_span(request->svid), pb_span(request->audience), bundles, now_s, &svid, why));
	_cleanup_(buf_done) struct buf claims = BUF_INIT(JWT_CLAIMS_MAX);
	RETURN_IF_ERR(jwt_claims_encode(svid.claims, &claims, why));
	Handfast__Workload__ValidateJwtSvidResponse answer = HANDFAST__WORKLOAD__VALIDATE_JWT_SVID_RESPONSE__INIT;
	answer.spiffe_id = pb_bytes(spiffe_id_text(&svid.id));
	answer.claims = pb_bytes(buf_span(&claims));
	return pb_pack(&answer.base, out);
}
