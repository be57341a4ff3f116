#include "base/core/mem.h"
#include "base/h2/test_h2_pair.h"
#include <setjmp.h>
#include <stdarg.h>
/* cmocka requires the headers above */
#include <cmocka.h>

static const struct h2_limits roomy = {.stream_window = 4 * 1024 * 1024, .connection_window = 64 * 1024 * 1024};
static uint8_t bytes[2 * 1024 * 1024];

static void fill_bytes(void)
{
	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = (uint8_t)(i * 31 + i / 251);
}

static void a_single_stream_sends_the_largest_frames(void **state)
{
	(void)state;
	struct test_h2_pair pair;
	test_h2_pair_init(&pair, &roomy);
	test_h2_pair_run(&pair);
	int32_t id = test_h2_open(&pair.client, false);
	test_h2_send(&pair.client, id, span_of(bytes, sizeof(bytes)), true);
	test_h2_pair_run(&pair);
	assert_int_equal(test_h2_end_stream(&pair.client, id)->largest_pull, 128 * 1024 - 9);
	assert_true(span_eq(buf_span(&test_h2_end_stream(&pair.server, id)->received), span_of(bytes, sizeof(bytes))));
	test_h2_pair_done(&pair);
}

static void a_limit_on_frames_that_are_sent_is_kept(void **state)
{
	(void)state;
	struct h2_limits small = roomy;
	struct test_h2_pair pair;
	small.frame_bytes_sent = 16 * 1024;
	test_h2_pair_init(&pair, &small);
	test_h2_pair_run(&pair);
	int32_t id = test_h2_open(&pair.client, false);
	test_h2_send(&pair.client, id, span_of(bytes, sizeof(bytes)), true);
	test_h2_pair_run(&pair);
	assert_int_equal(test_h2_end_stream(&pair.client, id)->largest_pull, 16 * 1024);
	assert_true(span_eq(buf_span(&test_h2_end_stream(&pair.server, id)->received), span_of(bytes, sizeof(bytes))));
	test_h2_pair_done(&pair);
}

static void check_turns(struct test_h2_end *end, const int32_t ids[3])
{
	for (int i = 0; i < 3; i++)
		test_h2_send(end, ids[i], span_of(bytes, sizeof(bytes)), true);
	end->num_pulls = 0;
	while (end->num_pulls < 9) {
		assert_int_equal(h2_session_produce(end->session, &end->out), IO_WANT_WRITE);
		buf_clear(&end->out);
	}
	unsigned seen[3] = {0};
	for (unsigned i = 0; i < 9; i++)
		for (int j = 0; j < 3; j++)
			seen[j] += end->pull_order[i] == ids[j];
	for (int j = 0; j < 3; j++) {
		assert_int_equal(seen[j], 3);
	}
}

static void streams_of_a_client_take_turns(void **state)
{
	(void)state;
	struct test_h2_pair pair;
	test_h2_pair_init(&pair, &roomy);
	test_h2_pair_run(&pair);
	int32_t ids[3];
	for (int i = 0; i < 3; i++)
		ids[i] = test_h2_open(&pair.client, false);
	test_h2_pair_run(&pair);
	check_turns(&pair.client, ids);
	test_h2_pair_done(&pair);
}

static void streams_of_a_server_take_turns(void **state)
{
	(void)state;
	struct test_h2_pair pair;
	test_h2_pair_init(&pair, &roomy);
	test_h2_pair_run(&pair);
	int32_t ids[3];
	for (int i = 0; i < 3; i++)
		ids[i] = test_h2_open(&pair.client, true);
	test_h2_pair_run(&pair);
	check_turns(&pair.server, ids);
	test_h2_pair_done(&pair);
}

