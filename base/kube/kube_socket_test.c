/* A WebSocket against a server that answers wrongly, in pieces, or not at all. */
#include "base/core/check.h"
#include "base/core/mem.h"
#include "base/kube/kube_socket.h"
#include "base/kube/test_server.h"
#include "base/rpc/transport.h"
#include "base/tls/websocket_accept.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
/* cmocka requires <setjmp.h> and <stdarg.h> */
#include <cmocka.h>

#define PATH     "/api/v1/namespaces/a/pods/b/portforward?ports=15000"
#define PROTOCOL "v4.channel.k8s.io"

enum { TIMEOUT_MS = 20000 };

struct world {
	struct test_server server;
	struct kube_socket *socket;
	struct buf received; /* by the server */
	struct buf messages; /* of the client, each one followed by ';' */
	unsigned num_opens, num_ends, status;
	enum err err;
	struct why detail;
};

static int set_up(void **state)
{
	struct world *world = mem_new(struct world);
	test_server_init(&world->server);
	world->server.is_raw = true;
	buf_init(&world->server.config.token, KUBE_TOKEN_MAX);
	CHECK(buf_append_str(&world->server.config.token, "the-token") == ERR_NONE);
	buf_init(&world->received, 1 << 20);
	buf_init(&world->messages, 1 << 20);
	*state = world;
	return 0;
}

/* For the next connection. */
static void hang_up(struct world *world)
{
	kube_socket_free(TAKE_PTR(world->socket));
	transport_free(TAKE_PTR(world->server.raw));
	buf_clear(&world->received);
	buf_clear(&world->messages);
	world->num_opens = world->num_ends = 0;
}

static int tear_down(void **state)
{
	struct world *world = *state;
	hang_up(world);
	buf_done(&world->received);
	buf_done(&world->messages);
	test_server_done(&world->server);
	mem_free(world);
	return 0;
}

/* --- the client --- */

static void on_open(void *arg)
{
	struct world *world = arg;
	assert_int_equal(world->num_ends, 0);
	world->num_opens++;
}

static void on_message(void *arg, struct span message)
{
	struct world *world = arg;
	assert_true(world->num_opens == 1 && world->num_ends == 0);
	assert_int_equal(buf_append(&world->messages, message), ERR_NONE);
	assert_int_equal(buf_append_str(&world->messages, ";"), ERR_NONE);
}

static void on_end(void *arg, enum err err, unsigned status, const struct why *why)
{
	struct world *world = arg;
	assert_int_equal(why->err, err);
	world->num_ends++;
	world->err = err;
	world->status = status;
	world->detail = *why;
}

static void open_socket(struct world *world)
{
	static const struct kube_socket_events events = {on_open, on_message, on_end};
	const struct kube_socket_options options = {
		world->server.loop, &world->server.config, PATH, PROTOCOL, TIMEOUT_MS};
	world->socket = kube_socket_open(&options, &events, world);
}

/* --- the server --- */

static void receive(struct world *world)
{
	uint8_t bytes[4096];
	size_t len;
	loop_run_once(world->server.loop, false);
	if (world->server.raw == NULL || transport_handshake(world->server.raw) != IO_DONE)
		return;
	while (transport_read(world->server.raw, bytes, sizeof bytes, &len) == IO_DONE)
		assert_int_equal(buf_append(&world->received, span_of(bytes, len)), ERR_NONE);
}

/* Until so many bytes came. */
static void await_bytes(struct world *world, size_t num)
{
	assert_true(WAIT_UNTIL(buf_len(&world->received) >= num, receive(world)));
}

static void await_request(struct world *world)
{
	open_socket(world);
	assert_true(WAIT_UNTIL(strstr(buf_cstr(&world->received), "\r\n\r\n") != NULL, receive(world)));
}

static void send_bytes(struct world *world, struct span bytes)
{
	while (bytes.len > 0) {
		size_t len = 0;
		enum io_result result = transport_write(world->server.raw, bytes, &len);
		if (result == IO_FAILED || result == IO_EOF)
			return; /* the client has seen enough */
		bytes = span_from(bytes, len);
		(void)!transport_flush(world->server.raw);
		loop_run_once(world->server.loop, false);
	}
	(void)!transport_flush(world->server.raw);
}

