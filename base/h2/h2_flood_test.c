/* Frames that are legal one at a time and too many together: what ends the connection, and what does not. */
#include "base/h2/test_h2_raw.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka requires setjmp, stdarg, stddef and stdint */
#include <cmocka.h>

static void c6_t1_rapid_reset_ends_the_connection(void **state)
{
	struct raw *raw = *state;
	raw_add_reset_streams(raw, 0, 1000);
	assert_int_equal(raw_feed(raw), ERR_NONE);
	raw_add_reset_streams(raw, 1000, 1);
	raw_expect_calm(raw);
}

static void six_thousand_served_and_reset_streams_do_not_end_it(void **state)
{
	struct raw *raw = *state;
	raw->server.responds = true;
	raw_add_reset_streams(raw, 0, 6000);
	assert_int_equal(raw_feed(raw), ERR_NONE);
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
	assert_int_equal(raw_feed(raw), ERR_NONE);
	raw->server.responds = false;
	raw_add_reset_streams(raw, 1000, 1000);
	assert_int_equal(raw_feed(raw), ERR_NONE);
	raw_add_reset_streams(raw, 2000, 1);
	raw_expect_calm(raw);
}

static void c6_resets_caused_by_window_overflow_count(void **state)
{
	struct raw *raw = *state;
	for (int i = 0; i < 1001; i++) {
		h2_raw_connect(&raw->bytes, i * 2 + 1, false);
		h2_raw_frame(&raw->bytes, WINDOW_UPDATE, 0, i * 2 + 1, span_of("\x7f\xff\xff\xff", 4));
		if (i % 100 == 99)
			assert_int_equal(raw_feed(raw), ERR_NONE);
	}
	raw_expect_calm(raw);
}

static void c6_resets_caused_by_malformed_requests_count(void **state)
{
	struct raw *raw = *state;
	for (int i = 0; i < 1001; i++) { /* t2: CONNECT without :authority */
		h2_raw_frame(&raw->bytes, HEADERS, 0x5, i * 2 + 1,
			SPAN_LITERAL("\x02\x07"
				     "CONNECT"));
		if (i % 100 == 99)
			assert_int_equal(raw_feed(raw), ERR_NONE);
	}
	raw_expect_calm(raw);
}

static void c5_streams_beyond_the_maximum_are_refused(void **state)
{
	struct raw *raw = *state;
	for (int i = 0; i < 1005; i++)
		h2_raw_connect(&raw->bytes, i * 2 + 1, false);
	assert_int_equal(raw_feed(raw), ERR_NONE);
	assert_int_equal(h2_raw_count(&raw->server.out, RST_STREAM), 5);
	assert_int_equal(h2_session_num_streams(raw->server.session), 1000);
}

static void c7_t9_a_flood_of_continuations_ends_it(void **state)
{
	struct raw *raw = *state;
	h2_raw_frame(&raw->bytes, HEADERS, 0, 1,
		SPAN_LITERAL("\x02\x07"
			     "CONNECT"));
	for (int i = 0; i < 10001; i++)
		h2_raw_frame(&raw->bytes, CONTINUATION, 0, 1, SPAN_LITERAL(""));
	assert_int_not_equal(raw_feed(raw), ERR_NONE);
	assert_true(h2_session_is_done(raw->server.session));
}

static void c8_a_flood_of_pings_ends_it(void **state)
{
	struct raw *raw = *state;
	for (int i = 0; i < 1002; i++)
		h2_raw_frame(&raw->bytes, PING, 0, 0, SPAN_LITERAL("12345678"));
	raw_expect_calm(raw);
}

static void pings_that_are_answered_in_time_do_not_end_it(void **state)
{
	struct raw *raw = *state;
	for (int i = 0; i < 20000; i++) {
		h2_raw_frame(&raw->bytes, PING, 0, 0, SPAN_LITERAL("12345678"));
		if (i % 500 == 0)
			assert_int_equal(raw_feed(raw), ERR_NONE);
	}
	assert_int_equal(raw_feed(raw), ERR_NONE);
}

static void c8_settings_in_a_row_end_it(void **state)
{
	struct raw *raw = *state;
	for (int i = 0; i < 900; i++)
		h2_raw_frame(&raw->bytes, SETTINGS, 0, 0, SPAN_LITERAL("\0\x04\0\0\0\x01"));
	raw_expect_calm(raw);
}

static void c8_t9_a_flood_of_empty_data_ends_it(void **state)
{
	struct raw *raw = *state;
	h2_raw_connect(&raw->bytes, 1, false);
	for (int i = 0; i < 10001; i++)
		h2_raw_frame(&raw->bytes, DATA, 0, 1, SPAN_LITERAL(""));
	raw_expect_calm(raw);
}

static void t9_padding_alone_is_empty_too(void **state)
{
	struct raw *raw = *state;
	h2_raw_connect(&raw->bytes, 1, false);
	for (int i = 0; i < 10001; i++)
		h2_raw_frame(&raw->bytes, DATA, 0x8, 1, SPAN_LITERAL("\x01\0"));
	raw_expect_calm(raw);
}

static void c8_a_flood_of_window_updates_or_priorities_ends_it(void **state)
{
	struct raw *raw = *state;
	h2_raw_connect(&raw->bytes, 1, false);
	for (int i = 0; i < 6000; i++) {
		h2_raw_frame(&raw->bytes, WINDOW_UPDATE, 0, 1, SPAN_LITERAL("\0\0\0\x01"));
		h2_raw_frame(&raw->bytes, PRIORITY, 0, 99, SPAN_LITERAL("\0\0\0\0\x10"));
	}
	raw_expect_calm(raw);
}

static void a_flood_of_frames_of_unknown_types_ends_it(void **state)
{
	struct raw *raw = *state;
	for (int i = 0; i < 10001; i++)
		h2_raw_frame(&raw->bytes, 0xee, 0, 0, SPAN_LITERAL("?"));
	raw_expect_calm(raw);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		RAW_TEST(c6_t1_rapid_reset_ends_the_connection),
		RAW_TEST(six_thousand_served_and_reset_streams_do_not_end_it),
		RAW_TEST(finding_l9_refused_requests_do_not_allow_resets),
		RAW_TEST(c6_resets_caused_by_window_overflow_count),
		RAW_TEST(c6_resets_caused_by_malformed_requests_count),
		RAW_TEST(c5_streams_beyond_the_maximum_are_refused),
		RAW_TEST(c7_t9_a_flood_of_continuations_ends_it),
		RAW_TEST(c8_a_flood_of_pings_ends_it),
		RAW_TEST(pings_that_are_answered_in_time_do_not_end_it),
		RAW_TEST(c8_settings_in_a_row_end_it),
		RAW_TEST(c8_t9_a_flood_of_empty_data_ends_it),
		RAW_TEST(t9_padding_alone_is_empty_too),
		RAW_TEST(c8_a_flood_of_window_updates_or_priorities_ends_it),
		RAW_TEST(a_flood_of_frames_of_unknown_types_ends_it),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
