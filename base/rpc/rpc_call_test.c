#include "base/core/mem.h"
#include "base/rpc/test_rpc_pair.h"
#include <setjmp.h>
#include <stdarg.h>
/* cmocka requires the headers above */
#include <cmocka.h>

static int set_up(void **state)
{
	struct test_rpc *test = mem_new(struct test_rpc);
	test_rpc_init(test, &(struct rpc_server_options){0});
	test_rpc_connect(test, &(struct rpc_client_options){0});
	assert_true(test->client_ready);
	*state = test;
	return 0;
}

static int tear_down(void **state)
{
	test_rpc_done(*state);
	mem_free(*state);
	return 0;
}

static void a_unary_call_is_answered(void **state)
{
	struct test_rpc *test = *state;
	struct test_rpc_call call;
	test_rpc_unary(test, &call, "/t/Echo", SPAN_LITERAL("hello"));
	assert_true(call.is_done);
	assert_int_equal(call.status, RPC_OK);
	assert_string_equal(call.message, "");
	assert_int_equal(call.num_messages, 1);
	assert_true(span_eq(buf_span(&call.received), SPAN_LITERAL("hello")));
	assert_int_equal(test->num_dones, 1);
	assert_int_equal(test->num_half_closes, 1);
	buf_done(&call.received);
}

static void an_empty_message_is_a_message(void **state)
{
	struct test_rpc_call call;
	test_rpc_unary(*state, &call, "/t/Echo", SPAN_LITERAL(""));
	assert_int_equal(call.num_messages, 1);
	assert_int_equal(call.status, RPC_OK);
	buf_done(&call.received);
}

static void sends_many_messages_in_both_directions(void **state)
{
	struct test_rpc *test = *state;
	struct test_rpc_call call;
	test_rpc_call(test, &call, "/t/Echo", 0);
	for (int i = 0; i < 1000; i++)
		assert_int_equal(rpc_call_send(call.call, SPAN_LITERAL("0123456789")), ERR_NONE);
	test_rpc_run(test);
	assert_int_equal(call.num_messages, 1000);
	assert_false(call.is_done);
	assert_int_equal(rpc_call_send(call.call, SPAN_LITERAL("last")), ERR_NONE);
	rpc_call_close_send(call.call);
	assert_int_equal(rpc_call_send(call.call, SPAN_LITERAL("too late")), ERR_CLOSED);
	test_rpc_run(test);
	assert_int_equal(call.num_messages, 1001);
	assert_int_equal(call.status, RPC_OK);
	buf_done(&call.received);
}

static void a_message_of_four_mebibytes_passes(void **state)
{
	struct test_rpc *test = *state;
	struct test_rpc_call call;
	static uint8_t bytes[4 * 1024 * 1024];
	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = (uint8_t)(i * 7 + i / 255);
	test_rpc_unary(test, &call, "/t/Echo", span_of(bytes, sizeof(bytes)));
	for (int i = 0; i < 20 && !call.is_done; i++)
		test_rpc_run(test);
	assert_int_equal(call.status, RPC_OK);
	assert_true(span_eq(buf_span(&call.received), span_of(bytes, sizeof(bytes))));
	buf_done(&call.received);
}

static void a_status_comes_with_its_message_and_push_back(void **state)
{
	struct test_rpc *test = *state;
	struct test_rpc_call call;
	test_rpc_unary(test, &call, "/t/Fail", SPAN_LITERAL("x"));
	assert_int_equal(call.status, RPC_NOT_FOUND);
	assert_string_equal(call.message, "no such th\xc3\xafng\n");
	assert_int_equal(call.retry_after_ms, 1500);
	assert_int_equal(test->num_dones, 1);
}

static void a_server_may_finish_while_the_client_still_sends(void **state)
{
	struct test_rpc *test = *state;
	struct test_rpc_call call;
	test_rpc_call(test, &call, "/t/Fail", 0);
	assert_int_equal(rpc_call_send(call.call, SPAN_LITERAL("x")), ERR_NONE);
	test_rpc_run(test);
	assert_int_equal(call.status, RPC_NOT_FOUND);
	assert_int_equal(test->num_dones, 1);
	test_rpc_unary(test, &call, "/t/Echo", SPAN_LITERAL("still alive"));
	assert_int_equal(call.status, RPC_OK);
	buf_done(&call.received);
}

static void an_unknown_method_is_unimplemented(void **state)
{
	struct test_rpc_call call;
	test_rpc_unary(*state, &call, "/t/Nothing", SPAN_LITERAL("x"));
	assert_int_equal(call.status, RPC_UNIMPLEMENTED);
}

