#include "base/tls/alert.h"
#include "base/tls/test_raw_peer.h"
#include <setjmp.h>
#include <stdarg.h>
#include <sys/socket.h>
#include <unistd.h>
/* cmocka requires <setjmp.h> and <stdarg.h> */
#include <cmocka.h>

static void t6_an_end_without_close_notify_is_a_failure(void **state)
{
	struct test_pair *pair = *state;
	test_pair_establish(pair);
	test_send(pair->client, "half a sent");
	tls_session_free(TAKE_PTR(pair->client));
	test_expect(pair->server, "half a sent");
	assert_int_equal(test_read_result(pair->server), IO_FAILED);
	assert_int_equal(tls_session_why(pair->server)->err, ERR_TRUNCATED);
	assert_false(tls_session_failed_by_peer(pair->server));
	assert_true(tls_session_has_pending(pair->server));
	assert_int_equal(test_read_result(pair->server), IO_FAILED);
}

static void t6_a_truncated_record_is_a_failure(void **state)
{
	struct test_pair *pair = *state;
	test_pair_establish(pair);
	static const uint8_t start[] = {23, 3, 3, 0x40, 0x11, 1, 2, 3};
	assert_int_equal(send(tls_session_fd(pair->client), start, sizeof start, 0), sizeof start);
	assert_int_equal(test_read_result(pair->server), IO_WANT_READ);
	assert_false(tls_session_has_pending(pair->server)); /* no plaintext for the caller */
	shutdown(tls_session_fd(pair->client), SHUT_WR);
	assert_int_equal(test_read_result(pair->server), IO_FAILED);
	assert_int_equal(tls_session_why(pair->server)->err, ERR_TRUNCATED);
}

static void reports_an_end_in_the_handshake(void **state)
{
	struct test_pair *pair = *state;
	test_pair_open(pair);
	assert_int_equal(tls_session_handshake(pair->client), IO_WANT_READ);
	tls_session_free(TAKE_PTR(pair->client));
	(void)!tls_session_handshake(pair->server);
	assert_int_equal(tls_session_handshake(pair->server), IO_FAILED);
	assert_int_not_equal(tls_session_why(pair->server)->err, ERR_NONE);
	assert_non_null(strstr(tls_session_why(pair->server)->got, "in the handshake"));
}

static void reports_bytes_that_are_not_tls(void **state)
{
	static const char *const texts[] = {
		"GET / HTTP/1.1\r\n\r\n", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "\x01garbage!!"};
	for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
		struct test_pair *pair = *state;
		test_pair_connect(pair);
		pair->server = test_session(pair, TLS_SERVER, TAKE_FD(pair->fds[1]));
		assert_true(send(pair->fds[0], texts[i], strlen(texts[i]), 0) > 0);
		assert_int_equal(tls_session_handshake(pair->server), IO_FAILED);
		assert_int_equal(tls_session_why(pair->server)->err, ERR_PROTOCOL);
		tls_session_free(TAKE_PTR(pair->server));
		close(TAKE_FD(pair->fds[0]));
	}
}

static void d25_refuses_a_hello_of_64_kilobytes(void **state)
{
	static const uint8_t start[] = {22, 3, 1, 0x40, 0, 1, 1, 0, 0}; /* a record of 16 KiB, a hello of 64 */
	static const uint8_t rest[0x4000 - 4];
	struct test_pair *pair = *state;
	test_pair_connect(pair);
	pair->server = test_session(pair, TLS_SERVER, TAKE_FD(pair->fds[1]));
	assert_int_equal(send(pair->fds[0], start, sizeof start, 0), sizeof start);
	assert_int_equal(send(pair->fds[0], rest, sizeof rest, 0), sizeof rest);
	assert_int_equal(tls_session_handshake(pair->server), IO_FAILED);
	assert_int_equal(tls_session_why(pair->server)->err, ERR_PROTOCOL);
}

