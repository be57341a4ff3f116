#include "base/net/fd.h"
#include "base/tls/alert.h"
#include "base/tls/test_raw_peer.h"
#include "base/tls/tls_context.h"
#include <setjmp.h>
#include <stdarg.h>
#include <sys/socket.h>
#include <unistd.h>
/* cmocka requires <setjmp.h> and <stdarg.h> */
#include <cmocka.h>

static void meet_as_client(struct test_pair *pair, struct test_raw_peer *peer)
{
	test_pair_connect(pair);
	pair->server = test_session(pair, TLS_SERVER, TAKE_FD(pair->fds[1]));
	test_raw_peer_init(peer, pair, TLS_CLIENT, pair->fds[0]);
}

static void d23_refuses_a_hello_of_older_versions(void **state)
{
	static const uint16_t versions[] = {TLS1_VERSION, TLS1_1_VERSION, TLS1_2_VERSION};
	for (size_t i = 0; i < sizeof versions / sizeof versions[0]; i++) {
		struct test_pair *pair = *state;
		struct test_raw_peer peer;
		meet_as_client(pair, &peer);
		assert_true(SSL_set_min_proto_version(peer.ssl, TLS1_VERSION));
		assert_true(SSL_set_max_proto_version(peer.ssl, versions[i]));
		if (i == 1)
			SSL_set_alpn_protos(
				peer.ssl, NULL, 0); /* the version is reported first, with and without ALPN */
		assert_int_equal(test_raw_peer_handshake(&peer, pair->server), IO_FAILED);
		assert_int_equal(tls_session_why(pair->server)->err, ERR_UNSUPPORTED);
		assert_int_equal(tls_session_alert(pair->server), TLS_ALERT_protocol_version);
		assert_int_equal(test_raw_peer_alert(&peer), TLS_ALERT_protocol_version);
		test_raw_peer_done(&peer);
		tls_session_free(TAKE_PTR(pair->server));
		close(pair->fds[0]);
	}
	((struct test_pair *)*state)->fds[0] = -1;
}

static void d23_refuses_a_server_of_older_versions(void **state)
{
	struct test_pair *pair = *state;
	test_pair_connect(pair);
	pair->client = test_session(pair, TLS_CLIENT, TAKE_FD(pair->fds[0]));
	struct test_raw_peer peer;
	test_raw_peer_init(&peer, pair, TLS_SERVER, pair->fds[1]);
	assert_true(SSL_set_max_proto_version(peer.ssl, TLS1_2_VERSION));
	assert_int_equal(test_raw_peer_handshake(&peer, pair->client), IO_FAILED);
	assert_true(tls_session_failed_by_peer(pair->client));
	assert_int_equal(tls_session_alert(pair->client), TLS_ALERT_protocol_version);
	test_raw_peer_done(&peer);
}

static enum io_result shake_with_group(struct test_pair *pair, enum tls_role raw_role, const char *group)
{
	struct test_raw_peer peer;
	test_pair_connect(pair);
	enum tls_role role = raw_role == TLS_CLIENT ? TLS_SERVER : TLS_CLIENT;
	struct tls_session *session = test_session(pair, role, pair->fds[role == TLS_CLIENT ? 0 : 1]);
	int raw_fd = pair->fds[role == TLS_CLIENT ? 1 : 0];
	pair->fds[0] = pair->fds[1] = -1;
	test_raw_peer_init(&peer, pair, raw_role, raw_fd);
	assert_true(SSL_set1_groups_list(peer.ssl, group));
	enum io_result result = test_raw_peer_handshake(&peer, session);
	if (result == IO_DONE)
		assert_string_equal(key_exchange_name(tls_session_key_exchange(session)), group);
	else if (raw_role == TLS_CLIENT)
		assert_int_equal(test_raw_peer_alert(&peer), TLS_ALERT_handshake_failure);
	else
		assert_int_equal(tls_session_alert(session), TLS_ALERT_handshake_failure);
	test_raw_peer_done(&peer);
	tls_session_free(session);
	close(raw_fd);
	return result;
}

