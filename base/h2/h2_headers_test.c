#include "base/h2/h2_headers.h"
#include <setjmp.h>
#include <stdarg.h>
/* cmocka requires the headers above */
#include <cmocka.h>

/* Only nghttp2 creates rcbufs; h2_receive_test tests collecting them in a session. */
static void fields_are_passed_to_nghttp2_in_order(void **state)
{
	(void)state;
	const struct h2_header headers[] = {
		{SPAN_LITERAL(":status"), SPAN_LITERAL("200")},
		{SPAN_LITERAL("empty"), {NULL, 0}, .is_unique = true},
	};
	nghttp2_nv fields[H2_HEADERS_SEND_MAX];
	h2_headers_to_nv(headers, 2, fields);
	assert_int_equal(fields[0].namelen, 7);
	assert_memory_equal(fields[0].value, "200", 3);
	assert_memory_equal(fields[1].name, "empty", 5);
	assert_int_equal(fields[1].valuelen, 0);
	assert_int_equal(fields[0].flags, NGHTTP2_NV_FLAG_NONE);
	assert_int_equal(fields[1].flags, NGHTTP2_NV_FLAG_NO_INDEX);
}

static void a_field_is_found_by_its_whole_name(void **state)
{
	(void)state;
	const struct h2_header headers[] = {
		{SPAN_LITERAL("content-type-options"), SPAN_LITERAL("other")},
		{SPAN_LITERAL("content-type"), SPAN_LITERAL("first")},
		{SPAN_LITERAL("content-type"), SPAN_LITERAL("second")},
		{SPAN_LITERAL("empty"), SPAN_LITERAL("")},
	};
	assert_true(span_eq(h2_headers_find(headers, 4, "content-type"), SPAN_LITERAL("first")));
	assert_non_null(h2_headers_find(headers, 4, "empty").ptr);
	assert_null(h2_headers_find(headers, 4, "content").ptr);
	assert_null(h2_headers_find(headers, 1, "content-type").ptr);
	assert_null(h2_headers_find(NULL, 0, "content-type").ptr);
}

static void an_empty_list_can_be_cleared_twice(void **state)
{
	(void)state;
	struct h2_headers headers = {0};
	h2_headers_clear(&headers);
	h2_headers_clear(&headers);
	assert_int_equal(headers.num_items, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(fields_are_passed_to_nghttp2_in_order),
		cmocka_unit_test(a_field_is_found_by_its_whole_name),
		cmocka_unit_test(an_empty_list_can_be_cleared_twice),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