/* A valid hello with one byte per record: legal (RFC 8446 5.1), and accepted. */
static void d25_accepts_a_hello_in_a_thousand_records(void **state)
{
	struct test_pair *pair = *state;
	test_pair_open(pair);
	assert_int_equal(tls_session_handshake(pair->client), IO_WANT_READ);
	int to_server = tls_session_fd(pair->client);
	uint8_t hello[2048];
	ssize_t len = recv(tls_session_fd(pair->server), hello, sizeof hello, 0);
	assert_in_range(len, 100, sizeof hello);
	for (ssize_t i = 5; i < len; i++) {
		const uint8_t record[] = {22, 3, 1, 0, 1, hello[i]};
		assert_int_equal(send(to_server, record, sizeof record, 0), sizeof record);
		if (i % 16 == 0)
			assert_int_equal(tls_session_handshake(pair->server), IO_WANT_READ);
	}
	struct test_outcome outcome = test_pair_handshake(pair);
	assert_int_equal(outcome.client, IO_DONE);
	assert_int_equal(outcome.server, IO_DONE);
}

/* The cipher suites of a hello: after the record's 5 bytes, the message's 4, version, random and session id. */
static uint8_t *suites_of(uint8_t *hello, size_t *out_len)
{
	uint8_t *at = hello + 5 + 4 + 2 + 32;
	at += 1 + *at;
	*out_len = (size_t)(at[0] << 8 | at[1]);
	return at + 2;
}

static void d24_refuses_a_hello_with_other_cipher_suites_alone(void **state)
{
	static const uint16_t others[] = {0x1304 /* AES_128_CCM */, 0x1305 /* AES_128_CCM_8 */, 0x00b4 /* NULL */,
		0xc0b4 /* SHA256, integrity only */, 0xc02f /* of TLS 1.2 */, 0x0000};
	for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
		struct test_pair *pair = *state;
		test_pair_open(pair);
		assert_int_equal(tls_session_handshake(pair->client), IO_WANT_READ);
		uint8_t hello[2048];
		ssize_t len = recv(tls_session_fd(pair->server), hello, sizeof hello, 0);
		assert_in_range(len, 100, sizeof hello);
		size_t suites_len;
		uint8_t *suites = suites_of(hello, &suites_len);
		assert_in_range(suites_len, 2, 64);
		for (size_t at = 0; at < suites_len; at += 2) {
			suites[at] = (uint8_t)(others[i] >> 8);
			suites[at + 1] = (uint8_t)others[i];
		}
		assert_int_equal(send(tls_session_fd(pair->client), hello, (size_t)len, 0), len);
		assert_int_equal(tls_session_handshake(pair->server), IO_FAILED);
		assert_int_equal(tls_session_alert(pair->server), TLS_ALERT_handshake_failure);
		assert_int_equal(pair->server_verdict.calls, 0);
		tls_session_free(TAKE_PTR(pair->client));
		tls_session_free(TAKE_PTR(pair->server));
	}
}

static void reports_close_notify_in_the_handshake(void **state)
{
	static const uint8_t close_notify[] = {21, 3, 3, 0, 2, 1, 0};
	struct test_pair *pair = *state;
	test_pair_connect(pair);
	pair->server = test_session(pair, TLS_SERVER, TAKE_FD(pair->fds[1]));
	assert_int_equal(send(pair->fds[0], close_notify, sizeof close_notify, 0), sizeof close_notify);
	assert_int_equal(tls_session_handshake(pair->server), IO_FAILED);
	assert_int_equal(tls_session_why(pair->server)->err, ERR_CLOSED);
}

static void reports_a_record_that_was_tampered_with(void **state)
{
	struct test_pair *pair = *state;
	test_pair_establish(pair);
	static const uint8_t forged[5 + 32] = {23, 3, 3, 0, 32};
	assert_int_equal(send(tls_session_fd(pair->client), forged, sizeof forged, 0), sizeof forged);
	assert_int_equal(test_read_result(pair->server), IO_FAILED);
	assert_int_equal(tls_session_alert(pair->server), TLS_ALERT_bad_record_mac);
	assert_false(tls_session_failed_by_peer(pair->server));
}

