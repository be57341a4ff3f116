#include "intercept/cni/cni_json.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
/* cmocka requires the three headers above */
#include <cmocka.h>

static void writes_one_line(void **state)
{
	_cleanup_(buf_done) struct buf out = BUF_INIT(64);
	(void)state;
	assert_int_equal(cni_json_put_line(json_pack("{s:s}", "a", "b\nc"), &out), ERR_NONE);
	assert_string_equal(buf_cstr(&out), "{\"a\":\"b\\nc\"}\n");
}

static void refuses_what_is_no_utf8_or_does_not_fit(void **state)
{
	_cleanup_(buf_done) struct buf out = BUF_INIT(4);
	(void)state;
	assert_int_equal(cni_json_put_line(json_pack("{s:s}", "a", "\xff"), &out), ERR_MALFORMED);
	assert_int_equal(cni_json_put_line(json_pack("{s:s}", "a", "b"), &out), ERR_LIMIT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(writes_one_line),
		cmocka_unit_test(refuses_what_is_no_utf8_or_does_not_fit),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
