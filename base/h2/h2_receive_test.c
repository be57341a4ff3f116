#include "base/core/mem.h"
#include "base/h2/h2_test_pair.h"
#include <setjmp.h>
#include <stdarg.h>
/* cmocka requires the headers above */
#include <cmocka.h>

enum { DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PUSH_PROMISE, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION };
enum { PROTOCOL_ERROR = 1, FLOW_CONTROL_ERROR = 3, FRAME_SIZE_ERROR = 6, COMPRESSION_ERROR = 9, CALM = 11 };

struct raw {
	struct h2_test_end server;
	struct buf bytes;
	struct why detail;
};

static int set_up(void **state)
{
	struct raw *raw = mem_new(struct raw);
	const struct h2_limits limits = {.max_streams = 1000};
	h2_test_end_init(&raw->server, H2_SERVER, &limits, 4 * 1024 * 1024);
	buf_init(&raw->bytes, 64 * 1024 * 1024);
	h2_raw_preface(&raw->bytes);
	*state = raw;
	return 0;
}

static int tear_down(void **state)
{
	struct raw *raw = *state;
	h2_test_end_done(&raw->server);
	buf_done(&raw->bytes);
	mem_free(raw);
	return 0;
}

static enum err feed(struct raw *raw)
{
	buf_clear(&raw->server.out);
	return h2_raw_feed(&raw->server, &raw->bytes, &raw->detail);
}

static void expect_calm(struct raw *raw)
{
	assert_int_equal(feed(raw), ERR_LIMIT);
	assert_int_equal(raw->detail.err, ERR_LIMIT);
	assert_int_equal(h2_raw_goaway(&raw->server.out), CALM);
	assert_true(h2_session_is_done(raw->server.session));
}

static void expect_goaway(struct raw *raw, uint32_t error)
{
	assert_int_equal(feed(raw), ERR_PROTOCOL);
	assert_int_equal(raw->detail.err, ERR_PROTOCOL);
	assert_int_equal(h2_raw_goaway(&raw->server.out), error);
	assert_true(h2_session_is_done(raw->server.session));
}

static const uint8_t cancel[4] = {0, 0, 0, 8};

static void add_reset_streams(struct raw *raw, int first, int num)
{
	for (int i = first; i < first + num; i++) {
		h2_raw_connect(&raw->bytes, i * 2 + 1, false);
		h2_raw_frame(&raw->bytes, RST_STREAM, 0, i * 2 + 1, span_of(cancel, 4));
	}
}

static void c6_t1_rapid_reset_ends_the_connection(void **state)
{
	struct raw *raw = *state;
	add_reset_streams(raw, 0, 1000);
	assert_int_equal(feed(raw), ERR_NONE);
	add_reset_streams(raw, 1000, 1);
	expect_calm(raw);
}

static void six_thousand_served_and_reset_streams_do_not_end_it(void **state)
{
	struct raw *raw = *state;
	raw->server.responds = true;
	add_reset_streams(raw, 0, 6000);
	assert_int_equal(feed(raw), ERR_NONE);
	assert_int_equal(h2_session_num_streams(raw->server.session), 0);
}

/* Each request gets a refusal: refusals must not count as served streams. */
static void finding_l9_refused_requests_do_not_allow_resets(void **state)
{
	struct raw *raw = *state;
	raw->server.responds = true;
	raw->server.status = "400";
	for (int i = 0; i < 1000; i++)
		h2_raw_connect(&raw->bytes, i * 2 + 1, true);
	assert_int_equal(feed(raw), ERR_NONE);
	raw->server.responds = false;
	add_reset_streams(raw, 1000, 1000);
	assert_int_equal(feed(raw), ERR_NONE);
	add_reset_streams(raw, 2000, 1);
	expect_calm(raw);
}

static unsigned num_goaways(struct raw *raw)
{
	assert_int_equal(feed(raw), ERR_NONE);
	return h2_raw_count(&raw->server.out, GOAWAY);
}

