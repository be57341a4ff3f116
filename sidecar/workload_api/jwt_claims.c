#include "sidecar/workload_api/jwt_claims.h"

#include "base/core/mem.h"
#include "base/pb/unpack.h"
#include "proto/workload/spiffe.pb-c.h"

struct value { /* zeroed is valid to value_done() */
	Handfast__Workload__ClaimValue message;
	struct buf nested; /* of an object or a list, encoded */
};

static enum err put_object(const json_t *object, unsigned depth, struct buf *out);
static enum err put_list(const json_t *list, unsigned depth, struct buf *out);

static void value_done(struct value *value)
{
	buf_done(&value->nested);
}

static enum err value_make_nested(struct value *value, const json_t *json, unsigned depth)
{
	if (depth == JWT_CLAIMS_DEPTH_MAX)
		return ERR_UNSUPPORTED;
	value->nested = BUF_INIT(JWT_CLAIMS_MAX);
	if (json_is_object(json)) {
		RETURN_IF_ERR(put_object(json, depth + 1, &value->nested));
		value->message.kind_case = HANDFAST__WORKLOAD__CLAIM_VALUE__KIND_STRUCT_VALUE;
		value->message.struct_value = pb_bytes(buf_span(&value->nested));
		return ERR_NONE;
	}
	RETURN_IF_ERR(put_list(json, depth + 1, &value->nested));
	value->message.kind_case = HANDFAST__WORKLOAD__CLAIM_VALUE__KIND_LIST_VALUE;
	value->message.list_value = pb_bytes(buf_span(&value->nested));
	return ERR_NONE;
}

static enum err value_make(struct value *value, const json_t *json, unsigned depth)
{
	Handfast__Workload__ClaimValue *message = &value->message;
	handfast__workload__claim_value__init(message);
	if (json_is_object(json) || json_is_array(json))
		return value_make_nested(value, json, depth);
	if (json_is_string(json)) {
		message->kind_case = HANDFAST__WORKLOAD__CLAIM_VALUE__KIND_STRING_VALUE;
		message->string_value = pb_bytes(span_of(json_string_value(json), json_string_length(json)));
	} else if (json_is_number(json)) {
		message->kind_case = HANDFAST__WORKLOAD__CLAIM_VALUE__KIND_NUMBER_VALUE;
		message->number_value = json_number_value(json);
	} else if (json_is_boolean(json)) {
		message->kind_case = HANDFAST__WORKLOAD__CLAIM_VALUE__KIND_BOOL_VALUE;
		message->bool_value = json_is_true(json);
	} else {
		message->kind_case = HANDFAST__WORKLOAD__CLAIM_VALUE__KIND_NULL_VALUE;
		message->null_value = 0; /* NullValue.NULL_VALUE */
	}
	return ERR_NONE;
}

static enum err put_field(const char *name, const json_t *json, unsigned depth, struct buf *out)
{
	_cleanup_(value_done) struct value value = {.nested = {0}};
	_cleanup_(buf_done) struct buf packed = BUF_INIT(JWT_CLAIMS_MAX);
	RETURN_IF_ERR(value_make(&value, json, depth));
	Handfast__Workload__Claim claim = HANDFAST__WORKLOAD__CLAIM__INIT;
	claim.key = pb_bytes(span_of_str(name));
	claim.value = &value.message;
	RETURN_IF_ERR(pb_pack(&claim.base, &packed));
	/* A Struct with this field alone: messages one after the other are one message with the fields of both. */
	ProtobufCBinaryData field = pb_bytes(buf_span(&packed));
	Handfast__Workload__Claims claims = HANDFAST__WORKLOAD__CLAIMS__INIT;
	claims.n_fields = 1;
	claims.fields = &field;
	return pb_pack(&claims.base, out);
}

static enum err put_object(const json_t *object, unsigned depth, struct buf *out)
{
	const char *name;
	json_t *json;
	json_object_foreach((json_t *)(uintptr_t)object, name, json)
	{
		RETURN_IF_ERR(put_field(name, json, depth, out));
	}
	return ERR_NONE;
}

static enum err put_item(const json_t *json, unsigned depth, struct buf *out)
{
	_cleanup_(value_done) struct value value = {.nested = {0}};
	_cleanup_(buf_done) struct buf packed = BUF_INIT(JWT_CLAIMS_MAX);
	RETURN_IF_ERR(value_make(&value, json, depth));
	RETURN_IF_ERR(pb_pack(&value.message.base, &packed));
	ProtobufCBinaryData item = pb_bytes(buf_span(&packed));
	Handfast__Workload__ClaimList list = HANDFAST__WORKLOAD__CLAIM_LIST__INIT;
	list.n_values = 1;
	list.values = &item;
	return pb_pack(&list.base, out);
}

static enum err put_list(const json_t *list, unsigned depth, struct buf *out)
{
	const json_t *json;
	size_t i;
	json_array_foreach(list, i, json)
	{
		RETURN_IF_ERR(put_item(json, depth, out));
	}
	return ERR_NONE;
}

enum err jwt_claims_encode(const json_t *claims, struct buf *out, struct why *why)
{
	enum err err = put_object(claims, 0, out);
	if (err == ERR_NONE)
		return ERR_NONE;
	return why_set(why, err, "claims that nest 32 deep at most, and that fit", "issue tokens with fewer claims",
		"%s", err == ERR_UNSUPPORTED ? "the token's claims nest deeper" : "the token's claims are too large");
}
