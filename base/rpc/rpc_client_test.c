#include "base/core/mem.h"
#include "base/rpc/test_rpc_pair.h"
#include <setjmp.h>
#include <stdarg.h>
#include <sys/socket.h>
#include <unistd.h>
/* cmocka requires the headers above */
#include <cmocka.h>

static int set_up(void **state)
{
	struct test_rpc *test = mem_new(struct test_rpc);
	test_rpc_init(test, &(struct rpc_server_options){.max_streams = 3});
	*state = test;
	return 0;
}

static int tear_down(void **state)
{
	test_rpc_done(*state);
	mem_free(*state);
	return 0;
}

static void on_close(void *arg, struct rpc_client *client, const struct why *why)
{
	struct test_rpc *test = arg;
	test->client_closed = true;
	test->client_detail = *why;
	rpc_client_free(client);
}

/* A client whose server never answers. */
static int connect_to_silent_server(struct test_rpc *test)
{
	int fds[2];
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds), 0);
	rpc_client_new(&(struct rpc_client_options){.loop = test->loop,
		.transport = transport_new_plain(fds[0]),
		.authority = "silent",
		.connect_timeout_ms = 1000,
		.on_close = on_close,
		.arg = test});
	return fds[1];
}

static void c10_a_silent_server_times_out(void **state)
{
	struct test_rpc *test = *state;
	int other = connect_to_silent_server(test);
	test_rpc_wait(test, 900);
	assert_false(test->client_closed);
	test_rpc_wait(test, 200);
	assert_true(test->client_closed);
	assert_int_equal(test->client_detail.err, ERR_TIMEOUT);
	close(other);
}

static void reports_a_server_with_another_protocol(void **state)
{
	struct test_rpc *test = *state;
	int other = connect_to_silent_server(test);
	assert_int_equal(write(other, "HTTP/1.1 400 Bad Request\r\n\r\n", 28), 28);
	test_rpc_run(test);
	assert_true(test->client_closed);
	assert_int_equal(test->client_detail.err, ERR_PROTOCOL);
	close(other);
}

static void ends_every_call_when_the_server_disconnects(void **state)
{
	struct test_rpc *test = *state;
	test_rpc_connect(test, &(struct rpc_client_options){0});
	struct test_rpc_call first, second;
	test_rpc_call(test, &first, "/t/Echo", 0);
	test_rpc_call(test, &second, "/t/Echo", 5000);
	test_rpc_run(test);
	rpc_server_free(test->server);
	test->server = NULL;
	test_rpc_run(test);
	assert_true(first.is_done && second.is_done);
	assert_int_equal(first.status, RPC_UNAVAILABLE);
	assert_true(test->client_closed);
	assert_int_equal(test->client_detail.err, ERR_CLOSED);
}

static void a_server_that_stops_answering_times_out(void **state)
{
	struct test_rpc *test = *state;
	int other = connect_to_silent_server(test);
	static const uint8_t settings[9] = {0, 0, 0, 4}; /* an empty SETTINGS frame, then nothing */
	assert_int_equal(write(other, settings, sizeof(settings)), sizeof(settings));
	test_rpc_wait(
		test, 19000); /* two keepalive periods: PING, then the timeout; in the first the settings arrive */
	assert_false(test->client_closed);
	test_rpc_wait(test, 12000);
	assert_true(test->client_closed);
	assert_int_equal(test->client_detail.err, ERR_TIMEOUT);
	close(other);
}

static void a_probe_ends_a_connection_whose_server_is_silent(void **state)
{
	struct test_rpc *test = *state;
	int fds[2];
	static const uint8_t settings[9] = {0, 0, 0, 4};
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds), 0);
	struct rpc_client *client = rpc_client_new(&(struct rpc_client_options){.loop = test->loop,
		.transport = transport_new_plain(fds[0]),
		.authority = "silent",
		.on_close = on_close,
		.arg = test});
	assert_int_equal(write(fds[1], settings, sizeof(settings)), sizeof(settings));
	test_rpc_wait(test, 100);
	rpc_client_probe(client, 500);
	test_rpc_wait(test, 400);
	rpc_client_probe(client, 500); /* does not extend it */
	assert_false(test->client_closed);
	test_rpc_wait(test, 200);
	assert_true(test->client_closed);
	assert_int_equal(test->client_detail.err, ERR_TIMEOUT);
	close(fds[1]);
}