static void returns_the_bytes_before_the_failure_first(void **state)
{
	struct test_pair *pair = *state;
	test_pair_establish(pair);
	static const uint8_t forged[5 + 32] = {23, 3, 3, 0, 32};
	test_send(pair->client, "good");
	assert_int_equal(send(tls_session_fd(pair->client), forged, sizeof forged, 0), sizeof forged);
	test_expect(pair->server, "good");
	assert_true(tls_session_has_pending(pair->server));
	assert_int_equal(test_read_result(pair->server), IO_FAILED);
}

/* A peer that is accepted and then sends 100,000 records of one kind. */
static void flood(struct test_pair *pair, uint8_t type, struct span plain)
{
	test_pair_connect(pair);
	pair->server = test_session(pair, TLS_SERVER, TAKE_FD(pair->fds[1]));
	struct test_raw_peer peer;
	test_raw_peer_init(&peer, pair, TLS_CLIENT, pair->fds[0]);
	assert_int_equal(test_raw_peer_handshake(&peer, pair->server), IO_DONE);
	enum io_result result = IO_WANT_READ;
	size_t num_sent = 0;
	while (result == IO_WANT_READ && num_sent < 100000) {
		test_raw_peer_send_record(&peer, type, plain);
		num_sent++;
		result = test_read_result(pair->server);
	}
	assert_int_equal(result, IO_FAILED);
	assert_true(num_sent <= 64);
	assert_int_equal(tls_session_why(pair->server)->err, ERR_PROTOCOL);
	assert_int_not_equal(tls_session_alert(pair->server), -1);
	assert_int_equal(test_raw_peer_alert(&peer), tls_session_alert(pair->server)); /* the peer received the alert */
	test_raw_peer_done(&peer);
}

static void d25_ends_a_flood_of_key_updates(void **state)
{
	struct test_pair *pair = *state;
	test_pair_connect(pair);
	pair->server = test_session(pair, TLS_SERVER, TAKE_FD(pair->fds[1]));
	struct test_raw_peer peer;
	test_raw_peer_init(&peer, pair, TLS_CLIENT, pair->fds[0]);
	assert_int_equal(test_raw_peer_handshake(&peer, pair->server), IO_DONE);
	enum io_result result = IO_WANT_READ;
	size_t num_sent = 0;
	while (result == IO_WANT_READ && num_sent < 100000) {
		assert_true(SSL_key_update(peer.ssl, SSL_KEY_UPDATE_REQUESTED));
		(void)SSL_write(peer.ssl, "", 0); /* flushes it */
		num_sent++;
		result = test_read_result(pair->server);
	}
	assert_int_equal(result, IO_FAILED);
	assert_true(num_sent <= 64);
	assert_int_equal(tls_session_alert(pair->server), TLS_ALERT_unexpected_message);
	assert_int_equal(test_raw_peer_alert(&peer), TLS_ALERT_unexpected_message);
	test_raw_peer_done(&peer);
}

static void answers_a_key_update_and_continues(void **state)
{
	struct test_pair *pair = *state;
	test_pair_connect(pair);
	pair->server = test_session(pair, TLS_SERVER, TAKE_FD(pair->fds[1]));
	struct test_raw_peer peer;
	test_raw_peer_init(&peer, pair, TLS_CLIENT, pair->fds[0]);
	assert_int_equal(test_raw_peer_handshake(&peer, pair->server), IO_DONE);
	char bytes[16];
	for (int i = 0; i < 200; i++) {
		assert_true(SSL_key_update(peer.ssl, SSL_KEY_UPDATE_REQUESTED));
		assert_int_equal(SSL_write(peer.ssl, "ping", 4), 4);
		test_expect(pair->server, "ping");
		test_send(pair->server, "pong");
		assert_int_equal(SSL_read(peer.ssl, bytes, sizeof bytes), 4);
	}
	test_raw_peer_done(&peer);
}