static void finding_l9_the_final_goaway_needs_no_ack_and_then_streams_are_refused(void **state)
{
	struct raw *raw = *state;
	raw->server.responds = true;
	h2_raw_connect(&raw->bytes, 1, false);
	assert_int_equal(num_goaways(raw), 0);
	h2_session_shutdown(raw->server.session);
	assert_int_equal(num_goaways(raw), 1);
	h2_raw_connect(&raw->bytes, 3, false); /* in flight when the notice was sent; the client withholds the ack */
	assert_int_equal(num_goaways(raw), 0);
	assert_int_equal(h2_session_num_streams(raw->server.session), 2);
	h2_session_shutdown_end(raw->server.session);
	assert_int_equal(num_goaways(raw), 1);
	h2_session_shutdown_end(raw->server.session);
	assert_int_equal(num_goaways(raw), 0);
	h2_raw_connect(&raw->bytes, 5, false);
	h2_raw_frame(&raw->bytes, DATA, 0, 5, SPAN_LITERAL("late"));
	h2_raw_connect(&raw->bytes, 7, true);
	assert_int_equal(feed(raw), ERR_NONE);
	assert_int_equal(h2_raw_count(&raw->server.out, RST_STREAM), 2);
	assert_int_equal(h2_raw_reset(&raw->server.out), 7);
	assert_int_equal(h2_session_num_streams(raw->server.session), 2);
	h2_raw_frame(&raw->bytes, DATA, 0, 1, SPAN_LITERAL("open streams continue"));
	assert_int_equal(feed(raw), ERR_NONE);
	assert_int_equal(buf_len(&h2_test_end_stream(&raw->server, 1)->received), 21);
}

/* A PING that was sent before the notice: streams that the peer opens before it receives the notice are served. */
static void finding_l9_the_ack_of_an_earlier_ping_is_not_the_ack_of_the_notice(void **state)
{
	struct raw *raw = *state;
	raw->server.responds = true;
	h2_raw_connect(&raw->bytes, 1, false);
	assert_int_equal(num_goaways(raw), 0);
	h2_session_ping(raw->server.session);
	h2_session_shutdown(raw->server.session);
	assert_int_equal(num_goaways(raw), 1);
	h2_raw_frame(&raw->bytes, PING, 1, 0, SPAN_LITERAL("\0\0\0\0\0\0\0\0"));
	h2_raw_connect(&raw->bytes, 3, false);
	assert_int_equal(num_goaways(raw), 0);
	assert_int_equal(h2_session_num_streams(raw->server.session), 2);
	h2_raw_frame(&raw->bytes, PING, 1, 0, SPAN_LITERAL("shutdown"));
	assert_int_equal(num_goaways(raw), 1);
}

static void finding_l9_streams_after_the_final_goaway_count_as_resets(void **state)
{
	struct raw *raw = *state;
	h2_raw_connect(&raw->bytes, 1, false);
	assert_int_equal(feed(raw), ERR_NONE);
	h2_session_shutdown(raw->server.session);
	h2_session_shutdown_end(raw->server.session);
	assert_int_equal(feed(raw), ERR_NONE); /* it is sent */
	for (int i = 1; i < 1001; i++)
		h2_raw_connect(&raw->bytes, i * 2 + 1, true);
	assert_int_equal(feed(raw), ERR_NONE);
	for (int i = 1001; i < 1003; i++)
		h2_raw_connect(&raw->bytes, i * 2 + 1, true);
	expect_calm(raw);
}

static void c6_a_window_update_of_zero_ends_the_connection_at_once(void **state)
{
	struct raw *raw = *state;
	h2_raw_connect(&raw->bytes, 1, true);
	h2_raw_frame(&raw->bytes, WINDOW_UPDATE, 0, 1, span_of("\0\0\0\0", 4));
	expect_goaway(raw, PROTOCOL_ERROR);
}