static void a_small_answer_does_not_wait_for_a_bulk_one(void **state)
{
	(void)state;
	struct test_h2_pair pair;
	test_h2_pair_init(&pair, &roomy);
	test_h2_pair_run(&pair);
	int32_t bulk = test_h2_open(&pair.client, true), small = test_h2_open(&pair.client, true);
	test_h2_pair_run(&pair);
	test_h2_send(&pair.server, bulk, span_of(bytes, sizeof(bytes)), true);
	assert_int_equal(h2_session_produce(pair.server.session, &pair.server.out), IO_WANT_WRITE);
	buf_consume(&pair.server.out, buf_len(&pair.server.out));
	test_h2_send(&pair.server, small, SPAN_LITERAL("quick"), true);
	pair.server.num_pulls = 0;
	assert_int_equal(h2_session_produce(pair.server.session, &pair.server.out), IO_WANT_WRITE);
	assert_true(pair.server.pull_order[0] == small || pair.server.pull_order[1] == small);
	test_h2_pair_done(&pair);
}

static void a_full_output_returns_want_write_and_continues_later(void **state)
{
	(void)state;
	struct test_h2_pair pair;
	test_h2_end_init(&pair.client, H2_CLIENT, &roomy, 1000); /* less than FRAME_WORTH_STARTING */
	test_h2_end_init(&pair.server, H2_SERVER, &roomy, 0);
	pair.server.responds = true;
	test_h2_pair_run(&pair);
	int32_t id = test_h2_open(&pair.client, false);
	test_h2_send(&pair.client, id, span_of(bytes, 20000), true);
	assert_int_equal(h2_session_produce(pair.client.session, &pair.client.out), IO_WANT_WRITE);
	assert_true(buf_len(&pair.client.out) <= 1000);
	test_h2_pair_run(&pair);
	assert_true(span_eq(buf_span(&test_h2_end_stream(&pair.server, id)->received), span_of(bytes, 20000)));
	test_h2_pair_done(&pair);
}

static void a_frame_is_not_cut_to_a_few_bytes(void **state)
{
	(void)state;
	struct test_h2_pair pair;
	test_h2_end_init(&pair.client, H2_CLIENT, &roomy, 262600); /* two frames, and 456 bytes */
	test_h2_end_init(&pair.server, H2_SERVER, &roomy, 0);
	pair.server.responds = true;
	test_h2_pair_run(&pair);
	int32_t first = test_h2_open(&pair.client, false), second = test_h2_open(&pair.client, false);
	test_h2_pair_run(&pair);
	test_h2_send(&pair.client, first, span_of(bytes, sizeof(bytes)), true);
	test_h2_send(&pair.client, second, span_of(bytes, sizeof(bytes)), true);
	assert_int_equal(h2_session_produce(pair.client.session, &pair.client.out), IO_WANT_WRITE);
	assert_int_equal(pair.client.num_pulls, 2);
	test_h2_pair_run(&pair);
	assert_true(test_h2_end_stream(&pair.server, first)->ended);
	assert_true(test_h2_end_stream(&pair.server, second)->ended);
	test_h2_pair_done(&pair);
}

static void a_pull_that_fails_resets_its_stream_only(void **state)
{
	(void)state;
	struct test_h2_pair pair;
	test_h2_pair_init(&pair, &roomy);
	test_h2_pair_run(&pair);
	int32_t bad = test_h2_open(&pair.client, false), good = test_h2_open(&pair.client, false);
	test_h2_end_stream(&pair.client, bad)->pull_fails = true;
	test_h2_send(&pair.client, bad, SPAN_LITERAL("x"), true);
	test_h2_send(&pair.client, good, SPAN_LITERAL("y"), true);
	test_h2_pair_run(&pair);
	assert_int_equal(test_h2_end_stream(&pair.server, bad)->error, 2);
	assert_true(test_h2_end_stream(&pair.server, good)->ended);
	test_h2_pair_done(&pair);
}

int main(void)
{
	fill_bytes();
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_single_stream_sends_the_largest_frames),
		cmocka_unit_test(a_limit_on_frames_that_are_sent_is_kept),
		cmocka_unit_test(streams_of_a_client_take_turns),
		cmocka_unit_test(streams_of_a_server_take_turns),
		cmocka_unit_test(a_small_answer_does_not_wait_for_a_bulk_one),
		cmocka_unit_test(a_full_output_returns_want_write_and_continues_later),
		cmocka_unit_test(a_frame_is_not_cut_to_a_few_bytes),
		cmocka_unit_test(a_pull_that_fails_resets_its_stream_only),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
