#include "base/net/fd.h"
#include "base/tls/alert.h"
#include "base/tls/test_raw_peer.h"
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
/* cmocka requires <setjmp.h> and <stdarg.h> */
#include <cmocka.h>

static void exports_the_same_secret_on_both_sides(void **state)
{
	struct test_pair *pair = *state;
	test_pair_establish(pair);
	const char *label = "EXPORTER-handfast-attest";
	uint8_t client[32], server[32], other_context[32], other_label[32];
	assert_int_equal(tls_session_export(pair->client, label, SPAN_LITERAL("csr"), client), ERR_NONE);
	assert_int_equal(tls_session_export(pair->server, label, SPAN_LITERAL("csr"), server), ERR_NONE);
	assert_memory_equal(client, server, 32);
	assert_int_equal(tls_session_export(pair->server, label, SPAN_LITERAL("CSR"), other_context), ERR_NONE);
	assert_memory_not_equal(client, other_context, 32);
	assert_int_equal(tls_session_export(pair->server, "EXPORTER-x", SPAN_LITERAL("csr"), other_label), ERR_NONE);
	assert_memory_not_equal(client, other_label, 32);
}

static void W22_exports_another_secret_on_another_connection(void **state)
{
	struct test_pair *pair = *state;
	uint8_t first[32], second[32];
	test_pair_establish(pair);
	assert_int_equal(tls_session_export(pair->client, "EXPORTER-x", SPAN_LITERAL(""), first), ERR_NONE);
	tls_session_free(TAKE_PTR(pair->client));
	tls_session_free(TAKE_PTR(pair->server));
	test_pair_establish(pair);
	assert_int_equal(tls_session_export(pair->client, "EXPORTER-x", SPAN_LITERAL(""), second), ERR_NONE);
	assert_memory_not_equal(first, second, 32);
}

static enum err open_with(
	struct test_pair *pair, enum tls_role role, struct svid *svid, struct private_key *key, struct why *why)
{
	test_pair_connect(pair);
	struct tls_session_options options = {
		.context = role == TLS_CLIENT ? pair->client_context : pair->server_context,
		.scratch = pair->scratch,
		.fd = pair->fds[0],
		.svid = svid,
		.key = key,
		.on_verify = test_verify,
	};
	struct tls_session *session = NULL;
	enum err err = tls_session_new(&options, &session, why);
	assert_null(session);
	assert_int_equal(fcntl(pair->fds[0], F_GETFD), -1); /* the descriptor was adopted and is closed */
	assert_int_equal(errno, EBADF);
	pair->fds[0] = -1;
	return err;
}

static void refuses_a_key_that_does_not_match_the_certificate(void **state)
{
	struct test_pair *pair = *state;
	struct why why = {0};
	enum err err = open_with(pair, TLS_CLIENT, pair->client_identity.svid, pair->server_identity.key, &why);
	assert_int_equal(err, ERR_KEY_MISMATCH);
	assert_int_equal(why.err, ERR_KEY_MISMATCH);
	assert_string_not_equal(why.got, "");
}

static void C21_refuses_to_serve_without_an_identity(void **state)
{
	struct why why = {0};
	assert_int_equal(open_with(*state, TLS_SERVER, NULL, NULL, &why), ERR_NO_CERTIFICATE);
}

static void sends_the_extra_chain_after_its_own(void **state)
{
	struct test_pair *pair = *state;
	uint8_t der[2048];
	struct span original = test_cert_der(pair->root);
	assert_true(original.len <= sizeof der);
	memcpy(der, original.ptr, original.len);
	struct span root = span_of(der, original.len);
	struct tls_session_options options = {
		.context = pair->server_context,
		.scratch = pair->scratch,
		.svid = pair->server_identity.svid,
		.key = pair->server_identity.key,
		.extra_chain = &root,
		.num_extra_chain = 1,
		.on_verify = test_verify,
		.verify_arg = &pair->server_verdict,
	};
	test_pair_connect(pair);
	options.fd = TAKE_FD(pair->fds[1]);
	assert_int_equal(tls_session_new(&options, &pair->server, NULL), ERR_NONE);
	memset(der, 0, sizeof der); /* borrowed only during tls_session_new() */
	struct test_raw_peer peer;
	test_raw_peer_init(&peer, pair, TLS_CLIENT, pair->fds[0]);
	assert_int_equal(test_raw_peer_handshake(&peer, pair->server), IO_DONE);
	assert_int_equal(sk_CRYPTO_BUFFER_num(SSL_get0_peer_certificates(peer.ssl)), 2);
	test_raw_peer_done(&peer);
}

