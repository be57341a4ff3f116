#include "base/net/fd.h"
#include "base/net/socket.h"
#include "base/tls/alert.h"
#include "base/tls/test_raw_peer.h"
#include "certs/verify.h"
#include <setjmp.h>
#include <stdarg.h>
/* cmocka requires <setjmp.h> and <stdarg.h> */
#include <cmocka.h>

struct refusal {
	enum err err;
	const char *alert;
	enum err err_at_peer;
};

static const struct refusal refusals[] = {
	{ERR_EXPIRED, "certificate_expired", ERR_EXPIRED},
	{ERR_NOT_YET_VALID, "certificate_expired", ERR_EXPIRED},
	{ERR_UNTRUSTED, "unknown_ca", ERR_UNTRUSTED},
	{ERR_NO_BUNDLE, "unknown_ca", ERR_UNTRUSTED},
	{ERR_REVOKED, "certificate_revoked", ERR_REVOKED},
	{ERR_WRONG_PEER, "access_denied", ERR_DENIED},
	{ERR_DENIED, "access_denied", ERR_DENIED},
	{ERR_NO_CERTIFICATE, "certificate_required", ERR_NO_CERTIFICATE},
	{ERR_NOT_SVID, "bad_certificate", ERR_DENIED},
	{ERR_MALFORMED, "bad_certificate", ERR_DENIED},
	{ERR_WEAK_KEY, "bad_certificate", ERR_DENIED},
};

static void assert_refuser(const struct tls_session *session, const struct refusal *refusal)
{
	const struct why *why = tls_session_why(session);
	assert_int_equal(why->err, refusal->err);
	assert_string_equal(why->got, "this one");
	assert_string_equal(alert_name(tls_session_alert(session)), refusal->alert);
	assert_false(tls_session_failed_by_peer(session));
	assert_null(tls_session_peer(session));
}

static void assert_refused(const struct tls_session *session, const struct refusal *refusal)
{
	const struct why *why = tls_session_why(session);
	assert_int_equal(why->err, refusal->err_at_peer);
	assert_non_null(strstr(why->got, refusal->alert));
	assert_string_equal(alert_name(tls_session_alert(session)), refusal->alert);
	assert_true(tls_session_failed_by_peer(session));
}

static void close_both(struct test_pair *pair)
{
	tls_session_free(TAKE_PTR(pair->client));
	tls_session_free(TAKE_PTR(pair->server));
}

static void reports_to_the_client_why_the_server_refused_it(void **state)
{
	struct test_pair *pair = *state;
	for (size_t i = 0; i < sizeof refusals / sizeof refusals[0]; i++) {
		pair->server_verdict.err = refusals[i].err;
		test_pair_open(pair);
		struct test_outcome outcome = test_pair_handshake(pair);
		assert_int_equal(outcome.server, IO_FAILED);
		assert_refuser(pair->server, &refusals[i]);
		assert_int_equal(outcome.client, IO_DONE); /* in TLS 1.3 a client is done before it is verified */
		assert_int_equal(test_read_result(pair->client), IO_FAILED);
		assert_refused(pair->client, &refusals[i]);
		close_both(pair);
	}
}

static void reports_to_the_server_why_the_client_refused_it(void **state)
{
	struct test_pair *pair = *state;
	for (size_t i = 0; i < sizeof refusals / sizeof refusals[0]; i++) {
		pair->client_verdict.err = refusals[i].err;
		test_pair_open(pair);
		struct test_outcome outcome = test_pair_handshake(pair);
		assert_int_equal(outcome.client, IO_FAILED);
		assert_refuser(pair->client, &refusals[i]);
		assert_int_equal(outcome.server, IO_FAILED);
		assert_refused(pair->server, &refusals[i]);
		assert_int_equal(pair->server_verdict.calls, 0); /* the server never received the certificate */
		close_both(pair);
	}
}

static void finds_the_alert_after_a_write_error(void **state)
{
	struct test_pair *pair = *state;
	pair->server_verdict.err = ERR_REVOKED;
	test_pair_open(pair);
	(void)test_pair_handshake(pair);
	tls_session_free(TAKE_PTR(pair->server));
	size_t len = 0;
	assert_int_equal(tls_session_write(pair->client, SPAN_LITERAL("SETTINGS"), &len), IO_DONE);
	assert_int_equal(tls_session_flush(pair->client), IO_FAILED);
	assert_true(tls_session_failed_by_peer(pair->client));
	assert_string_equal(alert_name(tls_session_alert(pair->client)), "certificate_revoked");
	assert_int_equal(tls_session_flush(pair->client), IO_FAILED);
	assert_int_equal(test_read_result(pair->client), IO_FAILED);
}

