#include "base/json/jws.h"

#include "base/core/base64url.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
/* cmocka requires the headers above */
#include <cmocka.h>

static void splits_three_parts(void **state)
{
	struct jws jws;
	(void)state;
	assert_true(jws_split(SPAN_LITERAL("ab.cde.f"), &jws));
	assert_true(span_eq(jws.header, SPAN_LITERAL("ab")));
	assert_true(span_eq(jws.payload, SPAN_LITERAL("cde")));
	assert_true(span_eq(jws.signature, SPAN_LITERAL("f")));
	assert_true(span_eq(jws.signed_part, SPAN_LITERAL("ab.cde")));
}

static void W13_refuses_fewer_more_and_empty_parts(void **state)
{
	static const char *const texts[] = {
		"", ".", "..", "a", "a.", "a.b", "a.b.", "a..c", ".b.c", "a.b.c.", "a.b.c.d", "..."};
	struct jws jws;
	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++)
		assert_false(jws_split(span_of_str(texts[i]), &jws));
	assert_false(jws_split((struct span){0}, &jws));
}

static json_t *object_of(const char *text, size_t max)
{
	_cleanup_(buf_done) struct buf part = BUF_INIT(1000);
	assert_int_equal(base64url_encode(span_of_str(text), &part), ERR_NONE);
	return jws_object(buf_span(&part), max);
}

static void W13_reads_one_object_and_nothing_else(void **state)
{
	static const char *const texts[] = {"", "[]", "1", "null", "{", "{}{}", "{} x", "{\"a\":1,\"a\":2}",
		"{\"b\":{\"a\":1,\"a\":2}}", "{\"a\":\"\\u0000\"}"};
	(void)state;
	json_t *object = object_of("{\"a\":7}", 7);
	assert_int_equal(json_integer_value(json_object_get(object, "a")), 7);
	json_decref(object);
	assert_null(object_of("{\"a\":7}", 6));
	for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++)
		assert_null(object_of(texts[i], 1000));
	assert_null(jws_object(SPAN_LITERAL("e30="), 10)); /* {} with padding */
	assert_null(jws_object(SPAN_LITERAL("e31"), 10));  /* unused bits */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(splits_three_parts),
		cmocka_unit_test(W13_refuses_fewer_more_and_empty_parts),
		cmocka_unit_test(W13_reads_one_object_and_nothing_else),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
