#include "base/tls/test_raw_peer.h"
#include "certs/web_identity.h"
#include <setjmp.h>
#include <stdarg.h>
/* cmocka requires <setjmp.h> and <stdarg.h> */
#include <cmocka.h>

static struct test_cert_spec spec_of(const char *subject)
{
	struct test_cert_spec spec = test_ca_spec(subject);
	spec.key_usage = TEST_KU_DIGITAL_SIGNATURE;
	return spec;
}

static struct web_identity *web_identity_of(const struct test_cert *cert)
{
	_cleanup_(private_key_unrefp) struct private_key *key = test_cert_key(cert);
	struct span der = test_cert_der(cert);
	struct web_identity *identity = NULL;
	assert_int_equal(web_identity_new(&der, 1, key, &identity, NULL), ERR_NONE);
	return identity;
}

static enum err accept_any(void *arg, const struct span *chain, size_t num_chain, struct svid **out, struct why *why)
{
	(void)out, (void)why;
	assert_int_equal(num_chain, 1);
	*(struct span *)arg = chain[0];
	return ERR_NONE;
}

static void a_server_without_client_certificates_requests_none(void **state)
{
	struct test_pair *pair = *state;
	tls_context_free(pair->server_context);
	pair->server_context = test_context(TLS_SERVER, TLS_CLIENT_AUTH_NONE, "h2");
	struct test_cert_spec spec = spec_of("handfast-webhook");
	_cleanup_(test_cert_freep) struct test_cert *cert = test_cert_new(&spec, NULL);
	_cleanup_(web_identity_unrefp) struct web_identity *identity = web_identity_of(cert);
	struct span seen = {0};
	struct tls_session_options client = {.svid = pair->client_identity.svid,
		.key = pair->client_identity.key,
		.on_verify = accept_any,
		.verify_arg = &seen};
	struct tls_session_options server = {.web_identity = identity};
	test_pair_open_as(pair, &client, &server);
	struct test_outcome outcome = test_pair_handshake(pair);
	assert_int_equal(outcome.client, IO_DONE);
	assert_int_equal(outcome.server, IO_DONE);
	assert_true(span_eq(seen, test_cert_der(cert)));
	assert_null(tls_session_peer(pair->server)); /* the client has a certificate, and was not asked */
	assert_null(tls_session_peer(pair->client)); /* its server has no SPIFFE ID */
	assert_int_equal(pair->server_verdict.calls, 0);
}

static void a_client_presents_a_certificate_without_spiffe_id(void **state)
{
	struct test_pair *pair = *state;
	struct test_cert_spec spec = spec_of("kubernetes-admin");
	_cleanup_(test_cert_freep) struct test_cert *cert = test_cert_new(&spec, NULL);
	_cleanup_(web_identity_unrefp) struct web_identity *identity = web_identity_of(cert);
	struct span seen = {0};
	struct tls_session_options client = {.web_identity = identity};
	struct tls_session_options server = {.svid = pair->server_identity.svid,
		.key = pair->server_identity.key,
		.on_verify = accept_any,
		.verify_arg = &seen};
	test_pair_open_as(pair, &client, &server);
	struct test_outcome outcome = test_pair_handshake(pair);
	assert_int_equal(outcome.client, IO_DONE);
	assert_int_equal(outcome.server, IO_DONE);
	assert_true(span_eq(seen, test_cert_der(cert)));
}

static enum err open_client_to(struct test_pair *pair, const char *server_name, struct why *why)
{
	test_pair_connect(pair);
	struct tls_session_options options = {.context = pair->client_context,
		.scratch = pair->scratch,
		.fd = TAKE_FD(pair->fds[0]),
		.server_name = server_name,
		.on_verify = test_verify,
		.verify_arg = &pair->client_verdict};
	return tls_session_new(&options, &pair->client, why);
}

static void a_client_names_the_server_it_wants(void **state)
{
	struct test_pair *pair = *state;
	assert_int_equal(open_client_to(pair, "kubernetes.default.svc", NULL), ERR_NONE);
	struct test_raw_peer peer;
	test_raw_peer_init(&peer, pair, TLS_SERVER, pair->fds[1]);
	assert_int_equal(test_raw_peer_handshake(&peer, pair->client), IO_DONE);
	assert_string_equal(SSL_get_servername(peer.ssl, TLSEXT_NAMETYPE_host_name), "kubernetes.default.svc");
	test_raw_peer_done(&peer);
}

static void a_client_refuses_a_name_that_is_none(void **state)
{
	char name[300];
	memset(name, 'a', sizeof(name) - 1);
	name[sizeof(name) - 1] = '\0';
	struct why why = {0};
	assert_int_equal(open_client_to(*state, name, &why), ERR_MALFORMED);
	assert_string_not_equal(why.fix, "");
}

static void refuses_a_certificate_that_may_not_sign(void **state)
{
	struct test_pair *pair = *state;
	struct test_cert_spec spec = test_ca_spec("an authority only");
	_cleanup_(test_cert_freep) struct test_cert *cert = test_cert_new(&spec, NULL);
	_cleanup_(web_identity_unrefp) struct web_identity *identity = web_identity_of(cert);
	test_pair_connect(pair);
	struct tls_session_options options = {.context = pair->client_context,
		.scratch = pair->scratch,
		.fd = TAKE_FD(pair->fds[0]),
		.web_identity = identity,
		.on_verify = test_verify,
		.verify_arg = &pair->client_verdict};
	struct why why = {0};
	assert_int_equal(tls_session_new(&options, &pair->client, &why), ERR_KEY_MISMATCH);
	assert_non_null(strstr(why.fix, "digitalSignature"));
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, test_pair_setup, test_pair_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(a_server_without_client_certificates_requests_none),
		CASE(a_client_presents_a_certificate_without_spiffe_id),
		CASE(a_client_names_the_server_it_wants),
		CASE(a_client_refuses_a_name_that_is_none),
		CASE(refuses_a_certificate_that_may_not_sign),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
