#include "sidecar/workload_api/jwt_messages.h"

#include "base/core/check.h"
#include "base/core/mem.h"
#include "base/pb/unpack.h"
#include "proto/handfast/v1/identity.pb-c.h"
#include "proto/workload/spiffe.pb-c.h"
#include "sidecar/workload_api/bundle_entries.h"

enum { CLAIMS_MAX = 64, LIST_MAX = 64 };

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

struct claims {
	Handfast__Workload__Claims message;
	Handfast__Workload__Claim fields[CLAIMS_MAX], *field_pointers[CLAIMS_MAX];
	Handfast__Workload__ClaimValue values[CLAIMS_MAX];
	Handfast__Workload__ClaimList list; /* of aud */
	Handfast__Workload__ClaimText texts[LIST_MAX], *text_pointers[LIST_MAX];
};

static struct span text_of(const json_t *text)
{
	return span_of(json_string_value(text), json_string_length(text));
}

static void put_list(struct claims *out, const json_t *list, Handfast__Workload__ClaimValue *value)
{
	const json_t *item;
	size_t i;
	handfast__workload__claim_list__init(&out->list);
	out->list.values = out->text_pointers;
	json_array_foreach(list, i, item)
	{
		if (!json_is_string(item) || out->list.n_values == LIST_MAX)
			continue;
		size_t at = out->list.n_values++;
		handfast__workload__claim_text__init(&out->texts[at]);
		out->texts[at].string_value = pb_bytes(text_of(item));
		out->text_pointers[at] = &out->texts[at];
	}
	value->kind_case = HANDFAST__WORKLOAD__CLAIM_VALUE__KIND_LIST_VALUE;
	value->list_value = &out->list;
}

/* False: a claim of another kind, which is left out. */
static bool put_value(struct claims *out, const char *name, const json_t *claim, Handfast__Workload__ClaimValue *value)
{
	handfast__workload__claim_value__init(value);
	if (json_is_string(claim)) {
		value->kind_case = HANDFAST__WORKLOAD__CLAIM_VALUE__KIND_STRING_VALUE;
		value->string_value = pb_bytes(text_of(claim));
	} else if (json_is_number(claim)) {
		value->kind_case = HANDFAST__WORKLOAD__CLAIM_VALUE__KIND_NUMBER_VALUE;
		value->number_value = json_number_value(claim);
	} else if (json_is_boolean(claim)) {
		value->kind_case = HANDFAST__WORKLOAD__CLAIM_VALUE__KIND_BOOL_VALUE;
		value->bool_value = json_is_true(claim);
	} else if (json_is_array(claim) && strcmp(name, "aud") == 0) {
		put_list(out, claim, value);
	} else {
		return false;
	}
	return true;
}

static void claims_make(const json_t *claims, struct claims *out)
{
	const char *name;
	json_t *claim;
	handfast__workload__claims__init(&out->message);
	out->message.fields = out->field_pointers;
	json_object_foreach((json_t *)(uintptr_t)claims, name, claim)
	{
		size_t at = out->message.n_fields;
		if (at == CLAIMS_MAX || !put_value(out, name, claim, &out->values[at]))
			continue;
		handfast__workload__claim__init(&out->fields[at]);
		out->fields[at].key = pb_bytes(span_of_str(name));
		out->fields[at].value = &out->values[at];
		out->field_pointers[at] = &out->fields[at];
		out->message.n_fields++;
	}
}

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
	struct claims *claims = mem_new(struct claims);
	claims_make(svid.claims, claims);
	Handfast__Workload__ValidateJwtSvidResponse answer = HANDFAST__WORKLOAD__VALIDATE_JWT_SVID_RESPONSE__INIT;
	answer.spiffe_id = pb_bytes(spiffe_id_text(&svid.id));
	answer.claims = &claims->message;
	enum err err = pb_pack(&answer.base, out);
	mem_free(claims);
	return err;
}