static void a_probe_that_is_answered_changes_nothing(void **state)
{
	struct test_rpc *test = *state;
	test_rpc_connect(test, &(struct rpc_client_options){.keepalive_ms = 1000});
	for (int i = 0; i < 10; i++) {
		rpc_client_probe(test->client, 500);
		test_rpc_wait(test, 700);
	}
	test_rpc_wait(test, 60000);
	assert_false(test->client_closed);
}

static void an_idle_connection_stays(void **state)
{
	struct test_rpc *test = *state;
	test_rpc_connect(test, &(struct rpc_client_options){.keepalive_ms = 1000});
	test_rpc_wait(test, 60000);
	assert_false(test->client_closed);
	struct test_rpc_call call;
	test_rpc_unary(test, &call, "/t/Echo", SPAN_LITERAL("awake"));
	assert_int_equal(call.status, RPC_OK);
	buf_done(&call.received);
}

static void makes_no_more_calls_than_the_server_allows(void **state)
{
	struct test_rpc *test = *state;
	test_rpc_connect(test, &(struct rpc_client_options){0});
	struct test_rpc_call calls[3];
	for (int i = 0; i < 3; i++)
		test_rpc_call(test, &calls[i], "/t/Echo", 0);
	static const struct rpc_call_handlers handlers;
	struct rpc_call *call;
	assert_int_equal(rpc_client_call(test->client, "/t/Echo", 0, &handlers, NULL, &call), ERR_LIMIT);
}

static void no_call_before_it_is_ready(void **state)
{
	struct test_rpc *test = *state;
	int fds[2];
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds), 0);
	test->client = rpc_client_new(&(struct rpc_client_options){
		.loop = test->loop, .transport = transport_new_plain(fds[0]), .authority = "x"});
	static const struct rpc_call_handlers handlers;
	struct rpc_call *call;
	assert_int_equal(rpc_client_call(test->client, "/t/Echo", 0, &handlers, NULL, &call), ERR_UNAVAILABLE);
	assert_null(rpc_client_tls(test->client));
	close(fds[1]);
}

static void c3_an_answer_over_the_client_s_limit_ends_the_call(void **state)
{
	struct test_rpc *test = *state;
	test_rpc_connect(test, &(struct rpc_client_options){.message_max = 10});
	struct test_rpc_call call;
	test_rpc_unary(test, &call, "/t/Echo", SPAN_LITERAL("0123456789a"));
	assert_int_equal(call.status, RPC_RESOURCE_EXHAUSTED);
	assert_int_equal(call.num_messages, 0);
	assert_int_equal(test->num_dones, 1);
}

static void hundreds_of_calls_one_after_the_other(void **state)
{
	struct test_rpc *test = *state;
	test_rpc_connect(test, &(struct rpc_client_options){0});
	for (int i = 0; i < 300; i++) {
		struct test_rpc_call call;
		test_rpc_unary(test, &call, "/t/Echo", SPAN_LITERAL("again"));
		assert_int_equal(call.status, RPC_OK);
		buf_done(&call.received);
	}
	assert_int_equal(test->num_dones, 300);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(c10_a_silent_server_times_out),
		TEST(reports_a_server_with_another_protocol),
		TEST(ends_every_call_when_the_server_disconnects),
		TEST(a_server_that_stops_answering_times_out),
		TEST(a_probe_ends_a_connection_whose_server_is_silent),
		TEST(a_probe_that_is_answered_changes_nothing),
		TEST(an_idle_connection_stays),
		TEST(makes_no_more_calls_than_the_server_allows),
		TEST(no_call_before_it_is_ready),
		TEST(c3_an_answer_over_the_client_s_limit_ends_the_call),
		TEST(hundreds_of_calls_one_after_the_other),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
