#include "base/core/mem.h"
#include "base/tls/test_raw_peer.h"
#include "base/tls/tls_session.h"
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/socket.h>
/* cmocka requires <setjmp.h> and <stdarg.h> */
#include <cmocka.h>

static void completes_a_mutual_handshake(void **state)
{
	struct test_pair *pair = *state;
	test_pair_open(pair);
	assert_false(tls_session_is_established(pair->client));
	assert_null(tls_session_peer(pair->client));
	struct test_outcome outcome = test_pair_handshake(pair);
	assert_int_equal(outcome.client, IO_DONE);
	assert_int_equal(outcome.server, IO_DONE);
	assert_true(tls_session_is_established(pair->client) && tls_session_is_established(pair->server));
	assert_true(spiffe_id_eq(svid_id(tls_session_peer(pair->client)), svid_id(pair->server_identity.svid)));
	assert_true(spiffe_id_eq(svid_id(tls_session_peer(pair->server)), svid_id(pair->client_identity.svid)));
	assert_int_equal(pair->client_verdict.calls, 1);
	assert_int_equal(pair->server_verdict.calls, 1);
	assert_int_equal(tls_session_alert(pair->client), -1);
	assert_int_equal(tls_session_key_exchange(pair->client), KEY_EXCHANGE_X25519MLKEM768);
	assert_string_equal(tls_session_cipher(pair->client), tls_session_cipher(pair->server));
	assert_non_null(strstr(tls_session_cipher(pair->client), "TLS_"));
}

static void a_client_may_send_the_end_of_its_handshake_with_its_first_bytes(void **state)
{
	struct test_pair *pair = *state;
	const struct test_identity *own = &pair->client_identity, *far = &pair->server_identity;
	const struct tls_session_options client = {.svid = own->svid, .key = own->key, .gathers_first = true};
	const struct tls_session_options server = {.svid = far->svid, .key = far->key};
	size_t len;
	test_pair_open_as(pair, &client, &server);
	assert_int_equal(tls_session_handshake(pair->client), IO_WANT_READ);
	assert_int_equal(tls_session_unflushed(pair->client), 0); /* its hello has left */
	assert_int_equal(tls_session_handshake(pair->server), IO_WANT_READ);
	assert_int_equal(tls_session_handshake(pair->client), IO_DONE);
	assert_true(tls_session_unflushed(pair->client) > 0);
	assert_int_equal(tls_session_handshake(pair->server), IO_WANT_READ);
	assert_int_equal(tls_session_write(pair->client, SPAN_LITERAL("first"), &len), IO_DONE);
	assert_int_equal(tls_session_flush(pair->client), IO_DONE);
	assert_int_equal(tls_session_handshake(pair->server), IO_DONE);
	assert_true(tls_session_has_pending(pair->server)); /* one read brought both */
	test_expect(pair->server, "first");
}

static void a_client_does_not_read_before_its_hello(void **state)
{
	struct test_pair *pair = *state;
	test_pair_connect(pair);
	assert_int_equal(send(pair->fds[1], "no record", 9, 0), 9);
	pair->client = test_session(pair, TLS_CLIENT, TAKE_FD(pair->fds[0]));
	assert_int_equal(tls_session_handshake(pair->client), IO_WANT_READ);
	assert_int_equal(tls_session_handshake(pair->client), IO_FAILED);
}

static void transfers_bytes_in_both_directions(void **state)
{
	struct test_pair *pair = *state;
	test_pair_establish(pair);
	test_send(pair->client, "ping");
	test_expect(pair->server, "ping");
	test_send(pair->server, "pong");
	test_expect(pair->client, "pong");
	assert_int_equal(test_read_result(pair->client), IO_WANT_READ);
}

static void close_notify_is_an_end_and_not_a_failure(void **state)
{
	struct test_pair *pair = *state;
	test_pair_establish(pair);
	size_t len = 0;
	assert_int_equal(tls_session_write(pair->client, SPAN_LITERAL("last"), &len), IO_DONE);
	tls_session_close_notify(pair->client);
	tls_session_close_notify(pair->client);
	assert_int_equal(tls_session_flush(pair->client), IO_DONE);
	test_expect(pair->server, "last");
	assert_int_equal(test_read_result(pair->server), IO_EOF);
	assert_int_equal(test_read_result(pair->server), IO_EOF);
	test_send(pair->server, "heard"); /* each direction ends by itself (RFC 8446 6.1) */
	test_expect(pair->client, "heard");
}

