#include "base/core/mem.h"
#include "base/core/test_memory.h"
#include "base/rpc/test_rpc_raw.h"
#include <setjmp.h>
#include <stdarg.h>
/* cmocka requires the headers above */
#include <cmocka.h>

static const struct request echo = {"POST", "/t/Echo", "application/grpc", NULL, NULL};

static int set_up(void **state)
{
	struct test_rpc *test = mem_new(struct test_rpc);
	test_rpc_init(test, &(struct rpc_server_options){0});
	*state = test;
	return 0;
}

static int tear_down(void **state)
{
	test_rpc_done(*state);
	mem_free(*state);
	return 0;
}

static void a_message_of_one_byte_a_frame_is_whole(void **state)
{
	struct test_rpc *test = *state;
	raw_expect(test, echo, SPAN_LITERAL("\0\0\0\0\x05hello"), "200", "0");
	assert_int_equal(test->num_server_messages, 1);
}

static void refuses_other_methods_and_content_types_by_http_status(void **state)
{
	struct request get = echo, json = echo, close_name = echo;
	get.method = "GET";
	json.content_type = "application/json";
	close_name.content_type = "application/grpc-web";
	raw_expect(*state, get, SPAN_LITERAL(""), "405", "");
	raw_expect(*state, json, SPAN_LITERAL(""), "415", "");
	raw_expect(*state, close_name, SPAN_LITERAL(""), "415", "");
}

static void content_types_with_a_suffix_are_grpc(void **state)
{
	struct request proto = echo, parameter = echo;
	proto.content_type = "application/grpc+proto";
	parameter.content_type = "application/grpc;charset=utf-8";
	raw_expect(*state, proto, SPAN_LITERAL("\0\0\0\0\0"), "200", "0");
	raw_expect(*state, parameter, SPAN_LITERAL("\0\0\0\0\0"), "200", "0");
}

static void c11_a_malformed_timeout_is_refused(void **state)
{
	struct request request = echo;
	request.extra_name = "grpc-timeout";
	request.extra_value = "-1S";
	raw_expect(*state, request, SPAN_LITERAL(""), "200", "3");
	request.extra_value = "99999999999999999999S";
	raw_expect(*state, request, SPAN_LITERAL(""), "200", "3");
	request.extra_value = "0m";
	raw_expect(*state, request, SPAN_LITERAL(""), "200", "4");
	request.extra_value = "99999999H";
	raw_expect(*state, request, SPAN_LITERAL("\0\0\0\0\0"), "200", "0");
	assert_int_equal(((struct test_rpc *)*state)->num_starts, 1);
}

static void c3_messages_with_false_prefixes_are_refused(void **state)
{
	struct request gzip = echo;
	gzip.extra_name = "grpc-encoding";
	gzip.extra_value = "gzip";
	raw_expect(*state, echo, SPAN_LITERAL("\0\xff\xff\xff\xff"), "200", "8");
	raw_expect(*state, echo, SPAN_LITERAL("\x01\0\0\0\x01x"), "200", "13");
	raw_expect(*state, gzip, SPAN_LITERAL("\x01\0\0\0\x01x"), "200", "12");
	raw_expect(*state, echo, SPAN_LITERAL("\x07\0\0\0\x01x"), "200", "13");
	raw_expect(*state, echo, SPAN_LITERAL("\0\0\0\0\x05hell"), "200", "13"); /* ends within the message */
	assert_int_equal(((struct test_rpc *)*state)->num_server_messages, 0);
	assert_int_equal(((struct test_rpc *)*state)->num_starts, ((struct test_rpc *)*state)->num_dones);
}

static void a_refused_client_that_continues_sending_is_reset(void **state)
{
	struct test_rpc *test = *state;
	struct raw_client client;
	raw_open(test, &client);
	client.ends = false;
	struct request denied = echo;
	denied.path = "/t/Denied";
	raw_request(test, &client, denied, SPAN_LITERAL("\0\0\0\0\x05hello"));
	assert_string_equal(client.grpc_status, "7");
	assert_true(client.is_closed);
	raw_close(&client);
}

