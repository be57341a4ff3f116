#include "base/core/check.h"
#include "base/core/mem.h"
#include "base/h2/test_h2_pair.h"
#include <malloc.h>
#include <setjmp.h>
#include <stdarg.h>
/* cmocka requires the headers above */
#include <cmocka.h>

static const struct h2_limits defaults;

static int set_up(void **state)
{
	struct test_h2_pair *pair = mem_new(struct test_h2_pair);
	test_h2_pair_init(pair, &defaults);
	test_h2_pair_run(pair);
	*state = pair;
	return 0;
}

static int tear_down(void **state)
{
	test_h2_pair_done(*state);
	mem_free(*state);
	return 0;
}

static void bytes_and_ends_pass_in_both_directions(void **state)
{
	struct test_h2_pair *pair = *state;
	int32_t id = test_h2_open(&pair->client, false);
	test_h2_send(&pair->client, id, SPAN_LITERAL("question"), true);
	test_h2_pair_run(pair);
	struct test_h2_stream *at_server = test_h2_end_stream(&pair->server, id);
	struct test_h2_stream *at_client = test_h2_end_stream(&pair->client, id);
	assert_string_equal(at_server->first_header, ":method: CONNECT");
	assert_true(at_server->ended);
	assert_false(at_server->closed);
	assert_string_equal(at_client->first_header, ":status: 200");
	test_h2_send(&pair->server, id, SPAN_LITERAL("answer"), true);
	test_h2_pair_run(pair);
	assert_true(at_client->ended && at_client->closed && at_server->closed);
	assert_int_equal(at_client->error, 0);
	assert_true(span_eq(buf_span(&at_client->received), SPAN_LITERAL("answer")));
	assert_int_equal(h2_session_num_streams(pair->client.session), 0);
}

static void a_stream_is_not_pulled_before_it_is_ready(void **state)
{
	struct test_h2_pair *pair = *state;
	int32_t id = test_h2_open(&pair->client, false);
	test_h2_pair_run(pair);
	assert_int_equal(pair->client.num_pulls, 0);
	unsigned wanted = pair->client.num_output_ready;
	test_h2_send(&pair->client, id, SPAN_LITERAL("now"), false);
	assert_int_equal(pair->client.num_output_ready, wanted + 1);
	test_h2_pair_run(pair);
	assert_int_equal(buf_len(&test_h2_end_stream(&pair->server, id)->received), 3);
}

static void a_reset_is_never_a_clean_end(void **state)
{
	struct test_h2_pair *pair = *state;
	int32_t id = test_h2_open(&pair->client, false);
	test_h2_pair_run(pair);
	h2_stream_reset(pair->server.session, id, 0); /* even with NO_ERROR */
	test_h2_pair_run(pair);
	assert_int_equal(test_h2_end_stream(&pair->client, id)->error, 8);
	assert_int_equal(test_h2_end_stream(&pair->server, id)->error, 8);
	assert_false(test_h2_end_stream(&pair->client, id)->ended);
}

/* RFC 9113 8.1: a server that sent its whole answer can stop the rest of the request. */
static void finding_t1_a_complete_answer_before_reset_no_error_is_complete(void **state)
{
	struct test_h2_pair *pair = *state;
	int32_t id = test_h2_open(&pair->client, false);
	test_h2_send(&pair->client, id, SPAN_LITERAL("half a question"), false);
	test_h2_pair_run(pair);
	test_h2_send(&pair->server, id, SPAN_LITERAL("the answer"), true);
	CHECK(h2_session_produce(pair->server.session, &pair->server.out) == IO_DONE);
	h2_stream_reset(pair->server.session, id, 0);
	test_h2_pair_run(pair);
	struct test_h2_stream *at_client = test_h2_end_stream(&pair->client, id);
	assert_true(span_eq(buf_span(&at_client->received), SPAN_LITERAL("the answer")));
	assert_true(at_client->ended && at_client->closed);
	assert_int_equal(at_client->error, 0);
}

static void finding_t1_any_other_reset_after_the_end_is_a_reset(void **state)
{
	struct test_h2_pair *pair = *state;
	int32_t id = test_h2_open(&pair->client, false);
	test_h2_pair_run(pair);
	test_h2_send(&pair->server, id, SPAN_LITERAL("the answer"), true);
	CHECK(h2_session_produce(pair->server.session, &pair->server.out) == IO_DONE);
	h2_stream_reset(pair->server.session, id, 8);
	test_h2_pair_run(pair);
	assert_int_equal(test_h2_end_stream(&pair->client, id)->error, 8);
}