static void writes_no_more_than_its_output_buffer(void **state)
{
	struct test_pair *pair = *state;
	test_pair_establish(pair);
	struct span bulk = span_of(mem_zalloc(128 * 1024), 128 * 1024);
	size_t total = 0, len = 0;
	while (tls_session_write(pair->client, bulk, &len) == IO_DONE)
		total += len;
	assert_true(total > TLS_OUTPUT_MAX * 9 / 10);
	assert_true(tls_session_unflushed(pair->client) <= TLS_OUTPUT_MAX);
	assert_int_equal(tls_session_flush(pair->client), IO_WANT_WRITE);
	mem_free((void *)bulk.ptr);
}

/* Both directions at once through small socket buffers, with sides that read only sometimes. */
struct flow {
	struct tls_session *from, *to;
	size_t sent, received, total;
	uint64_t sent_hash, received_hash;
};

static uint64_t fold(uint64_t hash, const uint8_t *bytes, size_t len)
{
	for (size_t i = 0; i < len; i++)
		hash = (hash ^ bytes[i]) * 0x100000001b3;
	return hash;
}

static void flow_write(struct flow *flow, unsigned *seed)
{
	static uint8_t piece[128 * 1024];
	size_t len = (size_t)rand_r(seed) % sizeof piece + 1, taken = 0;
	if (len > flow->total - flow->sent)
		len = flow->total - flow->sent;
	for (size_t i = 0; i < len; i++)
		piece[i] = (uint8_t)rand_r(seed);
	if (len > 0 && tls_session_write(flow->from, span_of(piece, len), &taken) == IO_DONE) {
		flow->sent += taken;
		flow->sent_hash = fold(flow->sent_hash, piece, taken);
	}
	assert_int_not_equal(tls_session_flush(flow->from), IO_FAILED);
}

static void flow_read(struct flow *flow, unsigned *seed)
{
	static uint8_t piece[64 * 1024];
	size_t cap = (size_t)rand_r(seed) % sizeof piece + 1, len = 0;
	enum io_result result = tls_session_read(flow->to, piece, cap, &len);
	assert_true(result == IO_DONE || result == IO_WANT_READ);
	if (result == IO_DONE) {
		flow->received += len;
		flow->received_hash = fold(flow->received_hash, piece, len);
	}
}

static void transfers_bulk_through_tiny_socket_buffers(void **state)
{
	struct test_pair *pair = *state;
	test_pair_establish(pair);
	int tiny = 4096;
	setsockopt(tls_session_fd(pair->client), SOL_SOCKET, SO_SNDBUF, &tiny, sizeof tiny);
	setsockopt(tls_session_fd(pair->server), SOL_SOCKET, SO_SNDBUF, &tiny, sizeof tiny);
	struct flow up = {.from = pair->client, .to = pair->server, .total = 3000001};
	struct flow down = {.from = pair->server, .to = pair->client, .total = 2000003};
	unsigned seed = 7;
	for (size_t i = 0; (up.received < up.total || down.received < down.total) && i < 1000000; i++) {
		flow_write(rand_r(&seed) % 2 ? &up : &down, &seed);
		flow_read(rand_r(&seed) % 2 ? &up : &down, &seed);
	}
	assert_int_equal(up.received, up.total);
	assert_int_equal(down.received, down.total);
	assert_true(up.sent_hash == up.received_hash && down.sent_hash == down.received_hash);
	assert_int_equal(tls_session_unflushed(pair->client), 0);
}

/* Moves one byte per step from one socket to another, so that every record arrives in pieces. */
struct trickle {
	int a, b;
};

static void trickle_once(const struct trickle *trickle)
{
	uint8_t byte;
	if (recv(trickle->a, &byte, 1, MSG_DONTWAIT) == 1)
		assert_int_equal(send(trickle->b, &byte, 1, MSG_NOSIGNAL), 1);
	if (recv(trickle->b, &byte, 1, MSG_DONTWAIT) == 1)
		assert_int_equal(send(trickle->a, &byte, 1, MSG_NOSIGNAL), 1);
}

static void works_when_bytes_come_one_at_a_time(void **state)
{
	struct test_pair *pair = *state;
	int left[2], right[2];
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, left), 0);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, right), 0);
	pair->client = test_session(pair, TLS_CLIENT, left[0]);
	pair->server = test_session(pair, TLS_SERVER, right[0]);
	pair->fds[0] = left[1], pair->fds[1] = right[1];
	struct trickle trickle = {left[1], right[1]};
	enum io_result client, server;
	for (int i = 0; i < 10000; i++) {
		client = tls_session_handshake(pair->client);
		server = tls_session_handshake(pair->server);
		trickle_once(&trickle);
	}
	assert_int_equal(client, IO_DONE);
	assert_int_equal(server, IO_DONE);
	test_send(pair->client, "drop by drop");
	enum io_result result = IO_WANT_READ;
	uint8_t bytes[64];
	size_t len = 0;
	for (int i = 0; i < 1000 && result == IO_WANT_READ; i++) {
		trickle_once(&trickle);
		result = tls_session_read(pair->server, bytes, sizeof bytes, &len);
	}
	assert_int_equal(result, IO_DONE);
	assert_int_equal(len, strlen("drop by drop"));
}

