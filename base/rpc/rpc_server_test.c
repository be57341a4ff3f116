#include "base/core/mem.h"
#include "base/h2/h2_session.h"
#include "base/rpc/rpc_test_pair.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>
/* cmocka wants these first */
#include <cmocka.h>

/* A client that may say what it likes. */
struct raw_client {
	int fd;
	struct h2_session *h2;
	struct span body;
	size_t sent;
	size_t piece; /* bytes a DATA frame */
	bool ends;
	char http_status[8], grpc_status[8], allow[8];
	bool is_closed;
	uint32_t error;
	unsigned num_goaways;
};

static void keep(char out[8], const struct h2_header *header, const char *name)
{
	if (span_eq(header->name, span_of_str(name)))
		(void)snprintf(out, 8, "%.*s", (int)header->value.len, (const char *)header->value.ptr);
}

static void on_headers(void *arg, _unused_ int32_t id, _unused_ void *stream, const struct h2_header *headers,
	size_t num_headers, _unused_ bool end_stream)
{
	struct raw_client *client = arg;
	for (size_t i = 0; i < num_headers; i++) {
		keep(client->http_status, &headers[i], ":status");
		keep(client->grpc_status, &headers[i], "grpc-status");
		keep(client->allow, &headers[i], "allow");
	}
}

static void on_data(void *arg, int32_t id, _unused_ void *stream, struct span bytes)
{
	h2_stream_consumed(((struct raw_client *)arg)->h2, id, bytes.len);
}

static void on_end(_unused_ void *arg, _unused_ int32_t id, _unused_ void *stream)
{
}

static void on_close(void *arg, _unused_ int32_t id, _unused_ void *stream, uint32_t error)
{
	struct raw_client *client = arg;
	client->is_closed = true;
	client->error = error;
}

static enum io_result pull(void *arg, _unused_ void *stream, uint8_t *to, size_t cap, size_t *out_len)
{
	struct raw_client *client = arg;
	size_t left = client->body.len - client->sent;
	size_t len = left < client->piece ? left : client->piece;
	assert_true(len <= cap);
	if (len > 0)
		memcpy(to, client->body.ptr + client->sent, len);
	client->sent += len;
	*out_len = len;
	if (client->sent == client->body.len)
		return client->ends ? IO_EOF : (len > 0 ? IO_DONE : IO_WANT_READ);
	return IO_DONE;
}

static void on_goaway(void *arg, _unused_ int32_t last, _unused_ uint32_t error)
{
	((struct raw_client *)arg)->num_goaways++;
}

static void on_want_produce(_unused_ void *arg)
{
}

static void raw_open(struct rpc_test *test, struct raw_client *client)
{
	*client = (struct raw_client){.fd = rpc_test_raw(test), .piece = 1, .ends = true};
	const struct h2_session_options options = {.role = H2_CLIENT,
		.callbacks = {.on_headers = on_headers,
			.on_data = on_data,
			.on_end = on_end,
			.on_close = on_close,
			.pull = pull,
			.on_goaway = on_goaway,
			.on_want_produce = on_want_produce},
		.arg = client};
	assert_int_equal(h2_session_new(&options, &client->h2), ERR_NONE);
}

static void raw_close(struct raw_client *client)
{
	h2_session_free(client->h2);
	close(client->fd);
}

static void raw_run(struct rpc_test *test, struct raw_client *client)
{
	_cleanup_(buf_done) struct buf out = BUF_INIT(100000);
	uint8_t in[20000];
	for (int i = 0; i < 20; i++) {
		assert_int_equal(h2_session_produce(client->h2, &out), IO_DONE);
		if (buf_len(&out) > 0)
			assert_int_equal(write(client->fd, buf_span(&out).ptr, buf_len(&out)), buf_len(&out));
		buf_consume(&out, buf_len(&out));
		loop_run_once(test->loop, false);
		loop_run_once(test->loop, false);
		ssize_t len = recv(client->fd, in, sizeof(in), 0);
		if (len > 0)
			(void)!h2_session_feed(client->h2, span_of(in, (size_t)len), NULL);
	}
}

struct request {
	const char *method, *path, *content_type, *extra_name, *extra_value;
};

static const struct request echo = {"POST", "/t/Echo", "application/grpc", NULL, NULL};

static void raw_request(struct rpc_test *test, struct raw_client *client, struct request request, struct span body)
{
	struct h2_header headers[] = {
		{SPAN_LITERAL(":method"), span_of_str(request.method)},
		{SPAN_LITERAL(":scheme"), SPAN_LITERAL("http")},
		{SPAN_LITERAL(":path"), span_of_str(request.path)},
		{SPAN_LITERAL(":authority"), SPAN_LITERAL("test")},
		{SPAN_LITERAL("content-type"), span_of_str(request.content_type)},
		{SPAN_LITERAL("x"), SPAN_LITERAL("y")},
	};
	if (request.extra_name != NULL)
		headers[5] = (struct h2_header){span_of_str(request.extra_name), span_of_str(request.extra_value)};
	int32_t id;
	client->body = body;
	client->sent = 0;
	client->is_closed = false;
	client->http_status[0] = client->grpc_status[0] = '\0';
	assert_int_equal(h2_stream_open(client->h2, headers, 6, false, client, &id), ERR_NONE);
	h2_stream_ready(client->h2, id);
	raw_run(test, client);
}

