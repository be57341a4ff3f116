/* The two GOAWAY frames of a server that shuts down, and the streams that arrive between and after them. */
#include "base/h2/test_h2_raw.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka requires setjmp, stdarg, stddef and stdint */
#include <cmocka.h>

static unsigned num_goaways(struct raw *raw)
{
	assert_int_equal(raw_feed(raw), ERR_NONE);
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
	assert_int_equal(raw_feed(raw), ERR_NONE);
	assert_int_equal(h2_raw_count(&raw->server.out, RST_STREAM), 2);
	assert_int_equal(h2_raw_reset(&raw->server.out), 7);
	assert_int_equal(h2_session_num_streams(raw->server.session), 2);
	h2_raw_frame(&raw->bytes, DATA, 0, 1, SPAN_LITERAL("open streams continue"));
	assert_int_equal(raw_feed(raw), ERR_NONE);
	assert_int_equal(buf_len(&test_h2_end_stream(&raw->server, 1)->received), 21);
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
	assert_int_equal(raw_feed(raw), ERR_NONE);
	h2_session_shutdown(raw->server.session);
	h2_session_shutdown_end(raw->server.session);
	assert_int_equal(raw_feed(raw), ERR_NONE); /* it is sent */
	for (int i = 1; i < 1001; i++)
		h2_raw_connect(&raw->bytes, i * 2 + 1, true);
	assert_int_equal(raw_feed(raw), ERR_NONE);
	for (int i = 1001; i < 1003; i++)
		h2_raw_connect(&raw->bytes, i * 2 + 1, true);
	raw_expect_calm(raw);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		RAW_TEST(finding_l9_the_final_goaway_needs_no_ack_and_then_streams_are_refused),
		RAW_TEST(finding_l9_the_ack_of_an_earlier_ping_is_not_the_ack_of_the_notice),
		RAW_TEST(finding_l9_streams_after_the_final_goaway_count_as_resets),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