static void d25_ends_a_flood_of_empty_records(void **state)
{
	flood(*state, SSL3_RT_APPLICATION_DATA, span_of(NULL, 0));
}

static void d25_ends_a_flood_of_warnings(void **state)
{
	static const uint8_t user_canceled[] = {1, 90};
	flood(*state, SSL3_RT_ALERT, span_of(user_canceled, sizeof user_canceled));
}

static void d25_ends_on_an_empty_handshake_message(void **state)
{
	static const uint8_t unknown_message[] = {99, 0, 0, 0};
	flood(*state, SSL3_RT_HANDSHAKE, span_of(unknown_message, sizeof unknown_message));
}

static void d25_any_fatal_alert_ends_the_session(void **state)
{
	for (unsigned number = 1; number < 256; number++) {
		struct test_pair *pair = *state;
		test_pair_connect(pair);
		pair->server = test_session(pair, TLS_SERVER, TAKE_FD(pair->fds[1]));
		struct test_raw_peer peer;
		test_raw_peer_init(&peer, pair, TLS_CLIENT, pair->fds[0]);
		assert_int_equal(test_raw_peer_handshake(&peer, pair->server), IO_DONE);
		const uint8_t alert[] = {2, (uint8_t)number};
		test_raw_peer_send_record(&peer, SSL3_RT_ALERT, span_of(alert, sizeof alert));
		assert_int_equal(test_read_result(pair->server), IO_FAILED);
		assert_true(tls_session_failed_by_peer(pair->server));
		assert_int_equal(tls_session_alert(pair->server), number);
		assert_int_not_equal(tls_session_why(pair->server)->err, ERR_NONE);
		test_raw_peer_done(&peer);
		tls_session_free(TAKE_PTR(pair->server));
		close(TAKE_FD(pair->fds[0]));
	}
}

static void names_the_transport_s_error_when_there_is_no_alert(void **state)
{
	struct test_pair *pair = *state;
	test_pair_establish(pair);
	tls_session_free(TAKE_PTR(pair->server));
	size_t len = 0;
	assert_int_equal(tls_session_write(pair->client, SPAN_LITERAL("anyone?"), &len), IO_DONE);
	assert_int_equal(tls_session_flush(pair->client), IO_FAILED);
	assert_false(tls_session_failed_by_peer(pair->client));
	assert_int_not_equal(tls_session_why(pair->client)->err, ERR_NONE);
	assert_int_equal(tls_session_write(pair->client, SPAN_LITERAL("anyone?"), &len), IO_FAILED);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, test_pair_setup, test_pair_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(t6_an_end_without_close_notify_is_a_failure),
		CASE(t6_a_truncated_record_is_a_failure),
		CASE(reports_an_end_in_the_handshake),
		CASE(reports_bytes_that_are_not_tls),
		CASE(d24_refuses_a_hello_with_other_cipher_suites_alone),
		CASE(d25_refuses_a_hello_of_64_kilobytes),
		CASE(d25_accepts_a_hello_in_a_thousand_records),
		CASE(reports_close_notify_in_the_handshake),
		CASE(reports_a_record_that_was_tampered_with),
		CASE(returns_the_bytes_before_the_failure_first),
		CASE(d25_ends_a_flood_of_key_updates),
		CASE(answers_a_key_update_and_continues),
		CASE(d25_ends_a_flood_of_empty_records),
		CASE(d25_ends_a_flood_of_warnings),
		CASE(d25_ends_on_an_empty_handshake_message),
		CASE(d25_any_fatal_alert_ends_the_session),
		CASE(names_the_transport_s_error_when_there_is_no_alert),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
