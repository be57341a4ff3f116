#include "base/core/mem.h"
#include "control/store/record_object.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
/* cmocka requires the three above */
#include <cmocka.h>

static json_t *read_json(struct buf *text)
{
	json_t *object = json_loads(buf_cstr(text), JSON_REJECT_DUPLICATES, NULL);
	assert_non_null(object);
	return object;
}

static json_t *record_of(const char *name, const char *version, const char *key, const char *value)
{
	return json_pack("{s:{s:s, s:s?}, s:{s:s, s:s?, s:s}}", "metadata", "name", name, "resourceVersion", version,
		"spec", "key", key, "value", value, "writer", "w");
}

static void a_name_is_valid_and_follows_from_the_key(_unused_ void **state)
{
	char name[RECORD_NAME_LEN], again[RECORD_NAME_LEN], other[RECORD_NAME_LEN];
	record_object_name("ban/spiffe://td/ns/a", name);
	record_object_name("ban/spiffe://td/ns/a", again);
	record_object_name("ban/spiffe://td/ns/b", other);
	assert_string_equal(name, again);
	assert_string_not_equal(name, other);
	assert_int_equal(strlen(name), RECORD_NAME_LEN - 1);
	assert_int_equal(strspn(name + 2, "0123456789abcdef"), RECORD_NAME_LEN - 3);
}

static void what_is_encoded_is_parsed(_unused_ void **state)
{
	_cleanup_(buf_done) struct buf out = BUF_INIT(65536);
	const struct record_object_spec spec = {.namespace_name = "handfast-system",
		.key = "token/00",
		.writer = "abc",
		.value = SPAN_LITERAL("a=1\nb=\"\xc3\xa9\"\n"),
		.expected = 18446744073709551615u};
	struct record_object record;
	assert_int_equal(record_object_encode(&spec, &out), ERR_NONE);
	json_t *object = read_json(&out);
	assert_string_equal(json_string_value(json_object_get(object, "apiVersion")), "handfast.dev/v1alpha1");
	assert_int_equal(record_object_parse(object, &record, NULL), ERR_NONE);
	assert_string_equal(record.key, spec.key);
	assert_string_equal(record.writer, "abc");
	assert_true(span_eq(record.value, spec.value));
	assert_true(record.version == spec.expected);
	json_decref(object);
}

static void a_new_record_has_no_version(_unused_ void **state)
{
	_cleanup_(buf_done) struct buf out = BUF_INIT(65536);
	const struct record_object_spec spec = {
		.namespace_name = "n", .key = "k", .writer = "w", .value = SPAN_LITERAL("")};
	assert_int_equal(record_object_encode(&spec, &out), ERR_NONE);
	json_t *object = read_json(&out);
	assert_null(json_object_get(json_object_get(object, "metadata"), "resourceVersion"));
	json_decref(object);
}

static void values_that_are_no_text_are_refused(_unused_ void **state)
{
	static const uint8_t nul[] = {'a', 0, 'b'}, latin[] = {'a', 0xe9};
	_cleanup_(buf_done) struct buf out = BUF_INIT(65536);
	struct record_object_spec spec = {.namespace_name = "n", .key = "k", .writer = "w"};
	spec.value = span_of(nul, sizeof nul);
	assert_int_equal(record_object_encode(&spec, &out), ERR_MALFORMED);
	spec.value = span_of(latin, sizeof latin);
	assert_int_equal(record_object_encode(&spec, &out), ERR_MALFORMED);
	assert_int_equal(buf_len(&out), 0);
}

static void objects_that_are_no_records_are_refused(_unused_ void **state)
{
	char name[RECORD_NAME_LEN];
	record_object_name("k", name);
	json_t *objects[] = {json_object(), json_null(), record_of("other", "1", "k", "v"),
		record_of(name, NULL, "k", "v"), record_of(name, "0", "k", "v"), record_of(name, "1x", "k", "v"),
		record_of(name, "-1", "k", "v"), record_of(name, "99999999999999999999", "k", "v"),
		record_of(name, "1", "k", NULL)};
	for (size_t i = 0; i < sizeof objects / sizeof objects[0]; i++) {
		struct record_object record;
		struct why why = {0};
		assert_int_equal(record_object_parse(objects[i], &record, &why), ERR_STATE_DAMAGED);
		assert_string_not_equal(why.fix, "");
		json_decref(objects[i]);
	}
}

static void a_delete_names_its_version(_unused_ void **state)
{
	_cleanup_(buf_done) struct buf out = BUF_INIT(65536);
	assert_int_equal(record_object_encode_delete(42, &out), ERR_NONE);
	json_t *object = read_json(&out);
	assert_string_equal(
		json_string_value(json_object_get(json_object_get(object, "preconditions"), "resourceVersion")), "42");
	json_decref(object);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_name_is_valid_and_follows_from_the_key),
		cmocka_unit_test(what_is_encoded_is_parsed),
		cmocka_unit_test(a_new_record_has_no_version),
		cmocka_unit_test(values_that_are_no_text_are_refused),
		cmocka_unit_test(objects_that_are_no_records_are_refused),
		cmocka_unit_test(a_delete_names_its_version),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