static void has_no_peer_before_the_handshake_is_done(void **state)
{
	struct test_pair *pair = *state;
	test_pair_open(pair);
	assert_null(tls_session_peer(pair->client));
	assert_string_equal(tls_session_cipher(pair->client), "none");
	assert_int_equal(tls_session_key_exchange(pair->client), NUM_KEY_EXCHANGES);
	assert_int_equal(tls_session_why(pair->client)->err, ERR_NONE);
}

/* An attacker with the certificate and not the key: the verifier accepts the chain, CertificateVerify fails. */
static enum ssl_private_key_result_t forge(
	SSL *ssl, uint8_t *out, size_t *out_len, size_t max_out, uint16_t scheme, const uint8_t *in, size_t in_len)
{
	(void)ssl, (void)scheme, (void)in, (void)in_len;
	assert_true(max_out >= 64);
	memset(out, 0x42, 64);
	*out_len = 64;
	return ssl_private_key_success;
}

static void D20_refuses_a_certificate_without_its_signature(void **state)
{
	struct test_pair *pair = *state;
	test_pair_connect(pair);
	pair->server = test_session(pair, TLS_SERVER, TAKE_FD(pair->fds[1]));
	struct test_raw_peer thief;
	test_raw_peer_init(&thief, pair, TLS_CLIENT, pair->fds[0]);
	static const SSL_PRIVATE_KEY_METHOD forger = {.sign = forge};
	CRYPTO_BUFFER *leaf = svid_get0_buffer(pair->client_identity.svid, 0);
	assert_true(SSL_set_chain_and_key(thief.ssl, &leaf, 1, NULL, &forger));
	assert_int_equal(test_raw_peer_handshake(&thief, pair->server), IO_FAILED);
	assert_string_equal(alert_name(tls_session_alert(pair->server)), "decrypt_error");
	assert_null(tls_session_peer(pair->server));
	assert_int_equal(test_raw_peer_alert(&thief), TLS_ALERT_decrypt_error);
	test_raw_peer_done(&thief);
}

/* The allowed kinds of keys, and one that is not allowed. */
static enum io_result meet_peer_with_key(struct test_pair *pair, enum test_key_kind kind)
{
	static const uint16_t all[] = {SSL_SIGN_ECDSA_SECP256R1_SHA256, SSL_SIGN_ECDSA_SECP384R1_SHA384,
		SSL_SIGN_ECDSA_SECP521R1_SHA512, SSL_SIGN_ED25519, SSL_SIGN_RSA_PSS_RSAE_SHA256};
	struct test_cert_spec spec = test_leaf_spec(TEST_CLIENT_ID);
	spec.key = kind;
	_cleanup_(test_cert_freep) struct test_cert *leaf = test_cert_new(&spec, pair->root);
	struct span der = test_cert_der(leaf);
	test_pair_connect(pair);
	pair->server = test_session(pair, TLS_SERVER, TAKE_FD(pair->fds[1]));
	struct test_raw_peer peer;
	test_raw_peer_init(&peer, pair, TLS_CLIENT, pair->fds[0]);
	assert_true(SSL_set_signing_algorithm_prefs(peer.ssl, all, sizeof all / sizeof all[0]));
	CRYPTO_BUFFER *buffer = CRYPTO_BUFFER_new(der.ptr, der.len, NULL);
	assert_true(SSL_set_chain_and_key(peer.ssl, &buffer, 1, test_cert_get0_evp(leaf), NULL));
	enum io_result result = test_raw_peer_handshake(&peer, pair->server);
	CRYPTO_BUFFER_free(buffer);
	test_raw_peer_done(&peer);
	tls_session_free(TAKE_PTR(pair->server));
	fd_close(TAKE_FD(pair->fds[0]));
	return result;
}

static void accepts_peers_with_each_allowed_kind_of_key(void **state)
{
	assert_int_equal(meet_peer_with_key(*state, TEST_KEY_P256), IO_DONE);
	assert_int_equal(meet_peer_with_key(*state, TEST_KEY_P384), IO_DONE);
	assert_int_equal(meet_peer_with_key(*state, TEST_KEY_ED25519), IO_DONE);
	assert_int_equal(meet_peer_with_key(*state, TEST_KEY_RSA_2048), IO_DONE);
	assert_int_equal(meet_peer_with_key(*state, TEST_KEY_P521), IO_FAILED);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, test_pair_setup, test_pair_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(exports_the_same_secret_on_both_sides),
		CASE(W22_exports_another_secret_on_another_connection),
		CASE(refuses_a_key_that_does_not_match_the_certificate),
		CASE(C21_refuses_to_serve_without_an_identity),
		CASE(sends_the_extra_chain_after_its_own),
		CASE(D20_refuses_a_certificate_without_its_signature),
		CASE(accepts_peers_with_each_allowed_kind_of_key),
		CASE(has_no_peer_before_the_handshake_is_done),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