static void a_reset_before_the_request_is_sent_closes_it_too(void **state)
{
	struct test_h2_pair *pair = *state;
	int32_t id = test_h2_open(&pair->client, false);
	h2_stream_reset(pair->client.session, id, 8);
	test_h2_pair_run(pair);
	assert_true(test_h2_end_stream(&pair->client, id)->closed);
	assert_int_equal(test_h2_end_stream(&pair->client, id)->error, 8);
	assert_int_equal(h2_session_num_streams(pair->client.session), 0);
}

static void trailers_follow_the_last_byte(void **state)
{
	struct test_h2_pair *pair = *state;
	int32_t id = test_h2_open(&pair->client, true);
	test_h2_pair_run(pair);
	const struct h2_header trailer = {SPAN_LITERAL("grpc-status"), SPAN_LITERAL("0")};
	assert_int_equal(h2_stream_trailers(pair->server.session, id, &trailer, 1), ERR_NONE);
	test_h2_send(&pair->server, id, SPAN_LITERAL("body"), true);
	test_h2_pair_run(pair);
	struct test_h2_stream *stream = test_h2_end_stream(&pair->client, id);
	assert_int_equal(stream->num_headers, 2);
	assert_string_equal(stream->first_header, "grpc-status: 0");
	assert_true(stream->ended && stream->closed);
	assert_int_equal(stream->error, 0);
}

static void trailers_follow_an_empty_body(void **state)
{
	struct test_h2_pair *pair = *state;
	int32_t id = test_h2_open(&pair->client, true);
	test_h2_pair_run(pair);
	const struct h2_header trailer = {SPAN_LITERAL("grpc-status"), SPAN_LITERAL("5")};
	assert_int_equal(h2_stream_trailers(pair->server.session, id, &trailer, 1), ERR_NONE);
	test_h2_send(&pair->server, id, SPAN_LITERAL(""), true);
	test_h2_pair_run(pair);
	assert_string_equal(test_h2_end_stream(&pair->client, id)->first_header, "grpc-status: 5");
	assert_int_equal(test_h2_end_stream(&pair->client, id)->error, 0);
}

static void sends_only_one_response(void **state)
{
	struct test_h2_pair *pair = *state;
	int32_t id = test_h2_open(&pair->client, true);
	test_h2_pair_run(pair);
	const struct h2_header status = {SPAN_LITERAL(":status"), SPAN_LITERAL("503")};
	assert_int_equal(h2_stream_respond(pair->server.session, id, &status, 1, true), ERR_CLOSED);
	assert_int_equal(h2_stream_respond(pair->server.session, 99, &status, 1, true), ERR_CLOSED);
}

static void opens_no_more_streams_than_the_peer_allows(void **state)
{
	struct test_h2_pair *pair = *state;
	for (int i = 0; i < 100; i++)
		test_h2_open(&pair->client, false);
	assert_int_equal(h2_session_streams_left(pair->client.session), 0);
	int32_t id;
	const struct h2_header method = {SPAN_LITERAL(":method"), SPAN_LITERAL("CONNECT")};
	assert_int_equal(h2_stream_open(pair->client.session, &method, 1, true, NULL, &id), ERR_LIMIT);
	test_h2_pair_run(pair);
	assert_int_equal(h2_session_num_streams(pair->server.session), 100);
	h2_stream_reset(pair->client.session, 1, 8);
	test_h2_pair_run(pair);
	assert_int_equal(h2_session_streams_left(pair->client.session), 1);
}

