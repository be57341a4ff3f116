#include "base/core/mem.h"
#include "base/h2/test_h2_pair.h"
#include <malloc.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
/* cmocka requires the headers above */
#include <cmocka.h>

static const struct h2_limits defaults;

static void exchanges_settings(void **state)
{
	(void)state;
	struct test_h2_pair pair;
	test_h2_pair_init(&pair, &defaults);
	assert_false(h2_session_has_settings(pair.client.session));
	test_h2_pair_run(&pair);
	assert_true(h2_session_has_settings(pair.client.session));
	assert_int_equal(pair.client.num_settings, 1);
	assert_int_equal(pair.server.num_settings, 1);
	assert_int_equal(h2_session_streams_left(pair.client.session), 100);
	assert_false(h2_session_has_output(pair.client.session));
	test_h2_pair_done(&pair);
}

static void graceful_shutdown_lets_streams_finish(void **state)
{
	(void)state;
	struct test_h2_pair pair;
	test_h2_pair_init(&pair, &defaults);
	test_h2_pair_run(&pair);
	int32_t id = test_h2_open(&pair.client, false);
	test_h2_pair_run(&pair);
	h2_session_shutdown(pair.server.session);
	assert_int_equal(pair.server.num_output_ready, 1);
	test_h2_pair_run(&pair);
	assert_int_equal(pair.client.num_goaways, 2);
	assert_int_equal(h2_session_streams_left(pair.client.session), 0);
	int32_t other;
	const struct h2_header method = {SPAN_LITERAL(":method"), SPAN_LITERAL("CONNECT")};
	assert_int_equal(h2_stream_open(pair.client.session, &method, 1, true, NULL, &other), ERR_CLOSED);
	assert_false(h2_session_is_done(pair.server.session));
	test_h2_send(&pair.client, id, SPAN_LITERAL("last bytes"), true);
	test_h2_send(&pair.server, id, SPAN_LITERAL(""), true);
	test_h2_pair_run(&pair);
	assert_int_equal(test_h2_end_stream(&pair.client, id)->error, 0);
	assert_int_equal(buf_len(&test_h2_end_stream(&pair.server, id)->received), 10);
	assert_true(h2_session_is_done(pair.server.session));
	assert_true(h2_session_is_done(pair.client.session));
	test_h2_pair_done(&pair);
}

static void a_client_shuts_down_as_well(void **state)
{
	(void)state;
	struct test_h2_pair pair;
	test_h2_pair_init(&pair, &defaults);
	test_h2_pair_run(&pair);
	h2_session_shutdown(pair.client.session);
	test_h2_pair_run(&pair);
	assert_int_equal(pair.server.num_goaways, 1);
	assert_true(h2_session_is_done(pair.client.session));
	assert_true(h2_session_is_done(pair.server.session));
	test_h2_pair_done(&pair);
}

static void goaway_with_an_error_ends_it_at_once(void **state)
{
	(void)state;
	struct test_h2_pair pair;
	test_h2_pair_init(&pair, &defaults);
	test_h2_pair_run(&pair);
	h2_session_goaway(pair.server.session, 2);
	test_h2_pair_run(&pair);
	assert_int_equal(pair.client.goaway_error, 2);
	assert_true(h2_session_is_done(pair.server.session));
	assert_int_equal(h2_session_feed(pair.server.session, SPAN_LITERAL("x"), NULL), ERR_CLOSED);
	test_h2_pair_done(&pair);
}

static void a_ping_is_answered(void **state)
{
	(void)state;
	struct test_h2_pair pair;
	test_h2_pair_init(&pair, &defaults);
	test_h2_pair_run(&pair);
	h2_session_ping(pair.client.session);
	h2_session_ping(pair.client.session);
	assert_int_equal(pair.client.num_output_ready, 1);
	test_h2_pair_run(&pair);
	assert_int_equal(pair.client.num_ping_acks, 2);
	test_h2_pair_done(&pair);
}

static void the_connection_window_grows(void **state)
{
	(void)state;
	struct test_h2_pair pair;
	test_h2_pair_init(&pair, &defaults);
	test_h2_pair_run(&pair);
	h2_session_set_window(pair.server.session, 4 * 1024 * 1024);
	assert_int_equal(pair.server.num_output_ready, 1);
	h2_session_set_window(pair.server.session, 1024); /* never shrinks */
	test_h2_pair_run(&pair);
	test_h2_pair_done(&pair);
}

static void invalid_settings_are_refused(void **state)
{
	(void)state;
	struct h2_session *session = NULL;
	const struct h2_session_options small = {.limits = {.frame_bytes = 1024}};
	assert_int_equal(h2_session_new(&small, &session), ERR_CONFIG);
	const struct h2_session_options large = {.limits = {.stream_window = UINT32_MAX}};
	assert_int_equal(h2_session_new(&large, &session), ERR_CONFIG);
	assert_null(session);
}

static void input_other_than_http2_is_a_protocol_error(void **state)
{
	(void)state;
	struct test_h2_end server;
	struct why why = {0};
	test_h2_end_init(&server, H2_SERVER, &defaults, 0);
	struct buf bytes = BUF_INIT(1024);
	assert_int_equal(buf_append_str(&bytes, "GET / HTTP/1.1\r\nHost: a\r\n\r\n"), ERR_NONE);
	assert_int_equal(h2_raw_feed(&server, &bytes, &why), ERR_PROTOCOL);
	assert_int_equal(why.err, ERR_PROTOCOL);
	assert_true(h2_session_is_done(server.session));
	buf_done(&bytes);
	test_h2_end_done(&server);
}

static size_t heap_in_use(void)
{
	struct mallinfo2 info = mallinfo2();
	return info.uordblks + info.hblkhd;
}

static void an_idle_session_and_a_stream_use_little_memory(void **state)
{
	(void)state;
	const struct h2_limits limits = {.header_table = 256, .header_table_sent = 256, .max_streams = 1100};
	struct test_h2_pair pair;
	test_h2_pair_init(&pair, &limits);
	size_t before = heap_in_use();
	struct test_h2_end idle;
	test_h2_end_init(&idle, H2_SERVER, &limits, 0);
	size_t session = heap_in_use() - before - H2_TEST_STREAMS * sizeof(struct test_h2_stream);
	test_h2_pair_run(&pair);
	before = heap_in_use();
	for (int i = 0; i < 1000; i++)
		test_h2_open(&pair.client, false);
	test_h2_pair_run(&pair);
	size_t stream = (heap_in_use() - before) / 1000 / 2;
	print_message("heap: session %zu bytes, stream %zu bytes per end\n", session, stream);
#ifndef __SANITIZE_ADDRESS__
	assert_in_range(session, 1, 27 * 1024);
	assert_in_range(stream, 1, 700);
#endif
	test_h2_end_done(&idle);
	test_h2_pair_done(&pair);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(exchanges_settings),
		cmocka_unit_test(graceful_shutdown_lets_streams_finish),
		cmocka_unit_test(a_client_shuts_down_as_well),
		cmocka_unit_test(goaway_with_an_error_ends_it_at_once),
		cmocka_unit_test(a_ping_is_answered),
		cmocka_unit_test(the_connection_window_grows),
		cmocka_unit_test(invalid_settings_are_refused),
		cmocka_unit_test(input_other_than_http2_is_a_protocol_error),
		cmocka_unit_test(an_idle_session_and_a_stream_use_little_memory),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