static int set_up(void **state)
{
	struct rpc_test *test = mem_new(struct rpc_test);
	rpc_test_init(test, &(struct rpc_server_options){.max_connections = 3,
				    .max_handshakes = 2,
				    .handshake_timeout_ms = 1000,
				    .keepalive_ms = 2000,
				    .anonymous_lifetime_ms = 500});
	*state = test;
	return 0;
}

static int tear_down(void **state)
{
	rpc_test_done(*state);
	mem_free(*state);
	return 0;
}

static void expect_answer(struct rpc_test *test, struct request request, struct span body, const char *http_status,
	const char *grpc_status)
{
	struct raw_client client;
	raw_open(test, &client);
	raw_request(test, &client, request, body);
	assert_string_equal(client.http_status, http_status);
	assert_string_equal(client.grpc_status, grpc_status);
	assert_true(client.is_closed);
	raw_close(&client);
	rpc_test_run(test);
}

static void a_message_of_one_byte_a_frame_is_whole(void **state)
{
	struct rpc_test *test = *state;
	expect_answer(test, echo, SPAN_LITERAL("\0\0\0\0\x05hello"), "200", "0");
	assert_int_equal(test->num_server_messages, 1);
}

static void what_is_no_post_or_no_grpc_is_told_so_in_http(void **state)
{
	struct request get = echo, json = echo, close_name = echo;
	get.method = "GET";
	json.content_type = "application/json";
	close_name.content_type = "application/grpc-web";
	expect_answer(*state, get, SPAN_LITERAL(""), "405", "");
	expect_answer(*state, json, SPAN_LITERAL(""), "415", "");
	expect_answer(*state, close_name, SPAN_LITERAL(""), "415", "");
}

static void content_types_with_a_suffix_are_grpc(void **state)
{
	struct request proto = echo, parameter = echo;
	proto.content_type = "application/grpc+proto";
	parameter.content_type = "application/grpc;charset=utf-8";
	expect_answer(*state, proto, SPAN_LITERAL("\0\0\0\0\0"), "200", "0");
	expect_answer(*state, parameter, SPAN_LITERAL("\0\0\0\0\0"), "200", "0");
}

static void c11_a_malformed_timeout_is_refused(void **state)
{
	struct request request = echo;
	request.extra_name = "grpc-timeout";
	request.extra_value = "-1S";
	expect_answer(*state, request, SPAN_LITERAL(""), "200", "3");
	request.extra_value = "99999999999999999999S";
	expect_answer(*state, request, SPAN_LITERAL(""), "200", "3");
	request.extra_value = "0m";
	expect_answer(*state, request, SPAN_LITERAL(""), "200", "4");
	request.extra_value = "99999999H";
	expect_answer(*state, request, SPAN_LITERAL("\0\0\0\0\0"), "200", "0");
	assert_int_equal(((struct rpc_test *)*state)->num_starts, 1);
}

static void c3_messages_that_lie_are_refused(void **state)
{
	struct request gzip = echo;
	gzip.extra_name = "grpc-encoding";
	gzip.extra_value = "gzip";
	expect_answer(*state, echo, SPAN_LITERAL("\0\xff\xff\xff\xff"), "200", "8");
	expect_answer(*state, echo, SPAN_LITERAL("\x01\0\0\0\x01x"), "200", "12");
	expect_answer(*state, gzip, SPAN_LITERAL("\x01\0\0\0\x01x"), "200", "12");
	expect_answer(*state, echo, SPAN_LITERAL("\x07\0\0\0\x01x"), "200", "13");
	expect_answer(*state, echo, SPAN_LITERAL("\0\0\0\0\x05hell"), "200", "13"); /* ends within */
	assert_int_equal(((struct rpc_test *)*state)->num_server_messages, 0);
	assert_int_equal(((struct rpc_test *)*state)->num_starts, ((struct rpc_test *)*state)->num_dones);
}

