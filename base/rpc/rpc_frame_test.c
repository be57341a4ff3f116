#include "base/rpc/rpc_frame.h"
#include <setjmp.h>
#include <stdarg.h>
/* cmocka requires the headers above */
#include <cmocka.h>

static struct rpc_frame_reader reader_of(uint32_t max)
{
	struct rpc_frame_reader reader;
	rpc_frame_reader_init(&reader, max);
	return reader;
}

static void several_messages_in_one_piece_come_one_by_one(_unused_ void **state)
{
	_cleanup_(rpc_frame_reader_done) struct rpc_frame_reader reader = reader_of(100);
	struct span in = SPAN_LITERAL("\0\0\0\0\x02hi\0\0\0\0\0\0\0\0\0\x03you"), message;
	bool has;
	assert_int_equal(rpc_frame_next(&reader, &in, &has, &message), ERR_NONE);
	assert_true(has && span_eq(message, SPAN_LITERAL("hi")));
	assert_int_equal(rpc_frame_next(&reader, &in, &has, &message), ERR_NONE);
	assert_true(has && message.len == 0);
	assert_int_equal(rpc_frame_next(&reader, &in, &has, &message), ERR_NONE);
	assert_true(has && span_eq(message, SPAN_LITERAL("you")));
	assert_true(rpc_frame_is_between(&reader));
	assert_int_equal(rpc_frame_next(&reader, &in, &has, &message), ERR_NONE);
	assert_false(has);
}

static void accepts_a_message_in_single_bytes(_unused_ void **state)
{
	_cleanup_(rpc_frame_reader_done) struct rpc_frame_reader reader = reader_of(100);
	struct span all = SPAN_LITERAL("\0\0\0\0\x05hello"), message;
	bool has = false;
	for (size_t i = 0; i < all.len; i++) {
		assert_false(has);
		struct span one = span_of(all.ptr + i, 1);
		assert_int_equal(rpc_frame_next(&reader, &one, &has, &message), ERR_NONE);
		assert_int_equal(one.len, 0);
		assert_true(has || !rpc_frame_is_between(&reader));
	}
	assert_true(has && span_eq(message, SPAN_LITERAL("hello")));
}

static void expect_refusal(struct span in, uint32_t max, enum err expected)
{
	_cleanup_(rpc_frame_reader_done) struct rpc_frame_reader reader = reader_of(max);
	struct span message;
	bool has;
	assert_int_equal(rpc_frame_next(&reader, &in, &has, &message), expected);
	assert_false(has);
	assert_null(reader.partial.ptr); /* nothing was allocated for it */
}

static void c3_a_false_length_is_refused_before_allocation(_unused_ void **state)
{
	expect_refusal(SPAN_LITERAL("\0\xff\xff\xff\xff"), 4 * 1024 * 1024, ERR_TOO_LARGE);
	expect_refusal(SPAN_LITERAL("\0\x04\0\0\0"), 4 * 1024 * 1024, ERR_TOO_LARGE);
	expect_refusal(SPAN_LITERAL("\0\0\0\0\x65"), 100, ERR_TOO_LARGE);
}

static void c3_a_compressed_message_is_not_supported(_unused_ void **state)
{
	expect_refusal(SPAN_LITERAL("\x01\0\0\0\x01x"), 100, ERR_UNSUPPORTED);
	expect_refusal(SPAN_LITERAL("\x02\0\0\0\x01x"), 100, ERR_MALFORMED);
}

static void memory_grows_with_received_bytes(_unused_ void **state)
{
	_cleanup_(rpc_frame_reader_done) struct rpc_frame_reader reader = reader_of(4 * 1024 * 1024);
	struct span in = SPAN_LITERAL("\0\0\x40\0\0only this"), message;
	bool has;
	assert_int_equal(rpc_frame_next(&reader, &in, &has, &message), ERR_NONE);
	assert_false(has);
	assert_true(reader.partial.cap < 4096);
}

static void round_trips_a_prefix(_unused_ void **state)
{
	uint8_t bytes[RPC_FRAME_PREFIX_LEN + 1] = {0};
	rpc_frame_prefix(1, bytes);
	_cleanup_(rpc_frame_reader_done) struct rpc_frame_reader reader = reader_of(1);
	struct span in = span_of(bytes, sizeof(bytes)), message;
	bool has;
	assert_int_equal(rpc_frame_next(&reader, &in, &has, &message), ERR_NONE);
	assert_true(has && message.len == 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(several_messages_in_one_piece_come_one_by_one),
		cmocka_unit_test(accepts_a_message_in_single_bytes),
		cmocka_unit_test(c3_a_false_length_is_refused_before_allocation),
		cmocka_unit_test(c3_a_compressed_message_is_not_supported),
		cmocka_unit_test(memory_grows_with_received_bytes),
		cmocka_unit_test(round_trips_a_prefix),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