static void a_stopped_reader_stalls_only_its_own_stream(void **state)
{
	struct test_h2_pair *pair = *state;
	static const uint8_t bytes[3 * 1024 * 1024];
	int32_t stuck = test_h2_open(&pair->client, false);
	pair->server.refuses_to_consume = true;
	test_h2_send(&pair->client, stuck, span_of(bytes, sizeof(bytes)), true);
	test_h2_pair_run(pair);
	size_t held = buf_len(&test_h2_end_stream(&pair->server, stuck)->received);
	assert_int_equal(held, 32 * 1024);
	pair->server.refuses_to_consume = false;
	int32_t other = test_h2_open(&pair->client, false);
	test_h2_send(&pair->client, other, span_of(bytes, sizeof(bytes)), true);
	test_h2_pair_run(pair);
	assert_int_equal(buf_len(&test_h2_end_stream(&pair->server, other)->received), sizeof(bytes));
	h2_stream_consumed(pair->server.session, stuck, held);
	assert_true(h2_session_has_output(pair->server.session));
	test_h2_pair_run(pair);
	assert_int_equal(buf_len(&test_h2_end_stream(&pair->server, stuck)->received), sizeof(bytes));
}

static void a_window_grows_and_never_shrinks(void **state)
{
	struct test_h2_pair *pair = *state;
	static const uint8_t bytes[1024 * 1024];
	int32_t id = test_h2_open(&pair->client, false);
	test_h2_pair_run(pair);
	assert_int_equal(h2_stream_window(pair->server.session, id), 32 * 1024);
	h2_stream_set_window(pair->server.session, id, 256 * 1024);
	h2_stream_set_window(pair->server.session, id, 1024);
	assert_int_equal(h2_stream_window(pair->server.session, id), 256 * 1024);
	pair->server.refuses_to_consume = true;
	test_h2_send(&pair->client, id, span_of(bytes, sizeof(bytes)), true);
	test_h2_pair_run(pair);
	assert_int_equal(buf_len(&test_h2_end_stream(&pair->server, id)->received), 256 * 1024);
	assert_int_equal(h2_stream_window(pair->server.session, 77), 0);
}

static void a_window_set_before_the_request_is_sent_is_sent_with_it(void **state)
{
	struct test_h2_pair *pair = *state;
	static uint8_t answer[200000];
	pair->client.refuses_to_consume = true;
	int32_t id = test_h2_open(&pair->client, false);
	h2_stream_set_window(pair->client.session, id, 150000);
	test_h2_pair_run(pair);
	assert_int_equal(h2_stream_window(pair->client.session, id), 150000);
	test_h2_send(&pair->server, id, span_of(answer, sizeof(answer)), true);
	test_h2_pair_run(pair);
	assert_int_equal(buf_len(&test_h2_end_stream(&pair->client, id)->received), 150000);
}

static void calls_on_closed_streams_do_nothing(void **state)
{
	struct test_h2_pair *pair = *state;
	int32_t id = test_h2_open(&pair->client, false);
	test_h2_pair_run(pair);
	h2_stream_reset(pair->client.session, id, 8);
	h2_stream_reset(pair->client.session, id, 8);
	test_h2_pair_run(pair);
	h2_stream_ready(pair->client.session, id);
	h2_stream_consumed(pair->client.session, id, 10);
	h2_stream_attach(pair->client.session, id, pair);
	h2_stream_set_window(pair->client.session, id, 100000);
	assert_int_equal(h2_stream_trailers(pair->client.session, id, NULL, 0), ERR_CLOSED);
	assert_int_equal(test_h2_pair_run(pair), 0);
}

/* Neither side sees anything of it, and what follows is whole: bytes, an end, trailers. */
static void a_stream_that_rested_sends_nothing_by_it_and_goes_on(void **state)
{
	struct test_h2_pair *pair = *state;
	int32_t id = test_h2_open(&pair->client, false);
	struct test_h2_stream *at_server = test_h2_end_stream(&pair->server, id);
	test_h2_pair_run(pair);
	for (unsigned i = 0; i < 3; i++) {
		h2_stream_rest(pair->client.session, id);
		h2_stream_rest(pair->client.session, id);
		h2_stream_rest(pair->server.session, id);
		assert_int_equal(test_h2_pair_run(pair), 0);
		h2_stream_rest(pair->client.session, id); /* at rest already */
		assert_int_equal(test_h2_pair_run(pair), 0);
		test_h2_send(&pair->client, id, SPAN_LITERAL("more"), false);
		test_h2_pair_run(pair);
		assert_int_equal(buf_len(&at_server->received), 4 * (i + 1));
	}
	assert_false(at_server->ended);
	h2_stream_rest(pair->client.session, id);
	test_h2_send(&pair->client, id, SPAN_LITERAL("at once"), true); /* before it is at rest */
	test_h2_pair_run(pair);
	assert_true(at_server->ended);
	assert_int_equal(buf_len(&at_server->received), 19);
	const struct h2_header trailer = {SPAN_LITERAL("grpc-status"), SPAN_LITERAL("0")};
	assert_int_equal(h2_stream_trailers(pair->server.session, id, &trailer, 1), ERR_NONE);
	test_h2_send(&pair->server, id, SPAN_LITERAL(""), true);
	test_h2_pair_run(pair);
	assert_string_equal(test_h2_end_stream(&pair->client, id)->first_header, "grpc-status: 0");
	assert_true(at_server->closed && at_server->error == 0);
	h2_stream_rest(pair->client.session, id); /* nothing is left of it */
	assert_int_equal(test_h2_pair_run(pair), 0);
}

