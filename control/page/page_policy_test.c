#include "control/page/page_policy.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
/* cmocka requires the four above */
#include <cmocka.h>

static void only_the_pages_own_style_and_script_are_allowed(void **state)
{
	(void)state;
	_cleanup_(buf_done) struct buf out = BUF_INIT(1024);
	assert_int_equal(
		page_policy(SPAN_LITERAL("<style>a</style><script>alert('Hello, world.');</script>"), &out), ERR_NONE);
	/* Of the example of MDN's page about script-src. */
	assert_non_null(strstr(buf_cstr(&out), "script-src 'sha256-qznLcsROx4GACP2dm0UCKCzCG+HiZ1guq6ZZDob/Tng='"));
	assert_ptr_equal(strstr(buf_cstr(&out), "default-src 'none'; style-src 'sha256-"), buf_cstr(&out));
	assert_null(strstr(buf_cstr(&out), "unsafe"));
}

static void a_second_script_or_none_is_refused(void **state)
{
	(void)state;
	_cleanup_(buf_done) struct buf out = BUF_INIT(1024);
	assert_int_equal(
		page_policy(SPAN_LITERAL("<style>a</style><script>a</script><script>b</script>"), &out), ERR_MALFORMED);
	assert_int_equal(page_policy(SPAN_LITERAL("<style>a</style><script>a"), &out), ERR_MALFORMED);
	assert_int_equal(page_policy(SPAN_LITERAL("<style>a</style>"), &out), ERR_MALFORMED);
	assert_int_equal(page_policy(SPAN_LITERAL(""), &out), ERR_MALFORMED);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(only_the_pages_own_style_and_script_are_allowed),
		cmocka_unit_test(a_second_script_or_none_is_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
