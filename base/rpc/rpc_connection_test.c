#include "base/core/mem.h"
#include "base/rpc/rpc_connection.h"
#include "base/rpc/test_rpc_pair.h"
#include "base/tls/test_pair.h"
#include <setjmp.h>
#include <stdarg.h>
#include <sys/socket.h>
#include <unistd.h>
/* cmocka requires the headers above */
#include <cmocka.h>

struct secure { /* gRPC over TLS */
	struct test_rpc rpc;
	struct test_pair *tls;
};

static int set_up(void **state)
{
	struct secure *secure = mem_new(struct secure);
	void *tls = NULL;
	assert_int_equal(test_pair_setup(&tls), 0);
	secure->tls = tls;
	test_rpc_init(
		&secure->rpc, &(struct rpc_server_options){.anonymous_lifetime_ms = 500, .handshake_timeout_ms = 1000});
	*state = secure;
	return 0;
}

static int tear_down(void **state)
{
	struct secure *secure = *state;
	void *tls = secure->tls;
	test_rpc_done(&secure->rpc);
	test_pair_teardown(&tls);
	mem_free(secure);
	return 0;
}

static void connect_over_tls(struct secure *secure)
{
	struct transport *client = transport_new_tls(TAKE_PTR(secure->tls->client));
	struct transport *server = transport_new_tls(TAKE_PTR(secure->tls->server));
	test_rpc_connect_over(&secure->rpc, &(struct rpc_client_options){0}, client, server);
}

static void connect_anonymously(struct secure *secure)
{
	const struct test_identity *identity = &secure->tls->server_identity;
	struct tls_session_options anonymous = {0}, server = {.svid = identity->svid, .key = identity->key};
	tls_context_free(secure->tls->server_context);
	secure->tls->server_context = test_context(TLS_SERVER, TLS_CLIENT_AUTH_OPTIONAL, "h2");
	test_pair_open_as(secure->tls, &anonymous, &server);
	connect_over_tls(secure);
}

static void makes_calls_over_tls(void **state)
{
	struct secure *secure = *state;
	struct test_rpc *test = &secure->rpc;
	test_pair_open(secure->tls);
	connect_over_tls(secure);
	assert_true(test->client_ready);
	assert_non_null(rpc_client_tls(test->client));
	assert_non_null(rpc_peer_tls(test->last_peer));
	assert_non_null(rpc_peer_svid(test->last_peer));
	struct test_rpc_call call;
	test_rpc_unary(test, &call, "/t/Echo", SPAN_LITERAL("sealed"));
	assert_int_equal(call.status, RPC_OK);
	assert_true(span_eq(buf_span(&call.received), SPAN_LITERAL("sealed")));
	buf_done(&call.received);
}

static void four_mebibytes_pass_over_tls(void **state)
{
	struct secure *secure = *state;
	struct test_rpc *test = &secure->rpc;
	static uint8_t bytes[4 * 1024 * 1024];
	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = (uint8_t)(i * 13 + i / 253);
	test_pair_open(secure->tls);
	connect_over_tls(secure);
	struct test_rpc_call call;
	test_rpc_unary(test, &call, "/t/Echo", span_of(bytes, sizeof(bytes)));
	for (int i = 0; i < 50 && !call.is_done; i++)
		test_rpc_run(test);
	assert_int_equal(call.status, RPC_OK);
	assert_true(span_eq(buf_span(&call.received), span_of(bytes, sizeof(bytes))));
	buf_done(&call.received);
}

static void c1_an_anonymous_connection_has_a_short_lifetime(void **state)
{
	struct secure *secure = *state;
	struct test_rpc *test = &secure->rpc;
	connect_anonymously(secure);
	assert_non_null(rpc_peer_tls(test->last_peer));
	assert_null(rpc_peer_svid(test->last_peer));
	struct test_rpc_call call;
	test_rpc_unary(test, &call, "/t/Echo", SPAN_LITERAL("attest"));
	assert_int_equal(call.status, RPC_OK);
	buf_done(&call.received);
	test_rpc_wait(test, 400);
	assert_int_equal(rpc_server_num_peers(test->server), 1);
	test_rpc_wait(test, 300);
	assert_int_equal(rpc_server_num_peers(test->server), 0);
	assert_true(test->client_closed);
}