/* A socketpair delivers what was sent before close(); TCP can lose it to an RST. */
static void connect_by_tcp(struct test_pair *pair)
{
	struct addr at = {.ip = {.family = AF_INET, .bytes = {127, 0, 0, 1}}}, peer;
	struct socket_listen_options listen_options = {0};
	struct socket_connect_options connect_options = {0};
	_cleanup_fd_ int listening = -1;
	assert_int_equal(socket_listen(&at, &listen_options, &listening, NULL), ERR_NONE);
	assert_int_equal(socket_local_addr(listening, &at), ERR_NONE);
	assert_int_equal(socket_connect(&at, &connect_options, &pair->fds[0]), ERR_NONE);
	assert_int_equal(fd_accept(listening, &peer, &pair->fds[1]), ERR_NONE);
}

static void finds_the_alert_though_the_server_reset_the_connection(void **state)
{
	struct test_pair *pair = *state;
	static uint8_t early[300000];
	pair->server_verdict.err = ERR_REVOKED;
	connect_by_tcp(pair);
	pair->client = test_session(pair, TLS_CLIENT, TAKE_FD(pair->fds[0]));
	pair->server = test_session(pair, TLS_SERVER, TAKE_FD(pair->fds[1]));
	assert_int_equal(tls_session_handshake(pair->client), IO_WANT_READ);
	assert_int_equal(tls_session_handshake(pair->server), IO_WANT_READ);
	assert_int_equal(tls_session_handshake(pair->client), IO_DONE);
	size_t len = 0;
	assert_int_equal(tls_session_write(pair->client, span_of(early, sizeof early), &len), IO_DONE);
	(void)!tls_session_flush(pair->client);
	assert_int_equal(tls_session_handshake(pair->server), IO_FAILED);
	tls_session_free(TAKE_PTR(pair->server)); /* with unread bytes of the client */
	enum io_result result = IO_WANT_WRITE;
	for (int i = 0; i < 1000 && result != IO_FAILED; i++) {
		if (tls_session_unflushed(pair->client) == 0)
			assert_int_equal(tls_session_write(pair->client, span_of(early, sizeof early), &len), IO_DONE);
		result = tls_session_flush(pair->client);
	}
	assert_int_equal(result, IO_FAILED);
	assert_true(tls_session_failed_by_peer(pair->client));
	assert_string_equal(alert_name(tls_session_alert(pair->client)), "certificate_revoked");
}

static void requires_a_certificate(void **state)
{
	struct test_pair *pair = *state;
	struct tls_session_options anonymous = {0};
	struct tls_session_options server = {.svid = pair->server_identity.svid, .key = pair->server_identity.key};
	test_pair_open_as(pair, &anonymous, &server);
	struct test_outcome outcome = test_pair_handshake(pair);
	assert_int_equal(outcome.server, IO_FAILED);
	assert_int_equal(tls_session_why(pair->server)->err, ERR_NO_CERTIFICATE);
	assert_int_equal(pair->server_verdict.calls, 0);
	assert_int_equal(test_read_result(pair->client), IO_FAILED);
	assert_string_equal(alert_name(tls_session_alert(pair->client)), "certificate_required");
	assert_int_equal(tls_session_why(pair->client)->err, ERR_NO_CERTIFICATE);
}

static void accepts_a_client_without_a_certificate_where_optional(void **state)
{
	struct test_pair *pair = *state;
	tls_context_free(pair->server_context);
	pair->server_context = test_context(TLS_SERVER, TLS_CLIENT_AUTH_OPTIONAL, "h2");
	struct tls_session_options anonymous = {0};
	struct tls_session_options server = {.svid = pair->server_identity.svid, .key = pair->server_identity.key};
	test_pair_open_as(pair, &anonymous, &server);
	struct test_outcome outcome = test_pair_handshake(pair);
	assert_int_equal(outcome.client, IO_DONE);
	assert_int_equal(outcome.server, IO_DONE);
	assert_null(tls_session_peer(pair->server));
	assert_int_equal(pair->server_verdict.calls, 0);
	assert_non_null(tls_session_peer(pair->client));
}