static void c6_resets_caused_by_window_overflow_count(void **state)
{
	struct raw *raw = *state;
	for (int i = 0; i < 1001; i++) {
		h2_raw_connect(&raw->bytes, i * 2 + 1, false);
		h2_raw_frame(&raw->bytes, WINDOW_UPDATE, 0, i * 2 + 1, span_of("\x7f\xff\xff\xff", 4));
		if (i % 100 == 99)
			assert_int_equal(feed(raw), ERR_NONE);
	}
	expect_calm(raw);
}

static void c6_resets_caused_by_malformed_requests_count(void **state)
{
	struct raw *raw = *state;
	for (int i = 0; i < 1001; i++) { /* t2: CONNECT without :authority */
		h2_raw_frame(&raw->bytes, HEADERS, 0x5, i * 2 + 1,
			SPAN_LITERAL("\x02\x07"
				     "CONNECT"));
		if (i % 100 == 99)
			assert_int_equal(feed(raw), ERR_NONE);
	}
	expect_calm(raw);
}

static void c6_data_on_a_half_closed_stream_is_an_error(void **state)
{
	struct raw *raw = *state;
	h2_raw_connect(&raw->bytes, 1, true);
	h2_raw_frame(&raw->bytes, DATA, 0, 1, SPAN_LITERAL("late"));
	assert_int_equal(feed(raw), ERR_PROTOCOL);
}

static void c5_streams_beyond_the_maximum_are_refused(void **state)
{
	struct raw *raw = *state;
	for (int i = 0; i < 1005; i++)
		h2_raw_connect(&raw->bytes, i * 2 + 1, false);
	assert_int_equal(feed(raw), ERR_NONE);
	assert_int_equal(h2_raw_count(&raw->server.out, RST_STREAM), 5);
	assert_int_equal(h2_session_num_streams(raw->server.session), 1000);
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
	assert_int_equal(feed(raw), ERR_NONE);
	assert_int_equal(h2_raw_count(&raw->server.out, RST_STREAM), 1);
	assert_int_equal(h2_test_end_stream(&raw->server, 1)->num_headers, 0);
	memset(block + 18, 0xbe, 500); /* far above the limit: the connection ends */
	h2_raw_frame(&raw->bytes, HEADERS, 0x5, 3, span_of(block, 518));
	expect_calm(raw);
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
	assert_int_equal(feed(raw), ERR_NONE);
	assert_int_equal(h2_test_end_stream(&raw->server, 1)->header_bytes, 7 + 7 + 10 + 7 + 3 * 3);
}

static void c7_bad_hpack_is_a_compression_error(void **state)
{
	struct raw *raw = *state;
	h2_raw_frame(&raw->bytes, HEADERS, 0x5, 1, SPAN_LITERAL("\xff\xff\xff\x0f"));
	expect_goaway(raw, COMPRESSION_ERROR);
}

static void c7_a_huffman_end_of_string_is_a_compression_error(void **state)
{
	struct raw *raw = *state;
	h2_raw_frame(&raw->bytes, HEADERS, 0x5, 1, SPAN_LITERAL("\x00\x84\xff\xff\xff\xff\x01x"));
	expect_goaway(raw, COMPRESSION_ERROR);
}

static void c7_t9_a_flood_of_continuations_ends_it(void **state)
{
	struct raw *raw = *state;
	h2_raw_frame(&raw->bytes, HEADERS, 0, 1,
		SPAN_LITERAL("\x02\x07"
			     "CONNECT"));
	for (int i = 0; i < 10001; i++)
		h2_raw_frame(&raw->bytes, CONTINUATION, 0, 1, SPAN_LITERAL(""));
	assert_int_not_equal(feed(raw), ERR_NONE);
	assert_true(h2_session_is_done(raw->server.session));
}

static void c8_a_flood_of_pings_ends_it(void **state)
{
	struct raw *raw = *state;
	for (int i = 0; i < 1002; i++)
		h2_raw_frame(&raw->bytes, PING, 0, 0, SPAN_LITERAL("12345678"));
	expect_calm(raw);
}

