#include "base/core/base64url.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka requires the headers above */
#include <cmocka.h>

static void encodes_the_vectors_of_rfc_4648_without_padding(void **state)
{
	static const char *const vectors[][2] = {
		{"", ""}, {"f", "Zg"}, {"fo", "Zm8"}, {"foo", "Zm9v"}, {"foob", "Zm9vYg"}, {"fooba", "Zm9vYmE"}};
	(void)state;
	for (size_t i = 0; i < sizeof(vectors) / sizeof(*vectors); i++) {
		_cleanup_(buf_done) struct buf text = BUF_INIT(64), bytes = BUF_INIT(64);
		assert_int_equal(base64url_encode(span_of_str(vectors[i][0]), &text), ERR_NONE);
		assert_true(span_eq(buf_span(&text), span_of_str(vectors[i][1])));
		assert_int_equal(base64url_decode(buf_span(&text), &bytes), ERR_NONE);
		assert_true(span_eq(buf_span(&bytes), span_of_str(vectors[i][0])));
	}
}

static void round_trips_every_byte(void **state)
{
	uint8_t all[256];
	_cleanup_(buf_done) struct buf text = BUF_INIT(1024), bytes = BUF_INIT(1024);
	(void)state;
	for (size_t i = 0; i < sizeof(all); i++)
		all[i] = (uint8_t)(255 - i);
	assert_int_equal(base64url_encode(span_of(all, sizeof(all)), &text), ERR_NONE);
	assert_int_equal(base64url_decode(buf_span(&text), &bytes), ERR_NONE);
	assert_true(span_eq(buf_span(&bytes), span_of(all, sizeof(all))));
}

static void refuses_every_other_encoding_of_the_same_bytes(void **state)
{
	static const char *const wrong[] = {"Z", "Zg==", "Zh", "Zm9", "Zm9v\n", " Zm9v", "Zm+v", "Zm/v", "Zm9vA"};
	(void)state;
	for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++) {
		_cleanup_(buf_done) struct buf bytes = BUF_INIT(64);
		assert_int_equal(base64url_decode(span_of_str(wrong[i]), &bytes), ERR_MALFORMED);
		assert_int_equal(buf_len(&bytes), 0);
	}
}

static void stops_at_the_limit_of_the_buffer(void **state)
{
	_cleanup_(buf_done) struct buf bytes = BUF_INIT(2);
	(void)state;
	assert_int_equal(base64url_decode(SPAN_LITERAL("Zm9v"), &bytes), ERR_LIMIT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(encodes_the_vectors_of_rfc_4648_without_padding),
		cmocka_unit_test(round_trips_every_byte),
		cmocka_unit_test(refuses_every_other_encoding_of_the_same_bytes),
		cmocka_unit_test(stops_at_the_limit_of_the_buffer),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
