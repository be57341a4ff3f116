#include "base/core/mem.h"
#include "base/rpc/test_rpc_raw.h"
#include <setjmp.h>
#include <stdarg.h>
#include <sys/socket.h>
#include <unistd.h>
/* cmocka requires the headers above */
#include <cmocka.h>

static const struct request echo = {"POST", "/t/Echo", "application/grpc", NULL, NULL};

static int set_up(void **state)
{
	struct test_rpc *test = mem_new(struct test_rpc);
	test_rpc_init(test, &(struct rpc_server_options){.max_connections = 3,
				    .max_handshakes = 2,
				    .handshake_timeout_ms = 1000,
				    .keepalive_ms = 2000,
				    .anonymous_lifetime_ms = 500});
	*state = test;
	return 0;
}

static int tear_down(void **state)
{
	test_rpc_done(*state);
	mem_free(*state);
	return 0;
}

static void c5_connections_have_a_maximum(void **state)
{
	struct test_rpc *test = *state;
	int fds[4];
	for (int i = 0; i < 4; i++) {
		fds[i] = test_rpc_raw(test);
		test_rpc_run(test);
	}
	assert_int_equal(rpc_server_num_peers(test->server), 3);
	assert_int_equal(test->num_connects, 3);
	uint8_t byte;
	assert_int_equal(recv(fds[3], &byte, 1, 0), 0);
	for (int i = 0; i < 4; i++)
		close(fds[i]);
	test_rpc_run(test);
	assert_int_equal(rpc_server_num_peers(test->server), 0);
	assert_int_equal(test->num_disconnects, 3);
}

static void c5_concurrent_handshakes_have_a_maximum(void **state)
{
	struct test_rpc *test = *state;
	int fds[3];
	for (int i = 0; i < 3; i++) /* without a round of the loop: all are handshaking */
		fds[i] = test_rpc_raw(test);
	assert_int_equal(rpc_server_num_peers(test->server), 2);
	assert_false(rpc_server_makes_room(test->server, &(struct addr){0}));
	for (int i = 0; i < 3; i++)
		close(fds[i]);
	test_rpc_run(test);
	assert_true(rpc_server_makes_room(test->server, &(struct addr){0}));
	assert_int_equal(rpc_server_num_handshakes(test->server), 0);
}

static int adopt_from(struct test_rpc *test, const char *source)
{
	int fds[2];
	struct addr from = {0};
	assert_int_equal(ip_addr_parse(span_of_str(source), &from.ip), ERR_NONE);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds), 0);
	rpc_server_adopt(test->server, transport_new_plain(fds[0]), &from);
	return fds[1];
}

static bool is_closed(int fd)
{
	uint8_t byte;
	return recv(fd, &byte, 1, MSG_DONTWAIT) == 0;
}

static void c10_evicts_a_handshake_of_a_source_with_many_for_one_with_few(void **state)
{
	struct test_rpc *test = *state;
	int first = adopt_from(test, "2001:db8::1"), second = adopt_from(test, "2001:db8::2");
	int same = adopt_from(test, "2001:db8::3"), other = adopt_from(test, "192.0.2.1");
	assert_true(is_closed(same)); /* the same /64: none is evicted */
	assert_true(is_closed(first));
	assert_false(is_closed(second));
	assert_false(is_closed(other));
	int third = adopt_from(test, "192.0.2.2"); /* one per source: none is evicted */
	assert_true(is_closed(third));
	test_rpc_run(test);
	assert_int_equal(test->num_connects, 2);
	int fds[] = {first, second, same, other, third};
	for (size_t i = 0; i < sizeof(fds) / sizeof(*fds); i++)
		close(fds[i]);
}

static void c10_a_preface_that_is_never_sent_ends_the_connection(void **state)
{
	struct test_rpc *test = *state;
	int fd = test_rpc_raw(test);
	test_rpc_run(test);
	test_rpc_wait(test, 900);
	assert_int_equal(rpc_server_num_peers(test->server), 1);
	test_rpc_wait(test, 200);
	assert_int_equal(rpc_server_num_peers(test->server), 0);
	close(fd);
}

static void c10_a_slow_drip_header_block_ends_the_connection(void **state)
{
	struct test_rpc *test = *state;
	struct raw_client client;
	raw_open(test, &client);
	raw_run(test, &client);
	assert_int_equal(write(client.fd, "\0\0\xff\x01\x04\0\0\0\x01", 9), 9); /* HEADERS of 255 bytes ... */
	for (int i = 0; i < 60 && rpc_server_num_peers(test->server) > 0; i++) {
		(void)!send(client.fd, "\x82", 1, MSG_NOSIGNAL); /* ... one per 100 ms */
		test_rpc_wait(test, 100);
	}
	assert_int_equal(rpc_server_num_peers(test->server), 0);
	raw_close(&client);
}

