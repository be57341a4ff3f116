/* Frames and header blocks that violate the protocol, one at a time, and those that are only unusual. */
#include "base/h2/test_h2_raw.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka requires setjmp, stdarg, stddef and stdint */
#include <cmocka.h>

static void c6_a_window_update_of_zero_ends_the_connection_at_once(void **state)
{
	struct raw *raw = *state;
	h2_raw_connect(&raw->bytes, 1, true);
	h2_raw_frame(&raw->bytes, WINDOW_UPDATE, 0, 1, span_of("\0\0\0\0", 4));
	raw_expect_goaway(raw, PROTOCOL_ERROR);
}

static void c6_data_on_a_half_closed_stream_is_an_error(void **state)
{
	struct raw *raw = *state;
	h2_raw_connect(&raw->bytes, 1, true);
	h2_raw_frame(&raw->bytes, DATA, 0, 1, SPAN_LITERAL("late"));
	assert_int_equal(raw_feed(raw), ERR_PROTOCOL);
}

static void c7_a_header_list_is_limited_as_decoded(void **state)
{
	struct raw *raw = *state;
	uint8_t block[4096 + 600];
	size_t len = 0;
	memcpy(block,
		"\x02\x07"
		"CONNECT"
		"\x01\x07"
		"a.b:123",
		18);
	len = 18;
	/* One field of 3,000 bytes is added to the table (0x40), then each byte 0xbe repeats it. */
	memcpy(block + len,
		"\x40\x01"
		"a"
		"\x7f\xb9\x16",
		6); /* length 127 + 2873 = 3000 */
	memset(block + len + 6, 'x', 3000);
	len += 3006;
	memset(block + len, 0xbe, 10);
	h2_raw_frame(&raw->bytes, HEADERS, 0x5, 1, span_of(block, len + 10));
	assert_int_equal(raw_feed(raw), ERR_NONE);
	assert_int_equal(h2_raw_count(&raw->server.out, RST_STREAM), 1);
	assert_int_equal(test_h2_end_stream(&raw->server, 1)->num_headers, 0);
	memset(block + 18, 0xbe, 500); /* far above the limit: the connection ends */
	h2_raw_frame(&raw->bytes, HEADERS, 0x5, 3, span_of(block, 518));
	raw_expect_calm(raw);
}

static void a_repeated_field_arrives_as_often_as_it_was_sent(void **state)
{
	struct raw *raw = *state;
	h2_raw_frame(&raw->bytes, HEADERS, 0x5, 1,
		SPAN_LITERAL("\x02\x07"
			     "CONNECT"
			     "\x01\x07"
			     "a.b:123"
			     "\x40\x01"
			     "a"
			     "\x02"
			     "bc"
			     "\xbe\xbe"));
	assert_int_equal(raw_feed(raw), ERR_NONE);
	assert_int_equal(test_h2_end_stream(&raw->server, 1)->header_bytes, 7 + 7 + 10 + 7 + 3 * 3);
}

static void c7_bad_hpack_is_a_compression_error(void **state)
{
	struct raw *raw = *state;
	h2_raw_frame(&raw->bytes, HEADERS, 0x5, 1, SPAN_LITERAL("\xff\xff\xff\x0f"));
	raw_expect_goaway(raw, COMPRESSION_ERROR);
}

static void c7_a_huffman_end_of_string_is_a_compression_error(void **state)
{
	struct raw *raw = *state;
	h2_raw_frame(&raw->bytes, HEADERS, 0x5, 1, SPAN_LITERAL("\x00\x84\xff\xff\xff\xff\x01x"));
	raw_expect_goaway(raw, COMPRESSION_ERROR);
}

static void t3_a_connection_window_overflow_is_a_flow_control_error(void **state)
{
	struct raw *raw = *state;
	h2_raw_frame(&raw->bytes, WINDOW_UPDATE, 0, 0, SPAN_LITERAL("\x7f\xff\xff\xff"));
	raw_expect_goaway(raw, FLOW_CONTROL_ERROR);
}

