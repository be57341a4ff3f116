#include "base/json/json_put.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka requires the headers above */
#include <cmocka.h>

static void appends_behind_what_is_there(void **state)
{
	_cleanup_(buf_done) struct buf out = BUF_INIT(64);
	json_t *value = json_pack("{s:i, s:[s]}", "a", 1, "b", "c");
	(void)state;
	assert_int_equal(buf_append_str(&out, "x="), ERR_NONE);
	assert_int_equal(buf_append_json(&out, value, JSON_COMPACT), ERR_NONE);
	assert_string_equal(buf_cstr(&out), "x={\"a\":1,\"b\":[\"c\"]}");
	json_decref(value);
}

static void reports_a_full_buffer_and_no_value(void **state)
{
	_cleanup_(buf_done) struct buf out = BUF_INIT(4);
	json_t *value = json_string("longer than that");
	(void)state;
	assert_int_equal(buf_append_json(&out, value, JSON_ENCODE_ANY), ERR_LIMIT);
	assert_int_equal(buf_append_json(&out, NULL, 0), ERR_MALFORMED);
	json_decref(value);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(appends_behind_what_is_there),
		cmocka_unit_test(reports_a_full_buffer_and_no_value),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