static void a_connection_that_answers_pings_stays(void **state)
{
	struct test_rpc *test = *state;
	struct raw_client client;
	raw_open(test, &client);
	for (int i = 0; i < 100; i++) {
		raw_run(test, &client);
		test_rpc_wait(test, 100);
	}
	assert_int_equal(rpc_server_num_peers(test->server), 1); /* also: plain connections are not anonymous ones */
	raw_close(&client);
}

static void c9_closes_a_client_that_stops_reading(void **state)
{
	struct test_rpc *test = *state;
	struct raw_client client;
	raw_open(test, &client);
	raw_run(test, &client);
	struct request flood = echo;
	flood.path = "/t/Flood";
	raw_request(test, &client, flood, SPAN_LITERAL(""));
	assert_int_equal(test->flood_end, ERR_LIMIT);
	test_rpc_wait(test, 6000); /* the client does not read and does not answer PING */
	assert_int_equal(rpc_server_num_peers(test->server), 0);
	assert_int_equal(test->num_dones, 1);
	raw_close(&client);
}

static void finding_l9_a_draining_server_accepts_no_call_of_a_client_that_withholds_the_ack(void **state)
{
	struct test_rpc *test = *state;
	struct raw_client client;
	raw_open(test, &client);
	raw_run(test, &client);
	client.ends = false;
	raw_request(test, &client, echo, SPAN_LITERAL("")); /* a call that continues */
	unsigned num_starts = test->num_starts;
	client.is_deaf = true;
	rpc_server_drain(test->server);
	raw_run(test, &client);
	test_rpc_wait(test, 1100);
	raw_request(test, &client, echo, SPAN_LITERAL(""));
	assert_int_equal(test->num_starts, num_starts);
	client.is_deaf = false;
	raw_run(test, &client);
	assert_int_equal(client.num_goaways, 2);
	assert_true(client.is_closed);
	assert_int_equal(client.error, 7); /* REFUSED_STREAM: not processed */
	assert_string_equal(client.http_status, "");
	raw_close(&client);
	test_rpc_run(test);
}

static void draining_finishes_calls_and_accepts_no_more(void **state)
{
	struct test_rpc *test = *state;
	test_rpc_connect(test, &(struct rpc_client_options){0});
	struct test_rpc_call call;
	test_rpc_call(test, &call, "/t/Echo", 0);
	test_rpc_run(test);
	rpc_server_drain(test->server);
	test_rpc_run(test);
	int late = test_rpc_raw(test);
	assert_int_equal(rpc_server_num_peers(test->server), 1);
	assert_int_equal(rpc_call_send(call.call, SPAN_LITERAL("still")), ERR_NONE);
	rpc_call_close_send(call.call);
	test_rpc_run(test);
	assert_int_equal(call.status, RPC_OK);
	assert_int_equal(rpc_server_num_peers(test->server), 0);
	assert_true(test->client_closed);
	buf_done(&call.received);
	close(late);
}

static void freeing_the_server_ends_its_calls(void **state)
{
	struct test_rpc *test = *state;
	test_rpc_connect(test, &(struct rpc_client_options){0});
	struct test_rpc_call call;
	test_rpc_call(test, &call, "/t/Echo", 0);
	test_rpc_run(test);
	rpc_server_free(test->server);
	test->server = NULL;
	assert_int_equal(test->num_dones, 1);
	assert_int_equal(test->num_disconnects, 1);
	test_rpc_run(test);
	assert_int_equal(call.status, RPC_UNAVAILABLE);
	assert_true(test->client_closed);
}

static void garbage_ends_the_connection_only(void **state)
{
	struct test_rpc *test = *state;
	int fd = test_rpc_raw(test);
	assert_int_equal(write(fd, "GET / HTTP/1.1\r\n\r\n", 18), 18);
	test_rpc_run(test);
	assert_int_equal(rpc_server_num_peers(test->server), 0);
	close(fd);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(c5_connections_have_a_maximum),
		TEST(c5_concurrent_handshakes_have_a_maximum),
		TEST(c10_evicts_a_handshake_of_a_source_with_many_for_one_with_few),
		TEST(c10_a_preface_that_is_never_sent_ends_the_connection),
		TEST(c10_a_slow_drip_header_block_ends_the_connection),
		TEST(a_connection_that_answers_pings_stays),
		TEST(c9_closes_a_client_that_stops_reading),
		TEST(draining_finishes_calls_and_accepts_no_more),
		TEST(finding_l9_a_draining_server_accepts_no_call_of_a_client_that_withholds_the_ack),
		TEST(freeing_the_server_ends_its_calls),
		TEST(garbage_ends_the_connection_only),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