/* The line of an answer with the proof of this request. */
static void put_proof(struct world *world, struct buf *out)
{
	const char *at = strstr(buf_cstr(&world->received), "Sec-WebSocket-Key: ");
	char key[25] = "";
	assert_non_null(at);
	snprintf(key, sizeof key, "%s", at + strlen("Sec-WebSocket-Key: "));
	assert_int_equal(buf_append_str(out, "Sec-WebSocket-Accept: "), ERR_NONE);
	assert_int_equal(websocket_accept(key, out), ERR_NONE);
	assert_int_equal(buf_append_str(out, "\r\n"), ERR_NONE);
}

#define UPGRADED "HTTP/1.1 101 Switching Protocols\r\nUpgrade: WebSocket\r\nConnection: Upgrade\r\n"
#define OTHER    "another protocol"
#define AGREED   "Sec-WebSocket-Protocol: " PROTOCOL "\r\n"

static void put_upgrade(struct world *world, struct buf *out)
{
	assert_int_equal(buf_append_str(out, UPGRADED AGREED), ERR_NONE);
	put_proof(world, out);
	assert_int_equal(buf_append_str(out, "\r\n"), ERR_NONE);
}

static void await_end(struct world *world)
{
	assert_true(test_server_run(&world->server, world->num_ends > 0));
	test_server_settle(&world->server);
	assert_int_equal(world->num_ends, 1); /* once */
}

static struct world *opened(void **state)
{
	struct world *world = *state;
	_cleanup_(buf_done) struct buf answer = BUF_INIT(4096);
	await_request(world);
	put_upgrade(world, &answer);
	send_bytes(world, buf_span(&answer));
	assert_true(test_server_run(&world->server, world->num_opens == 1));
	buf_clear(&world->received);
	return world;
}

/* --- the handshake --- */

static void the_request_has_what_an_upgrade_needs(void **state)
{
	struct world *world = *state;
	static const char *const lines[] = {"GET " PATH " HTTP/1.1\r\n", "\r\nConnection: Upgrade\r\n",
		"\r\nUpgrade: websocket\r\n", "\r\nSec-WebSocket-Version: 13\r\n",
		"\r\nSec-WebSocket-Protocol: " PROTOCOL "\r\n", "\r\nAuthorization: Bearer the-token\r\n",
		"\r\nUser-Agent: handfast/", "\r\nHost: 127.0.0.1:"};
	await_request(world);
	for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++)
		assert_non_null(strstr(buf_cstr(&world->received), lines[i]));
}

/* The answer and the frames behind it, cut in two at each byte. */
static void what_comes_is_the_same_wherever_it_is_cut(void **state)
{
	static const uint8_t frames[] = {0x82, 3, 0, 'h', 'i', 2, 2, 1, 'n', 0x89, 0, 0x80, 1, 'o'};
	struct world *world = *state;
	for (size_t cut = 1, len = 2; cut < len; cut++) {
		_cleanup_(buf_done) struct buf answer = BUF_INIT(4096);
		await_request(world);
		put_upgrade(world, &answer);
		assert_int_equal(buf_append(&answer, span_of(frames, sizeof frames)), ERR_NONE);
		len = buf_len(&answer);
		send_bytes(world, span_of(buf_span(&answer).ptr, cut));
		test_server_settle(&world->server);
		send_bytes(world, span_from(buf_span(&answer), cut));
		assert_true(test_server_run(&world->server, buf_len(&world->messages) >= 8));
		assert_memory_equal(buf_span(&world->messages).ptr, "\x00hi;\x01no;", 8);
		assert_int_equal(world->num_ends, 0);
		hang_up(world);
	}
}

