#include "control/store/record.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
/* cmocka requires the four above */
#include <cmocka.h>

static void returns_each_kind_of_value(_unused_ void **state)
{
	_cleanup_(buf_done) struct buf buf = BUF_INIT(256);
	assert_int_equal(record_put(&buf, "id", SPAN_LITERAL("spiffe://td/a=b")), ERR_NONE);
	assert_int_equal(record_put_number(&buf, "at", -12), ERR_NONE);
	assert_int_equal(record_put_hex(&buf, "key", SPAN_LITERAL("\x00\xff")), ERR_NONE);
	assert_int_equal(record_put(&buf, "net", SPAN_LITERAL("a")), ERR_NONE);
	assert_int_equal(record_put(&buf, "net", SPAN_LITERAL("b")), ERR_NONE);
	struct span got;
	assert_true(record_get(buf_span(&buf), "id", 0, &got) && span_eq(got, SPAN_LITERAL("spiffe://td/a=b")));
	assert_true(record_get(buf_span(&buf), "net", 1, &got) && span_eq(got, SPAN_LITERAL("b")));
	assert_false(record_get(buf_span(&buf), "net", 2, &got));
	assert_int_equal(record_number(buf_span(&buf), "at", 0), -12);
	uint8_t key[2];
	assert_true(record_hex(buf_span(&buf), "key", key, 2));
	assert_memory_equal(key, "\x00\xff", 2);
}

static void C18_refuses_a_value_that_would_forge_a_line(_unused_ void **state)
{
	_cleanup_(buf_done) struct buf buf = BUF_INIT(64);
	assert_int_equal(record_put(&buf, "id", SPAN_LITERAL("a\nbanned=1")), ERR_MALFORMED);
	assert_int_equal(record_put(&buf, "id", SPAN_LITERAL("a\0b")), ERR_MALFORMED);
	assert_int_equal(buf_len(&buf), 0);
}

static void reads_a_value_that_is_not_a_number_as_the_default(_unused_ void **state)
{
	assert_int_equal(record_number(SPAN_LITERAL("a=1x\n"), "a", 5), 5);
	assert_int_equal(record_number(SPAN_LITERAL("a=\n"), "a", 5), 5);
	assert_int_equal(record_number(SPAN_LITERAL("a=99999999999999999999\n"), "a", 5), 5);
	assert_int_equal(record_number(SPAN_LITERAL("b=1\n"), "a", 5), 5);
	assert_int_equal(record_number(SPAN_LITERAL("a=7"), "a", 5), 7);
}

static void a_number_of_any_size_is_read_as_it_was_written(_unused_ void **state)
{
	static const int64_t numbers[] = {INT64_MIN, INT64_MIN + 1, -1, 0, 1, INT64_MAX};
	for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
		_cleanup_(buf_done) struct buf buf = BUF_INIT(64);
		assert_int_equal(record_put_number(&buf, "n", numbers[i]), ERR_NONE);
		assert_true(record_number(buf_span(&buf), "n", 5) == numbers[i]);
	}
	assert_int_equal(record_number(SPAN_LITERAL("n=-\n"), "n", 5), 5);
	assert_int_equal(record_number(SPAN_LITERAL("n=-99999999999999999999\n"), "n", 5), 5);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(returns_each_kind_of_value),
		cmocka_unit_test(C18_refuses_a_value_that_would_forge_a_line),
		cmocka_unit_test(reads_a_value_that_is_not_a_number_as_the_default),
		cmocka_unit_test(a_number_of_any_size_is_read_as_it_was_written),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
