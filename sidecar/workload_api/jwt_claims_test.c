#include "sidecar/workload_api/jwt_claims.h"

#include "base/core/cleanup.h"
#include "base/core/mem.h"
#include "base/pb/unpack.h"
#include "proto/workload/spiffe.pb-c.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
/* cmocka requires the headers above */
#include <cmocka.h>

static enum err encoded(const char *text, struct buf *out)
{
	struct why why = {0};
	json_t *json = json_loads(text, 0, NULL);
	assert_non_null(json);
	enum err err = jwt_claims_encode(json, out, &why);
	assert_int_equal(err, why.err);
	json_decref(json);
	return err;
}

static const ProtobufCMessage *unpacked(
	const ProtobufCMessageDescriptor *type, struct span bytes, struct pb_arena **arena)
{
	ProtobufCMessage *message = NULL;
	assert_int_equal(pb_unpack(type, bytes, arena, &message, NULL), ERR_NONE);
	return message;
}

/* What JSON has there is what comes out, by the same rules as protobuf's own mapping of JSON. */
static json_t *json_of_struct(struct span bytes);

static json_t *json_of_list(struct span bytes);

static json_t *json_of_value(const Handfast__Workload__ClaimValue *value)
{
	switch (value->kind_case) {
	case HANDFAST__WORKLOAD__CLAIM_VALUE__KIND_NULL_VALUE:
		return json_null();
	case HANDFAST__WORKLOAD__CLAIM_VALUE__KIND_NUMBER_VALUE:
		return json_real(value->number_value);
	case HANDFAST__WORKLOAD__CLAIM_VALUE__KIND_STRING_VALUE:
		return json_stringn((const char *)value->string_value.data, value->string_value.len);
	case HANDFAST__WORKLOAD__CLAIM_VALUE__KIND_BOOL_VALUE:
		return json_boolean(value->bool_value);
	case HANDFAST__WORKLOAD__CLAIM_VALUE__KIND_STRUCT_VALUE:
		return json_of_struct(pb_span(value->struct_value));
	case HANDFAST__WORKLOAD__CLAIM_VALUE__KIND_LIST_VALUE:
		return json_of_list(pb_span(value->list_value));
	case HANDFAST__WORKLOAD__CLAIM_VALUE__KIND__NOT_SET:
	case _HANDFAST__WORKLOAD__CLAIM_VALUE__KIND__CASE_IS_INT_SIZE:
		break;
	}
	fail();
	return NULL;
}

static json_t *json_of_struct(struct span bytes)
{
	_cleanup_(pb_arena_freep) struct pb_arena *arena = NULL;
	json_t *object = json_object();
	const Handfast__Workload__Claims *claims =
		(const Handfast__Workload__Claims *)unpacked(&handfast__workload__claims__descriptor, bytes, &arena);
	for (size_t i = 0; i < claims->n_fields; i++) {
		_cleanup_(pb_arena_freep) struct pb_arena *inner = NULL;
		const Handfast__Workload__Claim *claim = (const Handfast__Workload__Claim *)unpacked(
			&handfast__workload__claim__descriptor, pb_span(claims->fields[i]), &inner);
		_cleanup_(mem_freep) char *name =
			mem_printf("%.*s", (int)claim->key.len, (const char *)claim->key.data);
		json_object_set_new(object, name, json_of_value(claim->value));
	}
	return object;
}

static json_t *json_of_list(struct span bytes)
{
	_cleanup_(pb_arena_freep) struct pb_arena *arena = NULL;
	json_t *array = json_array();
	const Handfast__Workload__ClaimList *list = (const Handfast__Workload__ClaimList *)unpacked(
		&handfast__workload__claim_list__descriptor, bytes, &arena);
	for (size_t i = 0; i < list->n_values; i++) {
		_cleanup_(pb_arena_freep) struct pb_arena *inner = NULL;
		json_array_append_new(array,
			json_of_value((const Handfast__Workload__ClaimValue *)unpacked(
				&handfast__workload__claim_value__descriptor, pb_span(list->values[i]), &inner)));
	}
	return array;
}

static void every_claim_comes_back_as_it_was(_unused_ void **state)
{
	static const char *const texts[] = {"{}",
		"{\"sub\":\"a\",\"exp\":1800000000.0,\"ok\":true,\"no\":false,\"x\":null}",
		"{\"aud\":[\"a\",\"b\"],\"empty\":[],\"o\":{},\"list\":[1.5,null,true,[\"deep\",{\"er\":[]}]]}",
		"{\"realm_access\":{\"roles\":[\"admin\",\"user\"],\"n\":{\"m\":{\"l\":-1.0}}}}"};
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		_cleanup_(buf_done) struct buf bytes = BUF_INIT(JWT_CLAIMS_MAX);
		assert_int_equal(encoded(texts[i], &bytes), ERR_NONE);
		json_t *expected = json_loads(texts[i], 0, NULL), *got = json_of_struct(buf_span(&bytes));
		assert_true(json_equal(expected, got));
		json_decref(expected);
		json_decref(got);
	}
}

static enum err nested(unsigned depth)
{
	_cleanup_(buf_done) struct buf bytes = BUF_INIT(JWT_CLAIMS_MAX), text = BUF_INIT(8192);
	assert_int_equal(buf_append_str(&text, "{\"a\":"), ERR_NONE);
	for (unsigned i = 0; i < depth; i++)
		assert_int_equal(buf_append_str(&text, "["), ERR_NONE);
	for (unsigned i = 0; i < depth; i++)
		assert_int_equal(buf_append_str(&text, "]"), ERR_NONE);
	assert_int_equal(buf_append_str(&text, "}"), ERR_NONE);
	return encoded(buf_cstr(&text), &bytes);
}

/* W11: a client's decoder is recursive, and so is this one. */
static void claims_that_nest_too_deep_are_refused(_unused_ void **state)
{
	assert_int_equal(nested(JWT_CLAIMS_DEPTH_MAX), ERR_NONE);
	assert_int_equal(nested(JWT_CLAIMS_DEPTH_MAX + 1), ERR_UNSUPPORTED);
	assert_int_equal(nested(2000), ERR_UNSUPPORTED);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_claim_comes_back_as_it_was),
		cmocka_unit_test(claims_that_nest_too_deep_are_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