static void another_answer_is_an_end_with_its_reason(void **state)
{
	static const struct {
		const char *head; /* before the proof */
		bool has_proof;
		const char *rest;
		enum err err;
		unsigned status;
		const char *got;
	} rows[] = {
		{"HTTP/1.1 403 Forbidden\r\nContent-Length: 53\r\n", false,
			"\r\n{\"kind\":\"Status\",\"message\":\"pods \\\"b\\\" is forbidden\"}", ERR_DENIED, 403,
			"forbidden"},
		{"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n", false, "\r\n", ERR_NOT_FOUND, 404, "portforward"},
		{"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n", false, "\r\nhi", ERR_UNAVAILABLE, 200, "200"},
		{UPGRADED AGREED, false, "\r\n", ERR_PROTOCOL, 0, OTHER},
		{UPGRADED AGREED "Sec-WebSocket-Accept: AAAAAAAAAAAAAAAAAAAAAAAAAAA=\r\n", false, "\r\n", ERR_PROTOCOL,
			0, OTHER},
		{UPGRADED, true, "\r\n", ERR_PROTOCOL, 0, OTHER},
		{UPGRADED "Sec-WebSocket-Protocol: v5.channel.k8s.io\r\n", true, "\r\n", ERR_PROTOCOL, 0, OTHER},
		{"HTTP/1.1 101 A\r\nUpgrade: SPDY/3.1\r\n" AGREED, true, "\r\n", ERR_PROTOCOL, 0, OTHER},
		{"SSH-2.0-OpenSSH_9.2\r\n", false, "", ERR_PROTOCOL, 0, "not HTTP"},
	};
	struct world *world = *state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		_cleanup_(buf_done) struct buf answer = BUF_INIT(4096);
		await_request(world);
		assert_int_equal(buf_append_str(&answer, rows[i].head), ERR_NONE);
		if (rows[i].has_proof)
			put_proof(world, &answer);
		assert_int_equal(buf_append_str(&answer, rows[i].rest), ERR_NONE);
		send_bytes(world, buf_span(&answer));
		await_end(world);
		assert_int_equal(world->num_opens, 0);
		assert_int_equal(world->err, rows[i].err);
		assert_int_equal(world->status, rows[i].status);
		assert_non_null(strstr(world->detail.got, rows[i].got));
		assert_true(world->detail.expected[0] != '\0' && world->detail.fix[0] != '\0');
		hang_up(world);
	}
}

static void an_answer_without_an_end_is_bounded(void **state)
{
	struct world *world = *state;
	uint8_t *bytes = mem_calloc(1, 70000);
	memset(bytes, 'a', 70000);
	await_request(world);
	send_bytes(world, SPAN_LITERAL("HTTP/1.1 101 a\r\nA: "));
	send_bytes(world, span_of(bytes, 70000));
	await_end(world);
	assert_int_equal(world->err, ERR_PROTOCOL);
	mem_free(bytes);
}

static void a_server_that_closes_first_is_an_end(void **state)
{
	static const char *const begins[] = {
		"", "HTTP/1.1 1", UPGRADED, "HTTP/1.1 403 F\r\nContent-Length: 9\r\n\r\n{"};
	struct world *world = *state;
	for (size_t i = 0; i < sizeof begins / sizeof begins[0]; i++) {
		await_request(world);
		send_bytes(world, span_of_str(begins[i]));
		transport_close_notify(world->server.raw);
		(void)!transport_flush(world->server.raw);
		await_end(world);
		assert_int_equal(world->num_opens, 0);
		assert_int_equal(world->err, ERR_PROTOCOL);
		hang_up(world);
	}
}

/* --- messages --- */

static void a_ping_is_answered_and_a_message_is_masked(void **state)
{
	struct world *world = opened(state);
	send_bytes(world, SPAN_LITERAL("\x89\x02!?"));
	await_bytes(world, 8);
	const uint8_t *pong = buf_span(&world->received).ptr;
	assert_memory_equal(pong, "\x8a\x82", 2);
	assert_int_equal(pong[6] ^ pong[2], '!');
	assert_int_equal(pong[7] ^ pong[3], '?');
	buf_clear(&world->received);
	assert_int_equal(kube_socket_send(world->socket, SPAN_LITERAL("\x00GET")), ERR_NONE);
	await_bytes(world, 10);
	const uint8_t *sent = buf_span(&world->received).ptr;
	assert_memory_equal(sent, "\x82\x84", 2);
	assert_int_equal(sent[7] ^ sent[3], 'G');
	assert_int_equal(world->num_ends, 0);
}