static void pings_that_are_answered_in_time_do_not_end_it(void **state)
{
	struct raw *raw = *state;
	for (int i = 0; i < 20000; i++) {
		h2_raw_frame(&raw->bytes, PING, 0, 0, SPAN_LITERAL("12345678"));
		if (i % 500 == 0)
			assert_int_equal(feed(raw), ERR_NONE);
	}
	assert_int_equal(feed(raw), ERR_NONE);
}

static void c8_settings_in_a_row_end_it(void **state)
{
	struct raw *raw = *state;
	for (int i = 0; i < 900; i++)
		h2_raw_frame(&raw->bytes, SETTINGS, 0, 0, SPAN_LITERAL("\0\x04\0\0\0\x01"));
	expect_calm(raw);
}

static void c8_t9_a_flood_of_empty_data_ends_it(void **state)
{
	struct raw *raw = *state;
	h2_raw_connect(&raw->bytes, 1, false);
	for (int i = 0; i < 10001; i++)
		h2_raw_frame(&raw->bytes, DATA, 0, 1, SPAN_LITERAL(""));
	expect_calm(raw);
}

static void t9_padding_alone_is_empty_too(void **state)
{
	struct raw *raw = *state;
	h2_raw_connect(&raw->bytes, 1, false);
	for (int i = 0; i < 10001; i++)
		h2_raw_frame(&raw->bytes, DATA, 0x8, 1, SPAN_LITERAL("\x01\0"));
	expect_calm(raw);
}

static void c8_a_flood_of_window_updates_or_priorities_ends_it(void **state)
{
	struct raw *raw = *state;
	h2_raw_connect(&raw->bytes, 1, false);
	for (int i = 0; i < 6000; i++) {
		h2_raw_frame(&raw->bytes, WINDOW_UPDATE, 0, 1, SPAN_LITERAL("\0\0\0\x01"));
		h2_raw_frame(&raw->bytes, PRIORITY, 0, 99, SPAN_LITERAL("\0\0\0\0\x10"));
	}
	expect_calm(raw);
}

static void a_flood_of_frames_of_unknown_types_ends_it(void **state)
{
	struct raw *raw = *state;
	for (int i = 0; i < 10001; i++)
		h2_raw_frame(&raw->bytes, 0xee, 0, 0, SPAN_LITERAL("?"));
	expect_calm(raw);
}

static void t3_a_connection_window_overflow_is_a_flow_control_error(void **state)
{
	struct raw *raw = *state;
	h2_raw_frame(&raw->bytes, WINDOW_UPDATE, 0, 0, SPAN_LITERAL("\x7f\xff\xff\xff"));
	expect_goaway(raw, FLOW_CONTROL_ERROR);
}

static void t3_settings_that_shrink_windows_below_zero_stop_only_sending(void **state)
{
	struct raw *raw = *state;
	raw->server.responds = true;
	static const uint8_t answer[100000];
	h2_raw_connect(&raw->bytes, 1, true);
	assert_int_equal(feed(raw), ERR_NONE);
	h2_test_send(&raw->server, 1, span_of(answer, sizeof(answer)), true);
	assert_int_equal(feed(raw), ERR_NONE);
	assert_int_equal(h2_test_end_stream(&raw->server, 1)->sent, 65535);
	h2_raw_frame(&raw->bytes, SETTINGS, 0, 0, SPAN_LITERAL("\0\x04\0\0\0\0"));
	h2_raw_frame(&raw->bytes, WINDOW_UPDATE, 0, 0, SPAN_LITERAL("\0\x0f\0\0"));
	h2_raw_frame(&raw->bytes, WINDOW_UPDATE, 0, 1, SPAN_LITERAL("\0\0\xff\xff"));
	assert_int_equal(feed(raw), ERR_NONE);
	assert_int_equal(h2_test_end_stream(&raw->server, 1)->sent, 65535);
	h2_raw_frame(&raw->bytes, WINDOW_UPDATE, 0, 1, SPAN_LITERAL("\0\0\0\x01"));
	assert_int_equal(feed(raw), ERR_NONE);
	assert_int_equal(h2_test_end_stream(&raw->server, 1)->sent, 65536);
}