static void refuses_a_bad_certificate_where_one_is_optional(void **state)
{
	struct test_pair *pair = *state;
	tls_context_free(pair->server_context);
	pair->server_context = test_context(TLS_SERVER, TLS_CLIENT_AUTH_OPTIONAL, "h2");
	pair->server_verdict.err = ERR_UNTRUSTED;
	test_pair_open(pair);
	assert_int_equal(test_pair_handshake(pair).server, IO_FAILED);
	assert_int_equal(tls_session_why(pair->server)->err, ERR_UNTRUSTED);
}

struct real_verifier {
	struct bundle_set *bundles;
	struct spiffe_id expected;
	enum verify_role role;
};

static enum err verify_for_real(
	void *arg, const struct span *chain, size_t num_chain, struct svid **out_svid, struct why *why)
{
	const struct real_verifier *verifier = arg;
	struct verify_input input = {
		.chain = chain,
		.num_chain = num_chain,
		.bundles = verifier->bundles,
		.role = verifier->role,
		.now_s = TEST_NOW_S,
		.expected = spiffe_id_is_set(&verifier->expected) ? &verifier->expected : NULL,
	};
	return verify_chain(&input, out_svid, why);
}

static struct bundle_set *bundles_of(const struct test_pair *pair)
{
	struct span root = test_cert_der(pair->root);
	struct trust_domain domain;
	assert_int_equal(trust_domain_parse(SPAN_LITERAL("cluster.local"), &domain, NULL), ERR_NONE);
	struct bundle *bundle = NULL;
	assert_int_equal(bundle_new(&domain, &root, 1, &bundle, NULL), ERR_NONE);
	struct bundle_set *set = bundle_set_new();
	assert_int_equal(bundle_set_add(set, bundle, NULL), ERR_NONE);
	bundle_unref(bundle);
	return set;
}

static struct test_outcome handshake_with_verifier(struct test_pair *pair, const char *expected_server)
{
	_cleanup_(bundle_set_unrefp) struct bundle_set *bundles = bundles_of(pair);
	struct real_verifier by_client = {.bundles = bundles, .role = VERIFY_SERVER};
	struct real_verifier by_server = {.bundles = bundles, .role = VERIFY_CLIENT};
	assert_int_equal(spiffe_id_parse(span_of_str(expected_server), &by_client.expected, NULL), ERR_NONE);
	struct tls_session_options client = {.svid = pair->client_identity.svid, .key = pair->client_identity.key};
	struct tls_session_options server = {.svid = pair->server_identity.svid, .key = pair->server_identity.key};
	client.on_verify = server.on_verify = verify_for_real;
	client.verify_arg = &by_client;
	server.verify_arg = &by_server;
	test_pair_open_as(pair, &client, &server);
	struct test_outcome outcome = test_pair_handshake(pair);
	spiffe_id_done(&by_client.expected);
	return outcome;
}

static void accepts_chains_that_the_verifier_accepts(void **state)
{
	struct test_pair *pair = *state;
	struct test_outcome outcome = handshake_with_verifier(pair, TEST_SERVER_ID);
	assert_int_equal(outcome.client, IO_DONE);
	assert_int_equal(outcome.server, IO_DONE);
	assert_true(spiffe_id_eq(svid_id(tls_session_peer(pair->client)), svid_id(pair->server_identity.svid)));
}

static void D29_refuses_a_server_that_is_another_workload(void **state)
{
	struct test_pair *pair = *state;
	struct test_outcome outcome = handshake_with_verifier(pair, "spiffe://cluster.local/ns/shop/sa/other");
	assert_int_equal(outcome.client, IO_FAILED);
	assert_int_equal(tls_session_why(pair->client)->err, ERR_WRONG_PEER);
	assert_string_equal(alert_name(tls_session_alert(pair->server)), "access_denied");
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, test_pair_setup, test_pair_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(reports_to_the_client_why_the_server_refused_it),
		CASE(reports_to_the_server_why_the_client_refused_it),
		CASE(finds_the_alert_after_a_write_error),
		CASE(finds_the_alert_though_the_server_reset_the_connection),
		CASE(requires_a_certificate),
		CASE(accepts_a_client_without_a_certificate_where_optional),
		CASE(refuses_a_bad_certificate_where_one_is_optional),
		CASE(accepts_chains_that_the_verifier_accepts),
		CASE(D29_refuses_a_server_that_is_another_workload),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