static void what_waits_to_be_sent_is_bounded(void **state)
{
	struct world *world = opened(state);
	uint8_t *bytes = mem_calloc(1, 60000);
	assert_int_equal(kube_socket_send(world->socket, span_of(bytes, 60000)), ERR_NONE);
	assert_int_equal(kube_socket_send(world->socket, span_of(bytes, 60000)), ERR_LIMIT);
	await_bytes(world, 60008);
	assert_int_equal(kube_socket_send(world->socket, span_of(bytes, 60000)), ERR_NONE);
	await_bytes(world, 2 * 60008);
	mem_free(bytes);
}

static void each_way_to_close_is_one_end(void **state)
{
	static const struct {
		struct span bytes; /* empty: TLS's own end */
		enum err err;
		const char *got;
	} rows[] = {
		{SPAN_LITERAL("\x88\x06\x03\xf3oops"), ERR_CLOSED, "1011: oops"},
		{SPAN_LITERAL(""), ERR_CLOSED, "closed the connection"},
		{SPAN_LITERAL("\x82\x80____"), ERR_PROTOCOL, "masked"},
		{SPAN_LITERAL("\x82\x7f\xff\xff\xff\xff\xff\xff\xff\xff"), ERR_TOO_LARGE, "bytes"},
	};
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct world *world = opened(state);
		send_bytes(world, rows[i].bytes);
		if (rows[i].bytes.len == 0) {
			transport_close_notify(world->server.raw);
			(void)!transport_flush(world->server.raw);
		}
		await_end(world);
		assert_int_equal(world->err, rows[i].err);
		assert_int_equal(world->status, 0);
		assert_non_null(strstr(world->detail.got, rows[i].got));
		assert_int_equal(kube_socket_send(world->socket, SPAN_LITERAL("late")), ERR_NONE);
		test_server_settle(&world->server);
		hang_up(world);
	}
}

/* --- time, and the end of the owner --- */

static void a_server_that_is_silent_has_its_time(void **state)
{
	struct world *world = *state;
	for (unsigned i = 0; i < 2; i++) {
		world->server.is_mute = i == 0; /* within the handshake of TLS; then after the request */
		(i == 0 ? open_socket : await_request)(world);
		test_server_pass(&world->server, TIMEOUT_MS + 1000);
		assert_int_equal(world->num_ends, 1);
		assert_int_equal(world->err, ERR_TIMEOUT);
		hang_up(world);
	}
	test_server_stop_listening(&world->server);
	open_socket(world);
	await_end(world);
	assert_int_equal(world->err, ERR_REFUSED);
}

static void it_is_freed_at_any_time(void **state)
{
	struct world *world = *state;
	_cleanup_(buf_done) struct buf answer = BUF_INIT(4096);
	for (unsigned rounds = 0; rounds < 12; rounds++) {
		open_socket(world);
		for (unsigned i = 0; i < rounds; i++)
			receive(world);
		hang_up(world);
	}
	world = opened(state);
	send_bytes(world, SPAN_LITERAL("\x88\x00"));
	hang_up(world);
	test_server_settle(&world->server);
	assert_int_equal(world->num_ends, 0);
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		CASE(the_request_has_what_an_upgrade_needs),
		CASE(what_comes_is_the_same_wherever_it_is_cut),
		CASE(another_answer_is_an_end_with_its_reason),
		CASE(an_answer_without_an_end_is_bounded),
		CASE(a_server_that_closes_first_is_an_end),
		CASE(a_ping_is_answered_and_a_message_is_masked),
		CASE(what_waits_to_be_sent_is_bounded),
		CASE(each_way_to_close_is_one_end),
		CASE(a_server_that_is_silent_has_its_time),
		CASE(it_is_freed_at_any_time),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
