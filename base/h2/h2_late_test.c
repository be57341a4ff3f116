/* Frames on streams that are gone: those that the peer may still send, and those that it may not. */
#include "base/h2/test_h2_raw.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka requires setjmp, stdarg, stddef and stdint */
#include <cmocka.h>

static const uint8_t cancel[4] = {0, 0, 0, 8};

/* Stream 1, which both ends have ended. */
static void serve_a_stream(struct raw *raw)
{
	raw->server.responds = true;
	h2_raw_connect(&raw->bytes, 1, true);
	assert_int_equal(raw_feed(raw), ERR_NONE);
	test_h2_send(&raw->server, 1, SPAN_LITERAL("answer"), true);
	assert_int_equal(raw_feed(raw), ERR_NONE);
	assert_true(test_h2_end_stream(&raw->server, 1)->closed);
}

static void expect_reset(struct raw *raw, unsigned num)
{
	assert_int_equal(raw_feed(raw), ERR_NONE);
	assert_int_equal(h2_raw_count(&raw->server.out, RST_STREAM), num);
	if (num > 0)
		assert_int_equal(h2_raw_reset(&raw->server.out), STREAM_CLOSED);
}

/* RFC 9113 5.1 leaves this to the receiver. Its bytes return to the window of the connection. */
static void data_after_the_peers_end_is_ignored(void **state)
{
	struct raw *raw = *state;
	serve_a_stream(raw);
	static const uint8_t data[64 * 1024];
	h2_raw_frame(&raw->bytes, SETTINGS, 0x1, 0, SPAN_LITERAL("")); /* it has read the limit of frames */
	for (int i = 0; i < 40; i++) {                                 /* more than a window of the connection */
		h2_raw_frame(&raw->bytes, DATA, 0, 1, span_of(data, sizeof(data)));
		expect_reset(raw, 0);
	}
	assert_int_equal(buf_len(&test_h2_end_stream(&raw->server, 1)->received), 0);
}

static void headers_after_the_peers_end_are_an_error_of_the_connection(void **state)
{
	struct raw *raw = *state;
	serve_a_stream(raw);
	h2_raw_connect(&raw->bytes, 1, true);
	raw_expect_goaway(raw, STREAM_CLOSED);
}

static void headers_after_the_peers_reset_are_an_error_of_the_stream_once(void **state)
{
	struct raw *raw = *state;
	h2_raw_connect(&raw->bytes, 1, false);
	h2_raw_frame(&raw->bytes, RST_STREAM, 0, 1, span_of(cancel, 4));
	h2_raw_connect(&raw->bytes, 1, true);
	expect_reset(raw, 1);
	h2_raw_connect(&raw->bytes, 1, true);
	expect_reset(raw, 0);
	h2_raw_connect(&raw->bytes, 3, true);
	assert_int_equal(raw_feed(raw), ERR_NONE);
	assert_int_equal(test_h2_end_stream(&raw->server, 3)->num_headers, 1);
}

static void frames_that_cross_a_reset_of_the_server_are_ignored(void **state)
{
	struct raw *raw = *state;
	h2_raw_connect(&raw->bytes, 1, false);
	assert_int_equal(raw_feed(raw), ERR_NONE);
	h2_stream_reset(raw->server.session, 1, PROTOCOL_ERROR);
	assert_int_equal(raw_feed(raw), ERR_NONE);
	h2_raw_frame(&raw->bytes, DATA, 0, 1, SPAN_LITERAL("in flight"));
	h2_raw_connect(&raw->bytes, 1, true);
	expect_reset(raw, 0);
}

static void window_updates_and_resets_that_cross_the_servers_end_are_ignored(void **state)
{
	struct raw *raw = *state;
	serve_a_stream(raw);
	h2_raw_frame(&raw->bytes, WINDOW_UPDATE, 0, 1, SPAN_LITERAL("\0\0\0\x01"));
	h2_raw_frame(&raw->bytes, RST_STREAM, 0, 1, span_of(cancel, 4));
	h2_raw_frame(&raw->bytes, PRIORITY, 0, 1, SPAN_LITERAL("\0\0\0\0\x10"));
	expect_reset(raw, 0);
}

static void a_request_below_an_earlier_one_is_a_protocol_error(void **state)
{
	struct raw *raw = *state;
	h2_raw_connect(&raw->bytes, 5, false);
	h2_raw_connect(&raw->bytes, 3, false);
	raw_expect_goaway(raw, PROTOCOL_ERROR);
}

/* Its number is used, although no stream came of it. */
static void a_refused_request_may_go_on_until_the_peer_knows(void **state)
{
	struct raw *raw = *state;
	for (int i = 0; i < 1002; i++) /* the limit is 1,000, which it has not confirmed */
		h2_raw_connect(&raw->bytes, i * 2 + 1, false);
	assert_int_equal(raw_feed(raw), ERR_NONE);
	assert_int_equal(h2_raw_count(&raw->server.out, RST_STREAM), 2);
	h2_raw_frame(&raw->bytes, DATA, 0, 2001, SPAN_LITERAL("in flight"));
	h2_raw_connect(&raw->bytes, 2001, true);
	expect_reset(raw, 0);
}

static void a_flood_of_late_frames_ends_the_connection(void **state)
{
	struct raw *raw = *state;
	raw_add_reset_streams(raw, 0, 500);
	for (int i = 500; i < 750; i++) {
		raw_add_reset_streams(raw, i, 1);
		h2_raw_connect(&raw->bytes, i * 2 + 1, true);
	}
	assert_int_equal(raw_feed(raw), ERR_NONE);
	assert_int_equal(h2_raw_count(&raw->server.out, RST_STREAM), 250);
	raw_add_reset_streams(raw, 750, 1);
	raw_expect_calm(raw);
}

static void a_priority_frame_without_a_stream_is_a_protocol_error(void **state)
{
	struct raw *raw = *state;
	h2_raw_frame(&raw->bytes, PRIORITY, 0, 0, SPAN_LITERAL("\0\0\0\x01\x10"));
	raw_expect_goaway(raw, PROTOCOL_ERROR);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		RAW_TEST(data_after_the_peers_end_is_ignored),
		RAW_TEST(headers_after_the_peers_end_are_an_error_of_the_connection),
		RAW_TEST(headers_after_the_peers_reset_are_an_error_of_the_stream_once),
		RAW_TEST(frames_that_cross_a_reset_of_the_server_are_ignored),
		RAW_TEST(window_updates_and_resets_that_cross_the_servers_end_are_ignored),
		RAW_TEST(a_request_below_an_earlier_one_is_a_protocol_error),
		RAW_TEST(a_refused_request_may_go_on_until_the_peer_knows),
		RAW_TEST(a_flood_of_late_frames_ends_the_connection),
		RAW_TEST(a_priority_frame_without_a_stream_is_a_protocol_error),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