static void an_anonymous_connection_that_is_identified_stays(void **state)
{
	struct secure *secure = *state;
	connect_anonymously(secure);
	rpc_peer_identified(secure->rpc.last_peer);
	test_rpc_wait(&secure->rpc, 30000);
	assert_int_equal(rpc_server_num_peers(secure->rpc.server), 1);
	assert_false(secure->rpc.client_closed);
}

static void a_connection_with_a_certificate_stays(void **state)
{
	struct secure *secure = *state;
	test_pair_open(secure->tls);
	connect_over_tls(secure);
	test_rpc_wait(&secure->rpc, 30000);
	assert_int_equal(rpc_server_num_peers(secure->rpc.server), 1);
	assert_false(secure->rpc.client_closed);
}

static void reports_to_a_client_why_it_was_refused(void **state)
{
	struct secure *secure = *state;
	struct test_rpc *test = &secure->rpc;
	secure->tls->client_verdict.err = ERR_UNTRUSTED;
	test_pair_open(secure->tls);
	connect_over_tls(secure);
	assert_true(test->client_closed);
	assert_false(test->client_ready);
	assert_int_equal(test->client_detail.err, ERR_UNTRUSTED);
	assert_int_equal(test->num_connects, 0);
	assert_int_equal(rpc_server_num_peers(test->server), 0);
}

static void reports_to_a_client_why_the_server_refused_it(void **state)
{
	struct secure *secure = *state;
	struct test_rpc *test = &secure->rpc;
	secure->tls->server_verdict.err = ERR_WRONG_PEER;
	test_pair_open(secure->tls);
	connect_over_tls(secure);
	assert_true(test->client_closed);
	assert_false(test->client_ready);
	char text[512];
	assert_non_null(strstr(why_format(&test->client_detail, text, sizeof(text)), "access_denied"));
	assert_int_equal(test->num_connects, 0);
}

static void c10_a_handshake_that_is_never_finished_ends(void **state)
{
	struct secure *secure = *state;
	struct test_rpc *test = &secure->rpc;
	test_pair_open(secure->tls);
	rpc_server_adopt(test->server, transport_new_tls(TAKE_PTR(secure->tls->server)), NULL);
	test_rpc_wait(test, 900);
	assert_int_equal(rpc_server_num_peers(test->server), 1);
	test_rpc_wait(test, 300);
	assert_int_equal(rpc_server_num_peers(test->server), 0);
	assert_int_equal(test->num_connects, 0);
	assert_int_equal(test->num_disconnects, 0);
}

/* A client of a server that has it wait: the server's end of the socket. */
static int connect_and_wait(struct secure *secure, uint32_t patience_ms)
{
	test_pair_connect(secure->tls);
	struct tls_session *session = test_session(secure->tls, TLS_CLIENT, TAKE_FD(secure->tls->fds[0]));
	test_rpc_connect_over(&secure->rpc,
		&(struct rpc_client_options){.connect_timeout_ms = 1000, .patience_ms = patience_ms},
		transport_new_tls(session), NULL);
	return TAKE_FD(secure->tls->fds[1]);
}

static void wait_and_be_notified(struct secure *secure, int fd)
{
	test_rpc_wait(&secure->rpc, 900);
	(void)!send(fd, "\x14\x03\x03\x00\x01\x01", 6, MSG_NOSIGNAL);
	test_rpc_run(&secure->rpc);
}

static void C12_a_client_waits_while_its_server_notifies_it(void **state)
{
	struct secure *secure = *state;
	int fd = connect_and_wait(secure, 3000);
	for (int i = 0; i < 20; i++) {
		wait_and_be_notified(secure, fd);
		assert_false(secure->rpc.client_closed);
	}
	rpc_server_adopt(secure->rpc.server, transport_new_tls(test_session(secure->tls, TLS_SERVER, fd)), NULL);
	test_rpc_run(&secure->rpc);
	assert_true(secure->rpc.client_ready);
}