static void finding_t2_accepts_peers_with_a_single_group(void **state)
{
	static const char *const groups[] = {"X25519MLKEM768", "X25519", "P-256", "P-384"};
	for (size_t i = 0; i < sizeof groups / sizeof groups[0]; i++) {
		assert_int_equal(shake_with_group(*state, TLS_CLIENT, groups[i]), IO_DONE);
		assert_int_equal(shake_with_group(*state, TLS_SERVER, groups[i]), IO_DONE);
	}
}

static void refuses_an_unsupported_group(void **state)
{
	assert_int_equal(shake_with_group(*state, TLS_CLIENT, "P-521"), IO_FAILED);
}

static void set_context(struct test_pair *pair, enum tls_role role, enum key_exchange_profile profile)
{
	const struct tls_context_options options = {
		.role = role, .alpn = "h2", .key_exchanges = key_exchange_profile_list(profile)};
	struct tls_context **context = role == TLS_CLIENT ? &pair->client_context : &pair->server_context;
	tls_context_free(*context);
	*context = tls_context_new(&options);
}

static void finding_t3_a_profile_accepts_its_groups_and_no_others(void **state)
{
	struct test_pair *pair = *state;
	for (enum tls_role role = TLS_CLIENT; role <= TLS_SERVER; role++) {
		enum tls_role raw = role == TLS_CLIENT ? TLS_SERVER : TLS_CLIENT;
		set_context(pair, role, KEY_EXCHANGE_PQ_ONLY);
		assert_int_equal(shake_with_group(pair, raw, "X25519MLKEM768"), IO_DONE);
		assert_int_equal(shake_with_group(pair, raw, "X25519"), IO_FAILED);
		assert_int_equal(shake_with_group(pair, raw, "P-256"), IO_FAILED);
		set_context(pair, role, KEY_EXCHANGE_FIPS_GROUPS);
		assert_int_equal(shake_with_group(pair, raw, "X25519MLKEM768"), IO_DONE);
		assert_int_equal(shake_with_group(pair, raw, "P-384"), IO_DONE);
		assert_int_equal(shake_with_group(pair, raw, "X25519"), IO_FAILED);
	}
}

/* Its key share is for X25519: the server asks for the other one. */
static void finding_t3_a_client_that_prefers_another_group_gets_the_hybrid(void **state)
{
	struct test_pair *pair = *state;
	struct test_raw_peer peer;
	meet_as_client(pair, &peer);
	static const uint16_t groups[] = {SSL_GROUP_X25519, SSL_GROUP_X25519_MLKEM768}, shares[] = {SSL_GROUP_X25519};
	assert_true(SSL_set1_group_ids(peer.ssl, groups, 2));
	assert_true(SSL_set1_client_key_shares(peer.ssl, shares, 1));
	assert_int_equal(test_raw_peer_handshake(&peer, pair->server), IO_DONE);
	assert_int_equal(tls_session_key_exchange(pair->server), KEY_EXCHANGE_X25519MLKEM768);
	test_raw_peer_done(&peer);
}

/* Whether a server that knows X25519 alone had to ask for a key share of it. */
static bool is_asked_again(struct test_pair *pair, bool one_key_share)
{
	struct test_raw_peer peer;
	test_pair_connect(pair);
	_cleanup_fd_ int raw_fd = TAKE_FD(pair->fds[1]);
	_cleanup_(tls_session_freep) struct tls_session *client = test_session_of(pair, TLS_CLIENT,
		(struct tls_session_options){.svid = pair->client_identity.svid,
			.key = pair->client_identity.key,
			.fd = TAKE_FD(pair->fds[0]),
			.one_key_share = one_key_share});
	test_raw_peer_init(&peer, pair, TLS_SERVER, raw_fd);
	assert_true(SSL_set1_groups_list(peer.ssl, "X25519"));
	assert_int_equal(test_raw_peer_handshake(&peer, client), IO_DONE);
	bool was_asked = SSL_used_hello_retry_request(peer.ssl);
	test_raw_peer_done(&peer);
	return was_asked;
}

static void a_client_can_send_one_key_share_alone(void **state)
{
	assert_false(is_asked_again(*state, false));
	assert_true(is_asked_again(*state, true));
}