static void more_data_than_the_window_resets_the_stream(void **state)
{
	struct raw *raw = *state;
	static const uint8_t data[40000];
	raw->server.refuses_to_consume = true;
	h2_raw_connect(&raw->bytes, 1, false);
	h2_raw_frame(&raw->bytes, SETTINGS, 0x1, 0, SPAN_LITERAL(""));
	h2_raw_frame(&raw->bytes, DATA, 0, 1, span_of(data, sizeof(data)));
	assert_int_equal(feed(raw), ERR_NONE);
	assert_int_equal(h2_raw_count(&raw->server.out, RST_STREAM), 1);
	assert_int_equal(h2_test_end_stream(&raw->server, 1)->error, FLOW_CONTROL_ERROR);
}

static void a_frame_over_the_limit_is_a_frame_size_error(void **state)
{
	struct raw *raw = *state;
	static const uint8_t data[140000];
	h2_raw_connect(&raw->bytes, 1, false);
	h2_raw_frame(&raw->bytes, SETTINGS, 0x1, 0, SPAN_LITERAL(""));
	h2_raw_frame(&raw->bytes, DATA, 0, 1, span_of(data, sizeof(data)));
	expect_goaway(raw, FRAME_SIZE_ERROR);
}

static void a_first_frame_other_than_settings_is_a_protocol_error(void **state)
{
	struct raw *raw = *state;
	buf_clear(&raw->bytes);
	assert_int_equal(buf_append(&raw->bytes, SPAN_LITERAL(H2_PREFACE)), ERR_NONE);
	h2_raw_frame(&raw->bytes, PING, 0, 0, SPAN_LITERAL("12345678"));
	expect_goaway(raw, PROTOCOL_ERROR);
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
	struct h2_test_stream *stream = h2_test_end_stream(&raw->server, 1);
	assert_true(span_eq(buf_span(&stream->received), SPAN_LITERAL("slowly")));
	assert_true(stream->ended);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(c6_t1_rapid_reset_ends_the_connection),
		TEST(six_thousand_served_and_reset_streams_do_not_end_it),
		TEST(finding_l9_refused_requests_do_not_allow_resets),
		TEST(finding_l9_the_final_goaway_needs_no_ack_and_then_streams_are_refused),
		TEST(finding_l9_the_ack_of_an_earlier_ping_is_not_the_ack_of_the_notice),
		TEST(finding_l9_streams_after_the_final_goaway_count_as_resets),
		TEST(c6_a_window_update_of_zero_ends_the_connection_at_once),
		TEST(c6_resets_caused_by_window_overflow_count),
		TEST(c6_resets_caused_by_malformed_requests_count),
		TEST(c6_data_on_a_half_closed_stream_is_an_error),
		TEST(c5_streams_beyond_the_maximum_are_refused),
		TEST(c7_a_header_list_is_limited_as_decoded),
		TEST(a_repeated_field_arrives_as_often_as_it_was_sent),
		TEST(c7_bad_hpack_is_a_compression_error),
		TEST(c7_a_huffman_end_of_string_is_a_compression_error),
		TEST(c7_t9_a_flood_of_continuations_ends_it),
		TEST(c8_a_flood_of_pings_ends_it),
		TEST(pings_that_are_answered_in_time_do_not_end_it),
		TEST(c8_settings_in_a_row_end_it),
		TEST(c8_t9_a_flood_of_empty_data_ends_it),
		TEST(t9_padding_alone_is_empty_too),
		TEST(c8_a_flood_of_window_updates_or_priorities_ends_it),
		TEST(a_flood_of_frames_of_unknown_types_ends_it),
		TEST(t3_a_connection_window_overflow_is_a_flow_control_error),
		TEST(t3_settings_that_shrink_windows_below_zero_stop_only_sending),
		TEST(more_data_than_the_window_resets_the_stream),
		TEST(a_frame_over_the_limit_is_a_frame_size_error),
		TEST(a_first_frame_other_than_settings_is_a_protocol_error),
		TEST(accepts_input_one_byte_at_a_time),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
