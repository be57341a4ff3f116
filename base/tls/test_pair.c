#include "base/tls/test_pair.h"
#include "base/core/check.h"
#include "base/core/mem.h"
#include "base/net/fd.h"
#include <sys/socket.h>

enum err test_verify(void *arg, const struct span *chain, size_t num_chain, struct svid **out_svid, struct why *why)
{
	struct test_verdict *verdict = arg;
	verdict->calls++;
	if (verdict->err != ERR_NONE)
		return why_set(
			why, verdict->err, "a peer that the test accepts", "change the test", "%s", verdict->got);
	return svid_parse(chain, num_chain, out_svid, why);
}

struct tls_context *test_context(enum tls_role role, enum tls_client_auth auth, const char *alpn)
{
	struct tls_context_options options = {.role = role, .client_auth = auth, .alpn = alpn};
	return tls_context_new(&options);
}

int test_pair_setup(void **state)
{
	struct test_pair *pair = mem_new(struct test_pair);
	struct test_cert_spec root = test_ca_spec("test root");
	pair->root = test_cert_new(&root, NULL);
	test_identity_init(&pair->client_identity, pair->root, TEST_CLIENT_ID);
	test_identity_init(&pair->server_identity, pair->root, TEST_SERVER_ID);
	pair->scratch = tls_scratch_new();
	pair->client_context = test_context(TLS_CLIENT, TLS_CLIENT_AUTH_REQUIRED, "h2");
	pair->server_context = test_context(TLS_SERVER, TLS_CLIENT_AUTH_REQUIRED, "h2");
	pair->client_verdict.got = pair->server_verdict.got = "this one";
	pair->fds[0] = pair->fds[1] = -1;
	*state = pair;
	return 0;
}

int test_pair_teardown(void **state)
{
	struct test_pair *pair = *state;
	tls_session_free(pair->client);
	tls_session_free(pair->server);
	fd_close(pair->fds[0]);
	fd_close(pair->fds[1]);
	tls_context_free(pair->client_context);
	tls_context_free(pair->server_context);
	tls_scratch_free(pair->scratch);
	test_identity_done(&pair->client_identity);
	test_identity_done(&pair->server_identity);
	test_cert_free(pair->root);
	mem_free(pair);
	return 0;
}

void test_pair_connect(struct test_pair *pair)
{
	CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair->fds) == 0);
}

struct tls_session *test_session_of(struct test_pair *pair, enum tls_role role, struct tls_session_options options)
{
	bool is_client = role == TLS_CLIENT;
	options.context = is_client ? pair->client_context : pair->server_context;
	options.scratch = pair->scratch;
	if (options.on_verify == NULL) {
		options.on_verify = test_verify;
		options.verify_arg = is_client ? &pair->client_verdict : &pair->server_verdict;
	}
	struct tls_session *session = NULL;
	CHECK(tls_session_new(&options, &session, NULL) == ERR_NONE);
	return session;
}

static struct tls_session_options as(const struct test_identity *identity, int fd)
{
	return (struct tls_session_options){.svid = identity->svid, .key = identity->key, .fd = fd};
}

struct tls_session *test_session(struct test_pair *pair, enum tls_role role, int fd)
{
	return test_session_of(
		pair, role, as(role == TLS_CLIENT ? &pair->client_identity : &pair->server_identity, fd));
}

void test_pair_open_as(
	struct test_pair *pair, const struct tls_session_options *client, const struct tls_session_options *server)
{
	test_pair_connect(pair);
	struct tls_session_options options = *client;
	options.fd = TAKE_FD(pair->fds[0]);
	pair->client = test_session_of(pair, TLS_CLIENT, options);
	options = *server;
	options.fd = TAKE_FD(pair->fds[1]);
	pair->server = test_session_of(pair, TLS_SERVER, options);
}

void test_pair_open(struct test_pair *pair)
{
	struct tls_session_options client = as(&pair->client_identity, -1), server = as(&pair->server_identity, -1);
	test_pair_open_as(pair, &client, &server);
}

struct test_outcome test_pair_handshake(struct test_pair *pair)
{
	struct test_outcome outcome = {0};
	for (int i = 0; i < 10; i++) {
		outcome.client = tls_session_handshake(pair->client);
		outcome.server = tls_session_handshake(pair->server);
	}
	return outcome;
}

void test_pair_establish(struct test_pair *pair)
{
	test_pair_open(pair);
	struct test_outcome outcome = test_pair_handshake(pair);
	CHECK(outcome.client == IO_DONE && outcome.server == IO_DONE);
}

enum io_result test_read_result(struct tls_session *session)
{
	uint8_t bytes[64];
	size_t len;
	enum io_result result = tls_session_read(session, bytes, sizeof bytes, &len);
	return result == IO_WANT_READ ? tls_session_read(session, bytes, sizeof bytes, &len) : result;
}

void test_send(struct tls_session *from, const char *text)
{
	size_t len = 0;
	CHECK(tls_session_write(from, span_of_str(text), &len) == IO_DONE && len == strlen(text));
	CHECK(tls_session_flush(from) == IO_DONE);
}

void test_expect(struct tls_session *at, const char *text)
{
	uint8_t bytes[256];
	size_t len = 0;
	CHECK(tls_session_read(at, bytes, sizeof bytes, &len) == IO_DONE);
	CHECK(span_eq(span_of(bytes, len), span_of_str(text)));
}
