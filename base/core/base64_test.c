#include "base/core/base64.h"
#include <setjmp.h>
#include <stdarg.h>
/* cmocka requires <setjmp.h> and <stdarg.h> */
#include <cmocka.h>

static enum err decode(const char *text, struct buf *out)
{
	buf_clear(out);
	return base64_decode(span_of_str(text), out);
}

static void decodes_the_vectors_of_rfc_4648(void **state)
{
	(void)state;
	static const char *const vectors[][2] = {{"", ""}, {"Zg==", "f"}, {"Zm8=", "fo"}, {"Zm9v", "foo"},
		{"Zm9vYg==", "foob"}, {"Zm9vYmE=", "fooba"}, {"Zm9v\nYmFy\n", "foobar"}, {"+/8=", "\xfb\xff"}};
	_cleanup_(buf_done) struct buf out = BUF_INIT(16);
	for (size_t i = 0; i < sizeof(vectors) / sizeof(vectors[0]); i++) {
		assert_int_equal(decode(vectors[i][0], &out), ERR_NONE);
		assert_true(span_eq(buf_span(&out), span_of_str(vectors[i][1])));
	}
}

static void refuses_what_is_not_base64(void **state)
{
	(void)state;
	static const char *const broken[] = {
		"Zg", "Zg=", "Z", "Zg===", "Z===", "Zm9v=", "Zg==Zg==", "-_8=", "Zm9v!", "===="};
	_cleanup_(buf_done) struct buf out = BUF_INIT(16);
	for (size_t i = 0; i < sizeof(broken) / sizeof(broken[0]); i++)
		assert_int_equal(decode(broken[i], &out), ERR_MALFORMED);
}

static void keeps_to_the_limit(void **state)
{
	(void)state;
	_cleanup_(buf_done) struct buf out = BUF_INIT(5);
	assert_int_equal(decode("Zm9vYmFy", &out), ERR_LIMIT);
}

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
		cmocka_unit_test(decodes_the_vectors_of_rfc_4648),
		cmocka_unit_test(refuses_what_is_not_base64),
		cmocka_unit_test(keeps_to_the_limit),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
