#include "base/core/buf.h"
#include "base/core/mem.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
/* cmocka wants the four above first */
#include <cmocka.h>

static void appends_and_consumes_in_order(_unused_ void **state)
{
	_cleanup_(buf_done) struct buf buf = BUF_INIT(16);
	assert_int_equal(buf_append_str(&buf, "hello "), ERR_NONE);
	assert_int_equal(buf_append_str(&buf, "world"), ERR_NONE);
	buf_consume(&buf, 6);
	assert_true(span_eq(buf_span(&buf), SPAN_LITERAL("world")));
	assert_string_equal(buf_cstr(&buf), "world");
}

static void refuses_what_exceeds_the_maximum_and_appends_nothing(_unused_ void **state)
{
	_cleanup_(buf_done) struct buf buf = BUF_INIT(8);
	assert_int_equal(buf_append_str(&buf, "12345678"), ERR_NONE);
	assert_int_equal(buf_append_str(&buf, "9"), ERR_LIMIT);
	assert_int_equal(buf_append(&buf, span_of("", SIZE_MAX)), ERR_LIMIT);
	assert_string_equal(buf_cstr(&buf), "12345678");
	buf_consume(&buf, 3);
	assert_int_equal(buf_append_str(&buf, "abc"), ERR_NONE);
	assert_string_equal(buf_cstr(&buf), "45678abc");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(appends_and_consumes_in_order),
		cmocka_unit_test(refuses_what_exceeds_the_maximum_and_appends_nothing),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