static void a_refused_client_that_goes_on_sending_is_reset(void **state)
{
	struct rpc_test *test = *state;
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

static void connections_have_a_maximum(void **state)
{
	struct rpc_test *test = *state;
	int fds[4];
	for (int i = 0; i < 4; i++) {
		fds[i] = rpc_test_raw(test);
		rpc_test_run(test);
	}
	assert_int_equal(rpc_server_num_peers(test->server), 3);
	assert_int_equal(test->num_connects, 3);
	uint8_t byte;
	assert_int_equal(recv(fds[3], &byte, 1, 0), 0);
	for (int i = 0; i < 4; i++)
		close(fds[i]);
	rpc_test_run(test);
	assert_int_equal(rpc_server_num_peers(test->server), 0);
	assert_int_equal(test->num_disconnects, 3);
}

static void handshakes_under_way_have_a_maximum(void **state)
{
	struct rpc_test *test = *state;
	int fds[3];
	for (int i = 0; i < 3; i++) /* no round of the loop between: all are under way */
		fds[i] = rpc_test_raw(test);
	assert_int_equal(rpc_server_num_peers(test->server), 2);
	for (int i = 0; i < 3; i++)
		close(fds[i]);
}

static void c10_a_preface_that_is_never_sent_ends_the_connection(void **state)
{
	struct rpc_test *test = *state;
	int fd = rpc_test_raw(test);
	rpc_test_run(test);
	rpc_test_wait(test, 900);
	assert_int_equal(rpc_server_num_peers(test->server), 1);
	rpc_test_wait(test, 200);
	assert_int_equal(rpc_server_num_peers(test->server), 0);
	close(fd);
}

static void c10_a_header_block_in_drops_ends_the_connection(void **state)
{
	struct rpc_test *test = *state;
	struct raw_client client;
	raw_open(test, &client);
	raw_run(test, &client);
	assert_int_equal(write(client.fd, "\0\0\xff\x01\x04\0\0\0\x01", 9), 9); /* HEADERS of 255 bytes ... */
	for (int i = 0; i < 60 && rpc_server_num_peers(test->server) > 0; i++) {
		(void)!send(client.fd, "\x82", 1, MSG_NOSIGNAL); /* ... one each 100 ms */
		rpc_test_wait(test, 100);
	}
	assert_int_equal(rpc_server_num_peers(test->server), 0);
	raw_close(&client);
}

static void a_connection_that_answers_pings_stays(void **state)
{
	struct rpc_test *test = *state;
	struct raw_client client;
	raw_open(test, &client);
	for (int i = 0; i < 100; i++) {
		raw_run(test, &client);
		rpc_test_wait(test, 100);
	}
	assert_int_equal(rpc_server_num_peers(test->server), 1); /* also: plain ones are not "anonymous" */
	raw_close(&client);
}

static void c9_a_reader_that_stops_is_closed(void **state)
{
	struct rpc_test *test = *state;
	struct raw_client client;
	raw_open(test, &client);
	raw_run(test, &client);
	struct request flood = echo;
	flood.path = "/t/Flood";
	raw_request(test, &client, flood, SPAN_LITERAL(""));
	assert_int_equal(test->flood_end, ERR_LIMIT);
	rpc_test_wait(test, 6000); /* nobody reads, nobody answers PING */
	assert_int_equal(rpc_server_num_peers(test->server), 0);
	assert_int_equal(test->num_dones, 1);
	raw_close(&client);
}

static void draining_lets_calls_end_and_takes_no_more(void **state)
{
	struct rpc_test *test = *state;
	rpc_test_connect(test, &(struct rpc_client_options){0});
	struct rpc_test_call call;
	rpc_test_call(test, &call, "/t/Echo", 0);
	rpc_test_run(test);
	rpc_server_drain(test->server);
	rpc_test_run(test);
	int late = rpc_test_raw(test);
	assert_int_equal(rpc_server_num_peers(test->server), 1);
	assert_int_equal(rpc_call_send(call.call, SPAN_LITERAL("still")), ERR_NONE);
	rpc_call_close_send(call.call);
	rpc_test_run(test);
	assert_int_equal(call.status, RPC_OK);
	assert_int_equal(rpc_server_num_peers(test->server), 0);
	assert_true(test->client_closed);
	buf_done(&call.received);
	close(late);
}

static void what_is_freed_ends_its_calls(void **state)
{
	struct rpc_test *test = *state;
	rpc_test_connect(test, &(struct rpc_client_options){0});
	struct rpc_test_call call;
	rpc_test_call(test, &call, "/t/Echo", 0);
	rpc_test_run(test);
	rpc_server_free(test->server);
	test->server = NULL;
	assert_int_equal(test->num_dones, 1);
	assert_int_equal(test->num_disconnects, 1);
	rpc_test_run(test);
	assert_int_equal(call.status, RPC_UNAVAILABLE);
	assert_true(test->client_closed);
}

static void garbage_ends_the_connection_only(void **state)
{
	struct rpc_test *test = *state;
	int fd = rpc_test_raw(test);
	assert_int_equal(write(fd, "GET / HTTP/1.1\r\n\r\n", 18), 18);
	rpc_test_run(test);
	assert_int_equal(rpc_server_num_peers(test->server), 0);
	close(fd);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_message_of_one_byte_a_frame_is_whole),
		TEST(what_is_no_post_or_no_grpc_is_told_so_in_http),
		TEST(content_types_with_a_suffix_are_grpc),
		TEST(c11_a_malformed_timeout_is_refused),
		TEST(c3_messages_that_lie_are_refused),
		TEST(a_refused_client_that_goes_on_sending_is_reset),
		TEST(connections_have_a_maximum),
		TEST(handshakes_under_way_have_a_maximum),
		TEST(c10_a_preface_that_is_never_sent_ends_the_connection),
		TEST(c10_a_header_block_in_drops_ends_the_connection),
		TEST(a_connection_that_answers_pings_stays),
		TEST(c9_a_reader_that_stops_is_closed),
		TEST(draining_lets_calls_end_and_takes_no_more),
		TEST(what_is_freed_ends_its_calls),
		TEST(garbage_ends_the_connection_only),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
