#include "base/tls/alert.h"
#include "base/tls/test_raw_peer.h"
#include <setjmp.h>
#include <stdarg.h>
#include <unistd.h>
/* cmocka requires <setjmp.h> and <stdarg.h> */
#include <cmocka.h>

static void meet_as_client(struct test_pair *pair, struct test_raw_peer *peer)
{
	test_pair_connect(pair);
	pair->server = test_session(pair, TLS_SERVER, TAKE_FD(pair->fds[1]));
	test_raw_peer_init(peer, pair, TLS_CLIENT, pair->fds[0]);
}

static void assert_server_refuses(struct test_pair *pair, struct test_raw_peer *peer)
{
	assert_int_equal(test_raw_peer_handshake(peer, pair->server), IO_FAILED);
	assert_int_equal(tls_session_why(pair->server)->err, ERR_UNSUPPORTED);
	assert_non_null(strstr(tls_session_why(pair->server)->got, "ALPN"));
	assert_int_equal(test_raw_peer_alert(peer), TLS_ALERT_no_application_protocol);
	assert_int_equal(tls_session_alert(pair->server), TLS_ALERT_no_application_protocol);
	assert_int_equal(pair->server_verdict.calls, 0);
	test_raw_peer_done(peer);
}

static void d31_refuses_a_client_without_alpn(void **state)
{
	struct test_raw_peer peer;
	meet_as_client(*state, &peer);
	assert_int_equal(SSL_set_alpn_protos(peer.ssl, NULL, 0), 0);
	assert_server_refuses(*state, &peer);
}

static void d31_refuses_a_client_of_another_protocol(void **state)
{
	static const uint8_t others[] = "\10http/1.1\3h2c\5istio";
	struct test_raw_peer peer;
	meet_as_client(*state, &peer);
	assert_int_equal(SSL_set_alpn_protos(peer.ssl, others, sizeof others - 1), 0);
	assert_server_refuses(*state, &peer);
	assert_non_null(strstr(tls_session_why(((struct test_pair *)*state)->server)->got, "http/1.1"));
}

static void finds_its_protocol_among_others(void **state)
{
	static const uint8_t several[] = "\10http/1.1\2h2";
	struct test_pair *pair = *state;
	struct test_raw_peer peer;
	meet_as_client(pair, &peer);
	assert_int_equal(SSL_set_alpn_protos(peer.ssl, several, sizeof several - 1), 0);
	assert_int_equal(test_raw_peer_handshake(&peer, pair->server), IO_DONE);
	test_raw_peer_done(&peer);
}

/* A server that accepts a second protocol takes it from clients without the first alone. */
static void the_second_protocol_is_for_clients_without_the_first(void **state)
{
	static const struct {
		const char *offered, *expected;
		enum io_result result;
	} rows[] = {{"\10http/1.1\2h2", "h2", IO_DONE}, {"\10http/1.1", "http/1.1", IO_DONE}, {"\3h2c", "", IO_FAILED}};
	struct test_pair *pair = *state;
	tls_context_free(pair->server_context);
	pair->server_context = tls_context_new(
		&(struct tls_context_options){.role = TLS_SERVER, .alpn = "h2", .alpn_else = "http/1.1"});
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct test_raw_peer peer;
		meet_as_client(pair, &peer);
		assert_int_equal(SSL_set_alpn_protos(
					 peer.ssl, (const uint8_t *)rows[i].offered, (unsigned)strlen(rows[i].offered)),
			0);
		assert_int_equal(test_raw_peer_handshake(&peer, pair->server), rows[i].result);
		if (rows[i].result == IO_DONE)
			assert_true(tls_session_has_protocol(pair->server, rows[i].expected));
		test_raw_peer_done(&peer);
		tls_session_free(TAKE_PTR(pair->server));
		close(TAKE_FD(pair->fds[0]));
	}
}

static int select_none(SSL *ssl, const uint8_t **out, uint8_t *out_len, const uint8_t *in, unsigned in_len, void *arg)
{
	(void)ssl, (void)out, (void)out_len, (void)in, (void)in_len, (void)arg;
	return SSL_TLSEXT_ERR_NOACK;
}

static void d31_ends_before_its_certificate_when_the_server_selects_none(void **state)
{
	struct test_pair *pair = *state;
	test_pair_connect(pair);
	pair->client = test_session(pair, TLS_CLIENT, TAKE_FD(pair->fds[0]));
	struct test_raw_peer peer;
	test_raw_peer_init(&peer, pair, TLS_SERVER, pair->fds[1]);
	SSL_CTX_set_alpn_select_cb(peer.ctx, select_none, NULL);
	assert_int_equal(test_raw_peer_handshake(&peer, pair->client), IO_FAILED);
	assert_int_equal(tls_session_why(pair->client)->err, ERR_UNSUPPORTED);
	assert_int_equal(test_raw_peer_alert(&peer), TLS_ALERT_no_application_protocol);
	assert_int_equal(pair->client_verdict.calls, 0);
	assert_null(SSL_get0_peer_certificates(peer.ssl));
	test_raw_peer_done(&peer);
}