static void a_server_that_goes_silent_meanwhile_is_left(void **state)
{
	struct secure *secure = *state;
	int fd = connect_and_wait(secure, 3000);
	wait_and_be_notified(secure, fd);
	test_rpc_wait(&secure->rpc, 2800);
	assert_false(secure->rpc.client_closed);
	test_rpc_wait(&secure->rpc, 400);
	assert_true(secure->rpc.client_closed);
	assert_int_equal(secure->rpc.client_detail.err, ERR_TIMEOUT);
	close(fd);
}

static void c10_no_server_makes_a_client_wait_without_end(void **state)
{
	struct secure *secure = *state;
	int fd = connect_and_wait(secure, 3000);
	for (int i = 0; i < 70 && !secure->rpc.client_closed; i++)
		wait_and_be_notified(secure, fd);
	assert_true(secure->rpc.client_closed);
	close(fd);
}

static void a_client_without_patience_waits_no_longer_for_it(void **state)
{
	struct secure *secure = *state;
	int fd = connect_and_wait(secure, 0);
	wait_and_be_notified(secure, fd);
	assert_false(secure->rpc.client_closed);
	test_rpc_wait(&secure->rpc, 300);
	assert_true(secure->rpc.client_closed);
	close(fd);
}

static void c1_refuses_plaintext_at_a_tls_port(void **state)
{
	struct secure *secure = *state;
	struct test_rpc *test = &secure->rpc;
	test_pair_connect(secure->tls);
	int fd = TAKE_FD(secure->tls->fds[0]);
	struct tls_session *session = test_session(secure->tls, TLS_SERVER, TAKE_FD(secure->tls->fds[1]));
	rpc_server_adopt(test->server, transport_new_tls(session), NULL);
	assert_int_equal(write(fd, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0", 33), 33);
	test_rpc_run(test);
	assert_int_equal(rpc_server_num_peers(test->server), 0);
	assert_int_equal(test->num_connects, 0);
	close(fd);
}

static void closing_a_peer_ends_its_calls_and_then_itself(void **state)
{
	struct secure *secure = *state;
	struct test_rpc *test = &secure->rpc;
	test_pair_open(secure->tls);
	connect_over_tls(secure);
	struct test_rpc_call call;
	test_rpc_call(test, &call, "/t/Echo", 0);
	test_rpc_run(test);
	rpc_peer_set_arg(test->last_peer, test);
	assert_ptr_equal(rpc_peer_arg(test->last_peer), test);
	assert_int_equal(rpc_peer_addr(test->last_peer)->port, 0);
	rpc_peer_close(test->last_peer);
	assert_int_equal(test->num_disconnects, 0); /* not within the call */
	test_rpc_run(test);
	assert_int_equal(test->num_dones, 1);
	assert_int_equal(test->num_disconnects, 1);
	assert_int_equal(call.status, RPC_UNAVAILABLE);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(makes_calls_over_tls),
		TEST(four_mebibytes_pass_over_tls),
		TEST(c1_an_anonymous_connection_has_a_short_lifetime),
		TEST(an_anonymous_connection_that_is_identified_stays),
		TEST(a_connection_with_a_certificate_stays),
		TEST(reports_to_a_client_why_it_was_refused),
		TEST(reports_to_a_client_why_the_server_refused_it),
		TEST(c10_a_handshake_that_is_never_finished_ends),
		TEST(C12_a_client_waits_while_its_server_notifies_it),
		TEST(a_server_that_goes_silent_meanwhile_is_left),
		TEST(c10_no_server_makes_a_client_wait_without_end),
		TEST(a_client_without_patience_waits_no_longer_for_it),
		TEST(c1_refuses_plaintext_at_a_tls_port),
		TEST(closing_a_peer_ends_its_calls_and_then_itself),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
