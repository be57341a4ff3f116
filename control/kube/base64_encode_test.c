#include "control/kube/base64_encode.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka requires the headers above */
#include <cmocka.h>

/* RFC 4648 10 */
static void encodes_the_vectors_of_the_rfc(void **state)
{
	(void)state;
	static const char *const rows[][2] = {{"", ""}, {"f", "Zg=="}, {"fo", "Zm8="}, {"foo", "Zm9v"},
		{"foob", "Zm9vYg=="}, {"fooba", "Zm9vYmE="}, {"foobar", "Zm9vYmFy"}, {"\xfb\xff", "+/8="}};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		_cleanup_(buf_done) struct buf out = BUF_INIT(64);
		assert_int_equal(base64_encode(span_of_str(rows[i][0]), &out), ERR_NONE);
		assert_string_equal(buf_cstr(&out), rows[i][1]);
	}
}

static void does_not_exceed_the_maximum(void **state)
{
	(void)state;
	_cleanup_(buf_done) struct buf out = BUF_INIT(3);
	assert_int_equal(base64_encode(span_of_str("f"), &out), ERR_LIMIT);
	assert_int_equal(buf_len(&out), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(encodes_the_vectors_of_the_rfc),
		cmocka_unit_test(does_not_exceed_the_maximum),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
