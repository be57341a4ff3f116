#include "base/core/mem.h"
#include "base/tls/alert.h"
#include "base/tls/test_raw_peer.h"
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
/* cmocka wants <setjmp.h> and <stdarg.h> first */
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

static void exports_another_secret_on_another_connection(void **state)
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

static void refuses_a_key_that_is_not_the_certificate_s(void **state)
{
	struct test_pair *pair = *state;
	struct why why = {0};
	enum err err = open_with(pair, TLS_CLIENT, pair->client_identity.svid, pair->server_identity.key, &why);
	assert_int_equal(err, ERR_KEY_MISMATCH);
	assert_int_equal(why.err, ERR_KEY_MISMATCH);
	assert_string_not_equal(why.got, "");
}

static void refuses_to_serve_without_an_identity(void **state)
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
	memset(der, 0, sizeof der); /* borrowed only during _new */
	struct test_raw_peer peer;
	test_raw_peer_init(&peer, pair, TLS_CLIENT, pair->fds[0]);
	assert_int_equal(test_raw_peer_shake(&peer, pair->server), IO_DONE);
	assert_int_equal(sk_CRYPTO_BUFFER_num(SSL_get0_peer_certificates(peer.ssl)), 2);
	test_raw_peer_done(&peer);
}

static void knows_nobody_before_the_handshake_is_done(void **state)
{
	struct test_pair *pair = *state;
	test_pair_open(pair);
	assert_null(tls_session_peer(pair->client));
	assert_string_equal(tls_session_cipher(pair->client), "none");
	assert_string_equal(tls_session_group(pair->client), "none");
	assert_int_equal(tls_session_why(pair->client)->err, ERR_NONE);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, test_pair_setup, test_pair_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(exports_the_same_secret_on_both_sides),
		CASE(exports_another_secret_on_another_connection),
		CASE(refuses_a_key_that_is_not_the_certificate_s),
		CASE(refuses_to_serve_without_an_identity),
		CASE(sends_the_extra_chain_after_its_own),
		CASE(knows_nobody_before_the_handshake_is_done),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