static void t3_settings_that_shrink_windows_below_zero_stop_only_sending(void **state)
{
	struct raw *raw = *state;
	raw->server.responds = true;
	static const uint8_t answer[100000];
	h2_raw_connect(&raw->bytes, 1, true);
	assert_int_equal(raw_feed(raw), ERR_NONE);
	test_h2_send(&raw->server, 1, span_of(answer, sizeof(answer)), true);
	assert_int_equal(raw_feed(raw), ERR_NONE);
	assert_int_equal(test_h2_end_stream(&raw->server, 1)->sent, 65535);
	h2_raw_frame(&raw->bytes, SETTINGS, 0, 0, SPAN_LITERAL("\0\x04\0\0\0\0"));
	h2_raw_frame(&raw->bytes, WINDOW_UPDATE, 0, 0, SPAN_LITERAL("\0\x0f\0\0"));
	h2_raw_frame(&raw->bytes, WINDOW_UPDATE, 0, 1, SPAN_LITERAL("\0\0\xff\xff"));
	assert_int_equal(raw_feed(raw), ERR_NONE);
	assert_int_equal(test_h2_end_stream(&raw->server, 1)->sent, 65535);
	h2_raw_frame(&raw->bytes, WINDOW_UPDATE, 0, 1, SPAN_LITERAL("\0\0\0\x01"));
	assert_int_equal(raw_feed(raw), ERR_NONE);
	assert_int_equal(test_h2_end_stream(&raw->server, 1)->sent, 65536);
}

static void more_data_than_the_window_resets_the_stream(void **state)
{
	struct raw *raw = *state;
	static const uint8_t data[40000];
	raw->server.refuses_to_consume = true;
	h2_raw_connect(&raw->bytes, 1, false);
	h2_raw_frame(&raw->bytes, SETTINGS, 0x1, 0, SPAN_LITERAL(""));
	h2_raw_frame(&raw->bytes, DATA, 0, 1, span_of(data, sizeof(data)));
	assert_int_equal(raw_feed(raw), ERR_NONE);
	assert_int_equal(h2_raw_count(&raw->server.out, RST_STREAM), 1);
	assert_int_equal(test_h2_end_stream(&raw->server, 1)->error, FLOW_CONTROL_ERROR);
}

static void a_frame_over_the_limit_is_a_frame_size_error(void **state)
{
	struct raw *raw = *state;
	static const uint8_t data[140000];
	h2_raw_connect(&raw->bytes, 1, false);
	h2_raw_frame(&raw->bytes, SETTINGS, 0x1, 0, SPAN_LITERAL(""));
	h2_raw_frame(&raw->bytes, DATA, 0, 1, span_of(data, sizeof(data)));
	raw_expect_goaway(raw, FRAME_SIZE_ERROR);
}

static void a_first_frame_other_than_settings_is_a_protocol_error(void **state)
{
	struct raw *raw = *state;
	buf_clear(&raw->bytes);
	assert_int_equal(buf_append(&raw->bytes, SPAN_LITERAL(H2_PREFACE)), ERR_NONE);
	h2_raw_frame(&raw->bytes, PING, 0, 0, SPAN_LITERAL("12345678"));
	raw_expect_goaway(raw, PROTOCOL_ERROR);
}

static void accepts_input_one_byte_at_a_time(void **state)
{
	struct raw *raw = *state;
	h2_raw_connect(&raw->bytes, 1, false);
	h2_raw_frame(&raw->bytes, DATA, 0x1, 1, SPAN_LITERAL("slowly"));
	while (buf_len(&raw->bytes) > 0) {
		assert_int_equal(
			h2_session_feed(raw->server.session, span_of(buf_span(&raw->bytes).ptr, 1), NULL), ERR_NONE);
		buf_consume(&raw->bytes, 1);
	}
	struct test_h2_stream *stream = test_h2_end_stream(&raw->server, 1);
	assert_true(span_eq(buf_span(&stream->received), SPAN_LITERAL("slowly")));
	assert_true(stream->ended);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		RAW_TEST(c6_a_window_update_of_zero_ends_the_connection_at_once),
		RAW_TEST(c6_data_on_a_half_closed_stream_is_an_error),
		RAW_TEST(c7_a_header_list_is_limited_as_decoded),
		RAW_TEST(a_repeated_field_arrives_as_often_as_it_was_sent),
		RAW_TEST(c7_bad_hpack_is_a_compression_error),
		RAW_TEST(c7_a_huffman_end_of_string_is_a_compression_error),
		RAW_TEST(t3_a_connection_window_overflow_is_a_flow_control_error),
		RAW_TEST(t3_settings_that_shrink_windows_below_zero_stop_only_sending),
		RAW_TEST(more_data_than_the_window_resets_the_stream),
		RAW_TEST(a_frame_over_the_limit_is_a_frame_size_error),
		RAW_TEST(a_first_frame_other_than_settings_is_a_protocol_error),
		RAW_TEST(accepts_input_one_byte_at_a_time),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