static void c1_refuses_an_unauthorized_peer_before_reading_a_message(void **state)
{
	struct test_rpc *test = *state;
	struct test_rpc_call call;
	test_rpc_unary(test, &call, "/t/Denied", SPAN_LITERAL("secret"));
	assert_int_equal(call.status, RPC_PERMISSION_DENIED);
	assert_string_equal(call.message, "denied");
	assert_int_equal(test->num_starts, 0);
	assert_int_equal(test->num_server_messages, 0);
}

static void c3_a_message_over_the_method_s_limit_is_refused(void **state)
{
	struct test_rpc *test = *state;
	struct test_rpc_call call;
	test_rpc_unary(test, &call, "/t/Small", SPAN_LITERAL("0123456789"));
	assert_int_equal(call.status, RPC_OK);
	buf_done(&call.received);
	test_rpc_unary(test, &call, "/t/Small", SPAN_LITERAL("0123456789a"));
	assert_int_equal(call.status, RPC_RESOURCE_EXHAUSTED);
	assert_int_equal(test->num_server_messages, 1);
}

static void a_deadline_ends_the_call_on_both_sides(void **state)
{
	struct test_rpc *test = *state;
	struct test_rpc_call call;
	test_rpc_call(test, &call, "/t/Echo", 500);
	test_rpc_run(test);
	assert_int_equal(test->num_starts, 1);
	test_rpc_wait(test, 700);
	assert_true(call.is_done);
	assert_int_equal(call.status, RPC_DEADLINE_EXCEEDED);
	assert_int_equal(test->num_dones, 1);
}

static void the_server_enforces_its_own_deadlines(void **state)
{
	struct test_rpc *test = *state;
	struct test_rpc_call call;
	test_rpc_unary(test, &call, "/t/Silent", SPAN_LITERAL("x"));
	test_rpc_wait(test, 3300);
	assert_int_equal(call.status, RPC_DEADLINE_EXCEEDED);
	assert_int_equal(test->num_dones, 1);
}

static void a_canceled_call_has_no_callbacks(void **state)
{
	struct test_rpc *test = *state;
	struct test_rpc_call call;
	test_rpc_call(test, &call, "/t/Echo", 0);
	test_rpc_run(test);
	rpc_call_cancel(call.call);
	test_rpc_run(test);
	assert_false(call.is_done);
	assert_int_equal(test->num_dones, 1);
}

static void a_call_canceled_by_the_server_ends_with_cancelled(void **state)
{
	struct test_rpc *test = *state;
	struct test_rpc_call call;
	test_rpc_call(test, &call, "/t/Echo", 0);
	test_rpc_run(test);
	rpc_call_cancel(test->last_call);
	test_rpc_run(test);
	assert_int_equal(call.status, RPC_CANCELLED);
	assert_int_equal(test->num_dones, 0);
}

static void metadata_can_be_read(void **state)
{
	struct test_rpc *test = *state;
	struct test_rpc_call call;
	test_rpc_call(test, &call, "/t/Echo", 9000);
	test_rpc_run(test);
	assert_true(span_eq(rpc_call_metadata(test->last_call, "te"), SPAN_LITERAL("trailers")));
	assert_true(span_eq(rpc_call_metadata(test->last_call, "grpc-timeout"), SPAN_LITERAL("9000m")));
	assert_null(rpc_call_metadata(test->last_call, "absent").ptr);
}

static void c9_a_send_queue_is_bounded(void **state)
{
	struct test_rpc *test = *state;
	struct test_rpc_call call;
	test_rpc_call(test, &call, "/t/Flood", 0);
	test_rpc_run(test);
	assert_int_equal(test->flood_end, ERR_LIMIT);
	assert_in_range(test->num_flooded, 100, 105); /* 1 MiB */
	assert_int_equal(call.num_messages, test->num_flooded);
	buf_done(&call.received);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_unary_call_is_answered),
		TEST(an_empty_message_is_a_message),
		TEST(sends_many_messages_in_both_directions),
		TEST(a_message_of_four_mebibytes_passes),
		TEST(a_status_comes_with_its_message_and_push_back),
		TEST(a_server_may_finish_while_the_client_still_sends),
		TEST(an_unknown_method_is_unimplemented),
		TEST(c1_refuses_an_unauthorized_peer_before_reading_a_message),
		TEST(c3_a_message_over_the_method_s_limit_is_refused),
		TEST(a_deadline_ends_the_call_on_both_sides),
		TEST(the_server_enforces_its_own_deadlines),
		TEST(a_canceled_call_has_no_callbacks),
		TEST(a_call_canceled_by_the_server_ends_with_cancelled),
		TEST(metadata_can_be_read),
		TEST(c9_a_send_queue_is_bounded),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