static void reports_pending_bytes(void **state)
{
	struct test_pair *pair = *state;
	test_pair_establish(pair);
	test_send(pair->client, "first");
	test_send(pair->client, "second");
	assert_false(tls_session_has_pending(pair->server));
	uint8_t bytes[3];
	size_t len = 0;
	assert_int_equal(tls_session_read(pair->server, bytes, sizeof bytes, &len), IO_DONE);
	struct pollfd watch = {.fd = tls_session_fd(pair->server), .events = POLLIN};
	assert_int_equal(poll(&watch, 1, 0), 0); /* the socket is empty */
	assert_true(tls_session_has_pending(pair->server));
	while (tls_session_read(pair->server, bytes, sizeof bytes, &len) == IO_DONE)
		continue;
	assert_false(tls_session_has_pending(pair->server));
}

static void D41_frees_cleanly_at_each_step_of_the_handshake(void **state)
{
	struct test_pair *pair = *state;
	for (int steps = 0; steps < 8; steps++) {
		test_pair_open(pair);
		for (int i = 0; i < steps; i++)
			(void)!tls_session_handshake(i % 2 ? pair->server : pair->client);
		struct tls_session **freed = steps % 2 ? &pair->client : &pair->server;
		struct tls_session **left = steps % 2 ? &pair->server : &pair->client;
		tls_session_free(TAKE_PTR(*freed));
		for (int i = 0; i < 3; i++)
			(void)!tls_session_handshake(*left);
		bool has_ended = tls_session_is_established(*left) ? test_read_result(*left) == IO_FAILED
								   : tls_session_handshake(*left) == IO_FAILED;
		assert_true(has_ended);
		assert_int_not_equal(tls_session_why(*left)->err, ERR_NONE);
		tls_session_free(TAKE_PTR(*left));
	}
}

enum { RECORDS_PER_KEY = 4, NUM_MESSAGES = 10, KEY_UPDATE = 24 /* RFC 8446 4 */ };

static void count_key_updates(int is_write, int version, int type, const void *bytes, size_t len, SSL *ssl, void *arg)
{
	(void)version, (void)ssl;
	unsigned *num = arg;
	*num += !is_write && type == SSL3_RT_HANDSHAKE && len > 0 && ((const uint8_t *)bytes)[0] == KEY_UPDATE;
}

static void finding_t4_replaces_its_key_after_the_configured_records(void **state)
{
	struct test_pair *pair = *state;
	struct test_raw_peer peer;
	unsigned num_updates = 0;
	test_pair_connect(pair);
	struct tls_session_options options = {.context = pair->server_context,
		.scratch = pair->scratch,
		.fd = TAKE_FD(pair->fds[1]),
		.svid = pair->server_identity.svid,
		.key = pair->server_identity.key,
		.records_per_key = RECORDS_PER_KEY,
		.on_verify = test_verify,
		.verify_arg = &pair->server_verdict};
	assert_int_equal(tls_session_new(&options, &pair->server, NULL), ERR_NONE);
	test_raw_peer_init(&peer, pair, TLS_CLIENT, pair->fds[0]);
	SSL_set_msg_callback(peer.ssl, count_key_updates);
	SSL_set_msg_callback_arg(peer.ssl, &num_updates);
	assert_int_equal(test_raw_peer_handshake(&peer, pair->server), IO_DONE);
	for (int i = 0; i < NUM_MESSAGES; i++) {
		char bytes[16];
		test_send(pair->server, "under this key");
		assert_int_equal(SSL_read(peer.ssl, bytes, sizeof bytes), 14);
		assert_memory_equal(bytes, "under this key", 14);
	}
	assert_int_equal(num_updates, NUM_MESSAGES / RECORDS_PER_KEY);
	assert_int_equal(SSL_write(peer.ssl, "and back", 8), 8); /* the peer's key is not changed */
	test_expect(pair->server, "and back");
	test_raw_peer_done(&peer);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, test_pair_setup, test_pair_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(completes_a_mutual_handshake),
		CASE(a_client_may_send_the_end_of_its_handshake_with_its_first_bytes),
		CASE(a_client_does_not_read_before_its_hello),
		CASE(transfers_bytes_in_both_directions),
		CASE(close_notify_is_an_end_and_not_a_failure),
		CASE(writes_no_more_than_its_output_buffer),
		CASE(transfers_bulk_through_tiny_socket_buffers),
		CASE(works_when_bytes_come_one_at_a_time),
		CASE(reports_pending_bytes),
		CASE(finding_t4_replaces_its_key_after_the_configured_records),
		CASE(D41_frees_cleanly_at_each_step_of_the_handshake),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