static void finding_t8_a_unary_call_takes_exactly_one_message(void **state)
{
	struct test_rpc *test = *state;
	struct request unary = echo;
	unary.path = "/t/Unary";
	raw_expect(test, unary, SPAN_LITERAL("\0\0\0\0\x05hello"), "200", "0");
	raw_expect(test, unary, SPAN_LITERAL(""), "200", "12"); /* at once: the clock does not move */
	assert_int_equal(test->num_server_messages, 1);
	raw_expect(test, unary, SPAN_LITERAL("\0\0\0\0\x01x\0\0\0\0\x01y"), "200", "0");
	assert_int_equal(test->num_server_messages, 2); /* answered before the second was received */
	assert_int_equal(test->num_starts, test->num_dones);
}

static void finding_t8_a_second_message_of_a_slow_unary_call_ends_it(void **state)
{
	struct test_rpc *test = *state;
	struct request slow = echo;
	slow.path = "/t/UnarySilent";
	raw_expect(test, slow, SPAN_LITERAL("\0\0\0\0\x01x\0\0\0\0\x01y"), "200", "12");
	assert_int_equal(test->num_server_messages, 1);
}

static void finding_t8_a_refused_encoding_lists_the_supported_one(void **state)
{
	static const char *const names[] = {"grpc-encoding", NULL};
	struct test_rpc *test = *state;
	for (size_t i = 0; i < 2; i++) {
		struct raw_client client;
		struct request request = echo;
		request.extra_name = names[i];
		request.extra_value = names[i] != NULL ? "gzip" : NULL;
		request.path = i == 0 ? "/t/Echo" : "/t/Nothing";
		raw_open(test, &client);
		raw_request(test, &client, request, SPAN_LITERAL("\x01\0\0\0\x01x"));
		assert_string_equal(client.grpc_status, "12");
		assert_string_equal(client.accept_encoding, "identity");
		raw_close(&client);
	}
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
static void what_was_sent_by_a_server_with_secrets_is_overwritten(_unused_ void **state)
{
	struct test_rpc *test = mem_new(struct test_rpc);
	struct raw_client client;
	uint8_t secret[TEST_SECRET_LEN];
	test_rpc_init(test, &(struct rpc_server_options){.has_secrets = true});
	raw_open(test, &client);
	client.ends = false;
	raw_request(test, &client, echo, SPAN_LITERAL(""));
	assert_non_null(test->last_call);
	test_secret_write(secret);
	for (unsigned i = 0; i < 20; i++) /* the queue grows */
		assert_int_equal(rpc_call_send(test->last_call, span_of(secret, sizeof(secret))), ERR_NONE);
	mem_wipe(secret, sizeof(secret));
	assert_int_equal(test_memory_num_secrets(), 20);
	raw_run(test, &client);
#ifndef __SANITIZE_ADDRESS__ /* it keeps freed memory as it was, that of the client in this process too */
	assert_int_equal(test_memory_num_secrets(), 0);
#endif
	raw_close(&client);
	test_rpc_done(test);
	mem_free(test);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_message_of_one_byte_a_frame_is_whole),
		TEST(refuses_other_methods_and_content_types_by_http_status),
		TEST(content_types_with_a_suffix_are_grpc),
		TEST(c11_a_malformed_timeout_is_refused),
		TEST(c3_messages_with_false_prefixes_are_refused),
		TEST(finding_t8_a_unary_call_takes_exactly_one_message),
		TEST(finding_t8_a_second_message_of_a_slow_unary_call_ends_it),
		TEST(finding_t8_a_refused_encoding_lists_the_supported_one),
		TEST(a_refused_client_that_continues_sending_is_reset),
		cmocka_unit_test(what_was_sent_by_a_server_with_secrets_is_overwritten),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