/* As the network may deliver a hello that is longer than a segment. */
static void finding_t3_a_hello_in_single_bytes_is_read(void **state)
{
	struct test_pair *pair = *state;
	struct test_raw_peer peer;
	uint8_t hello[4096];
	test_pair_connect(pair);
	pair->server = test_session(pair, TLS_SERVER, TAKE_FD(pair->fds[1]));
	int ends[2];
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends), 0);
	test_raw_peer_init(&peer, pair, TLS_CLIENT, ends[0]);
	assert_int_equal(SSL_do_handshake(peer.ssl), -1);
	ssize_t len = read(ends[1], hello, sizeof hello);
	assert_true(len > 1216 && len < 2048); /* with the hybrid share, and far from the limit of 16 KiB */
	for (ssize_t i = 0; i < len; i++) {
		assert_int_equal(tls_session_handshake(pair->server), IO_WANT_READ);
		assert_int_equal(write(pair->fds[0], hello + i, 1), 1);
	}
	assert_int_equal(SSL_set_fd(peer.ssl, pair->fds[0]), 1);
	assert_int_equal(test_raw_peer_handshake(&peer, pair->server), IO_DONE);
	assert_int_equal(tls_session_key_exchange(pair->server), KEY_EXCHANGE_X25519MLKEM768);
	test_raw_peer_done(&peer);
	close(ends[0]);
	close(ends[1]);
}

static void a_refused_group_is_explained(void **state)
{
	struct test_pair *pair = *state;
	struct test_raw_peer peer;
	set_context(pair, TLS_SERVER, KEY_EXCHANGE_PQ_ONLY);
	meet_as_client(pair, &peer);
	assert_true(SSL_set1_groups_list(peer.ssl, "P-256"));
	assert_int_equal(test_raw_peer_handshake(&peer, pair->server), IO_FAILED);
	assert_int_equal(tls_session_why(pair->server)->err, ERR_UNSUPPORTED);
	assert_non_null(strstr(tls_session_why(pair->server)->got, "none of this side's groups"));
	assert_non_null(strstr(tls_session_why(pair->server)->fix, "tls.profile"));
	test_raw_peer_done(&peer);
}

/* SNI has no effect: for any name the verifier is called once, with the same certificate. */
static void d30_a_server_name_changes_nothing(void **state)
{
	static char longest[255];
	memset(longest, 'a', sizeof longest - 1);
	const char *const names[] = {"server.shop", "another.example", "192.0.2.1", "a\nb\x1b[31m", longest};
	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
		struct test_pair *pair = *state;
		struct test_raw_peer peer;
		unsigned calls = pair->server_verdict.calls;
		meet_as_client(pair, &peer);
		assert_true(SSL_set_tlsext_host_name(peer.ssl, names[i]));
		assert_int_equal(test_raw_peer_handshake(&peer, pair->server), IO_DONE);
		assert_int_equal(pair->server_verdict.calls, calls + 1);
		assert_true(
			span_eq(spiffe_id_text(svid_id(tls_session_peer(pair->server))), SPAN_LITERAL(TEST_CLIENT_ID)));
		test_raw_peer_done(&peer);
		tls_session_free(TAKE_PTR(pair->server));
		close(TAKE_FD(pair->fds[0]));
	}
}

static void d27_issues_no_ticket(void **state)
{
	struct test_pair *pair = *state;
	struct test_raw_peer peer;
	meet_as_client(pair, &peer);
	assert_int_equal(test_raw_peer_handshake(&peer, pair->server), IO_DONE);
	test_send(pair->server, "hello");
	char bytes[16];
	assert_int_equal(SSL_read(peer.ssl, bytes, sizeof bytes), 5);
	assert_null(peer.ticket);
	test_raw_peer_done(&peer);
}