/* HTTP/1.1 with programs of others: no protocol is as good as the right one, another one is refused. */
static void where_it_is_optional_a_client_without_alpn_is_accepted(void **state)
{
	struct test_pair *pair = *state;
	struct test_raw_peer peer;
	tls_context_free(pair->server_context);
	pair->server_context = tls_context_new(
		&(struct tls_context_options){.role = TLS_SERVER, .alpn = "http/1.1", .alpn_is_optional = true});
	meet_as_client(pair, &peer);
	assert_int_equal(SSL_set_alpn_protos(peer.ssl, NULL, 0), 0);
	assert_int_equal(test_raw_peer_handshake(&peer, pair->server), IO_DONE);
	test_raw_peer_done(&peer);
	tls_session_free(TAKE_PTR(pair->server));
	close(TAKE_FD(pair->fds[0]));
	meet_as_client(pair, &peer);
	assert_int_equal(SSL_set_alpn_protos(peer.ssl, (const uint8_t *)"\2h2", 3), 0);
	assert_int_equal(test_raw_peer_handshake(&peer, pair->server), IO_FAILED);
	test_raw_peer_done(&peer);
}

static void where_it_is_optional_a_server_may_select_none(void **state)
{
	struct test_pair *pair = *state;
	struct test_raw_peer peer;
	tls_context_free(pair->client_context);
	pair->client_context = tls_context_new(
		&(struct tls_context_options){.role = TLS_CLIENT, .alpn = "http/1.1", .alpn_is_optional = true});
	test_pair_connect(pair);
	pair->client = test_session(pair, TLS_CLIENT, TAKE_FD(pair->fds[0]));
	test_raw_peer_init(&peer, pair, TLS_SERVER, pair->fds[1]);
	SSL_CTX_set_alpn_select_cb(peer.ctx, select_none, NULL);
	assert_int_equal(test_raw_peer_handshake(&peer, pair->client), IO_DONE);
	assert_false(tls_session_has_protocol(pair->client, "http/1.1"));
	test_raw_peer_done(&peer);
}

static int select_last(SSL *ssl, const uint8_t **out, uint8_t *out_len, const uint8_t *in, unsigned in_len, void *arg)
{
	(void)ssl, (void)arg;
	assert_int_equal(in_len, 3 + 6);
	assert_memory_equal(in, "\2h2\5waits", 9);
	*out = in + 4;
	*out_len = 5;
	return SSL_TLSEXT_ERR_OK;
}

static void d31_a_sign_is_offered_and_must_not_be_selected(void **state)
{
	struct test_pair *pair = *state;
	struct tls_session_options client = {.alpn_sign = "waits"},
				   server = {.svid = pair->server_identity.svid, .key = pair->server_identity.key};
	client.svid = pair->client_identity.svid;
	client.key = pair->client_identity.key;
	test_pair_open_as(pair, &client, &server);
	assert_int_equal(test_pair_handshake(pair).client, IO_DONE);
	assert_true(tls_session_has_protocol(pair->client, "h2"));
	tls_session_free(TAKE_PTR(pair->client));
	tls_session_free(TAKE_PTR(pair->server));

	test_pair_open_as(pair, &client, &server);
	struct test_raw_peer peer;
	int fd = dup(tls_session_fd(pair->server));
	tls_session_free(TAKE_PTR(pair->server));
	test_raw_peer_init(&peer, pair, TLS_SERVER, fd);
	SSL_CTX_set_alpn_select_cb(peer.ctx, select_last, NULL);
	assert_int_equal(test_raw_peer_handshake(&peer, pair->client), IO_FAILED);
	assert_int_equal(tls_session_why(pair->client)->err, ERR_UNSUPPORTED);
	test_raw_peer_done(&peer);
	close(fd);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, test_pair_setup, test_pair_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(d31_refuses_a_client_without_alpn),
		CASE(d31_refuses_a_client_of_another_protocol),
		CASE(finds_its_protocol_among_others),
		CASE(the_second_protocol_is_for_clients_without_the_first),
		CASE(d31_ends_before_its_certificate_when_the_server_selects_none),
		CASE(d31_a_sign_is_offered_and_must_not_be_selected),
		CASE(where_it_is_optional_a_client_without_alpn_is_accepted),
		CASE(where_it_is_optional_a_server_may_select_none),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