static void a_stream_that_rests_can_be_reset_by_either_side(void **state)
{
	struct test_h2_pair *pair = *state;
	for (unsigned i = 0; i < 2; i++) {
		struct test_h2_end *end = i == 0 ? &pair->client : &pair->server;
		int32_t id = test_h2_open(&pair->client, false);
		test_h2_pair_run(pair);
		h2_stream_rest(pair->client.session, id);
		h2_stream_rest(pair->server.session, id);
		if (i == 1)
			test_h2_pair_run(pair);
		h2_stream_reset(end->session, id, 8);
		h2_stream_ready(end->session, id);
		test_h2_pair_run(pair);
		assert_int_equal(test_h2_end_stream(&pair->client, id)->error, 8);
		assert_int_equal(test_h2_end_stream(&pair->server, id)->error, 8);
	}
	assert_int_equal(h2_session_num_streams(pair->client.session), 0);
}

#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__) /* mallinfo2() is not theirs */
static void a_stream_at_rest_takes_less_memory(void **state)
{
	static const uint8_t much[20000];
	enum { STREAMS = 60, FRAME_LEN = 140, CACHED = 8 }; /* the allocator reports its cache as used */
	struct test_h2_pair *pair = *state;
	int32_t ids[STREAMS];
	for (unsigned i = 0; i < STREAMS; i++)
		ids[i] = test_h2_open(&pair->client, false);
	test_h2_pair_run(pair);
	size_t least = mallinfo2().uordblks; /* nothing was sent */
	for (unsigned i = 0; i < STREAMS; i++) {
		test_h2_send(&pair->client, ids[i], span_of(much, sizeof(much)), false);
		test_h2_pair_run(pair);
		buf_done(&test_h2_end_stream(&pair->server, ids[i])->received);
	}
	size_t before = mallinfo2().uordblks;
	assert_true(before - least >= (STREAMS - CACHED) * FRAME_LEN);
	for (unsigned i = 0; i < STREAMS; i++)
		h2_stream_rest(pair->client.session, ids[i]);
	test_h2_pair_run(pair);
	assert_true(before - mallinfo2().uordblks >= (STREAMS - CACHED) * FRAME_LEN);
}
#endif

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(bytes_and_ends_pass_in_both_directions, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_stream_is_not_pulled_before_it_is_ready, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_reset_is_never_a_clean_end, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			finding_t1_a_complete_answer_before_reset_no_error_is_complete, set_up, tear_down),
		cmocka_unit_test_setup_teardown(finding_t1_any_other_reset_after_the_end_is_a_reset, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_reset_before_the_request_is_sent_closes_it_too, set_up, tear_down),
		cmocka_unit_test_setup_teardown(trailers_follow_the_last_byte, set_up, tear_down),
		cmocka_unit_test_setup_teardown(trailers_follow_an_empty_body, set_up, tear_down),
		cmocka_unit_test_setup_teardown(sends_only_one_response, set_up, tear_down),
		cmocka_unit_test_setup_teardown(opens_no_more_streams_than_the_peer_allows, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_stopped_reader_stalls_only_its_own_stream, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_window_grows_and_never_shrinks, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			a_window_set_before_the_request_is_sent_is_sent_with_it, set_up, tear_down),
		cmocka_unit_test_setup_teardown(calls_on_closed_streams_do_nothing, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			a_stream_that_rested_sends_nothing_by_it_and_goes_on, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_stream_that_rests_can_be_reset_by_either_side, set_up, tear_down),
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
		cmocka_unit_test_setup_teardown(a_stream_at_rest_takes_less_memory, set_up, tear_down),
#endif
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