/* A raw server with tickets, to obtain a valid one. */
static SSL_SESSION *ticket_from_elsewhere(struct test_pair *pair)
{
	int fds[2] = {-1, -1};
	test_pair_connect(pair);
	memcpy(fds, pair->fds, sizeof fds);
	pair->fds[0] = pair->fds[1] = -1;
	struct test_raw_peer client, server;
	test_raw_peer_init(&client, pair, TLS_CLIENT, fds[0]);
	test_raw_peer_init(&server, pair, TLS_SERVER, fds[1]);
	for (int i = 0; i < 5; i++) {
		(void)SSL_do_handshake(client.ssl);
		(void)SSL_do_handshake(server.ssl);
	}
	assert_int_equal(SSL_write(server.ssl, "x", 1), 1);
	char byte;
	assert_int_equal(SSL_read(client.ssl, &byte, 1), 1);
	assert_non_null(client.ticket);
	SSL_SESSION *ticket = TAKE_PTR(client.ticket);
	test_raw_peer_done(&client);
	test_raw_peer_done(&server);
	close(fds[0]);
	close(fds[1]);
	return ticket;
}

static void d27_resumes_no_session(void **state)
{
	struct test_pair *pair = *state;
	SSL_SESSION *ticket = ticket_from_elsewhere(pair);
	struct test_raw_peer peer;
	meet_as_client(pair, &peer);
	SSL_set_session(peer.ssl, ticket);
	SSL_set_early_data_enabled(peer.ssl, 1);
	assert_int_equal(test_raw_peer_handshake(&peer, pair->server), IO_DONE);
	assert_false(SSL_session_reused(peer.ssl));
	assert_int_equal(pair->server_verdict.calls, 1); /* verified again */
	test_raw_peer_done(&peer);
	SSL_SESSION_free(ticket);
}

static void d28_offers_no_session_for_resumption(void **state)
{
	struct test_pair *pair = *state;
	for (int i = 0; i < 2; i++) {
		test_pair_connect(pair);
		pair->client = test_session(pair, TLS_CLIENT, TAKE_FD(pair->fds[0]));
		struct test_raw_peer server;
		test_raw_peer_init(&server, pair, TLS_SERVER, pair->fds[1]);
		assert_int_equal(test_raw_peer_handshake(&server, pair->client), IO_DONE);
		assert_int_equal(SSL_write(server.ssl, "x", 1), 1);
		test_expect(pair->client, "x"); /* earlier tickets are read and dropped */
		assert_false(SSL_session_reused(server.ssl));
		assert_int_equal(pair->client_verdict.calls, i + 1);
		test_raw_peer_done(&server);
		tls_session_free(TAKE_PTR(pair->client));
		close(TAKE_FD(pair->fds[1]));
	}
}

static void d19_refuses_a_certificate_message_that_is_too_long(void **state)
{
	struct test_pair *pair = *state;
	struct test_raw_peer peer;
	meet_as_client(pair, &peer);
	CRYPTO_BUFFER *chain[64];
	for (size_t i = 0; i < 64; i++)
		chain[i] = svid_get0_buffer(pair->client_identity.svid, 0);
	assert_true(SSL_set_chain_and_key(peer.ssl, chain, 64, private_key_get0_evp(pair->client_identity.key), NULL));
	assert_int_equal(test_raw_peer_handshake(&peer, pair->server), IO_FAILED);
	assert_int_equal(pair->server_verdict.calls, 0);
	assert_int_not_equal(tls_session_alert(pair->server), -1);
	test_raw_peer_done(&peer);
}

static void reports_its_library(_unused_ void **state)
{
	assert_string_equal(tls_library_version(), "API 44");
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, test_pair_setup, test_pair_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(d23_refuses_a_hello_of_older_versions),
		CASE(d23_refuses_a_server_of_older_versions),
		CASE(finding_t2_accepts_peers_with_a_single_group),
		CASE(refuses_an_unsupported_group),
		CASE(finding_t3_a_profile_accepts_its_groups_and_no_others),
		CASE(finding_t3_a_client_that_prefers_another_group_gets_the_hybrid),
		CASE(a_client_can_send_one_key_share_alone),
		CASE(finding_t3_a_hello_in_single_bytes_is_read),
		CASE(a_refused_group_is_explained),
		CASE(d30_a_server_name_changes_nothing),
		CASE(d27_issues_no_ticket),
		CASE(d27_resumes_no_session),
		CASE(d28_offers_no_session_for_resumption),
		CASE(d19_refuses_a_certificate_message_that_is_too_long),
		cmocka_unit_test(reports_its_library),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
