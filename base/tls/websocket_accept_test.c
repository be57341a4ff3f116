#include "base/tls/websocket_accept.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
/* cmocka requires the headers above */
#include <cmocka.h>

static void is_that_of_the_specification(void **state)
{
	_cleanup_(buf_done) struct buf out = BUF_INIT(WEBSOCKET_ACCEPT_LEN), small = BUF_INIT(WEBSOCKET_ACCEPT_LEN - 1);
	(void)state;
	assert_int_equal(websocket_accept("dGhlIHNhbXBsZSBub25jZQ==", &out), ERR_NONE); /* RFC 6455 1.3 */
	assert_string_equal(buf_cstr(&out), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
	assert_int_equal(websocket_accept("dGhlIHNhbXBsZSBub25jZQ==", &small), ERR_LIMIT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(is_that_of_the_specification)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
