#include "base/kube/test_server.h"
#include "base/core/check.h"
#include "base/core/mem.h"
#include "base/net/fd.h"
#include "base/net/listener.h"
#include "base/rpc/h2_link.h"
#include "base/tls/tls_session.h"
#include "certs/pem.h"
#include "certs/test_ca.h"
#include "certs/web_identity.h"
#include <stdio.h>

enum { BODY_MAX = 16 * 1024 * 1024, STEP_MS = 10, SETTLE_ROUNDS = 30 };

struct test_peer {
	struct test_peer *next;
	struct test_server *server;
	struct h2_link *link; /* NULL: its end has come */
	int mute_fd;          /* -1: none */
};

struct test_server_own {
	struct listener *listener; /* NULL: not listening */
	struct tls_context *context;
	struct tls_scratch *scratch;
	struct web_identity *identity;
};

/* --- HTTP/2's events --- */

static void copy_text(struct span text, char *out, size_t cap)
{
	if (text.ptr != NULL)
		snprintf(out, cap, "%.*s", (int)text.len, (const char *)text.ptr);
}

static void note_headers(struct test_request *request, const struct h2_header *headers, size_t num_headers)
{
	const struct {
		const char *name;
		char *out;
		size_t cap;
	} kept[] = {{":method", request->method, sizeof(request->method)},
		{":path", request->path, sizeof(request->path)},
		{"authorization", request->authorization, sizeof(request->authorization)},
		{"content-type", request->content_type, sizeof(request->content_type)},
		{"accept", request->accept, sizeof(request->accept)}};
	for (size_t i = 0; i < sizeof(kept) / sizeof(kept[0]); i++)
		copy_text(h2_headers_find(headers, num_headers, kept[i].name), kept[i].out, kept[i].cap);
}

static void on_headers(void *arg, int32_t stream_id, void *stream, const struct h2_header *headers, size_t num_headers,
	bool end_stream)
{
	struct test_peer *peer = arg;
	struct test_server *server = peer->server;
	CHECK(stream == NULL && server->num_requests < TEST_REQUESTS_MAX);
	struct test_request *request = &server->requests[server->num_requests++];
	*request = (struct test_request){.peer = peer};
	test_h2_stream_init(&request->stream, peer->link, BODY_MAX);
	request->stream.id = stream_id;
	request->stream.is_held = true;
	request->stream.is_whole = end_stream;
	note_headers(request, headers, num_headers);
	h2_stream_attach(h2_link_session(peer->link), stream_id, &request->stream);
}

static void on_handshake(void *arg)
{
	struct test_peer *peer = arg;
	if (peer->server->goes_away)
		h2_session_goaway(h2_link_session(peer->link), 0);
}

static void on_open(void *arg)
{
	(void)arg;
}

static void peer_end(struct test_peer *peer)
{
	struct test_server *server = peer->server;
	for (size_t i = 0; i < server->num_requests; i++)
		if (server->requests[i].peer == peer)
			server->requests[i].stream.is_closed = true;
	h2_link_free(TAKE_PTR(peer->link));
	fd_close(TAKE_FD(peer->mute_fd));
}

static void on_dead(void *arg, const struct why *why)
{
	(void)why;
	peer_end(arg);
}

static const struct h2_link_events events = {
	.on_handshake = on_handshake,
	.on_open = on_open,
	.on_dead = on_dead,
	.on_headers = on_headers,
	.on_data = test_h2_stream_on_data,
	.on_end = test_h2_stream_on_end,
	.on_close = test_h2_stream_on_close,
	.pull = test_h2_stream_pull,
};

/* --- connections --- */

static void on_accept(void *arg, int fd, const struct addr *addr)
{
	struct test_server *server = arg;
	struct test_peer *peer = mem_new(struct test_peer);
	struct tls_session *session = NULL;
	(void)addr;
	peer->server = server;
	peer->next = server->peers;
	peer->mute_fd = -1;
	server->peers = peer;
	server->num_accepted++;
	if (server->is_mute) {
		peer->mute_fd = fd;
		return;
	}
	socket_set_nodelay(fd); /* else it waits 40 ms of real time for the kernel's acknowledgment */
	const struct tls_session_options options = {.context = server->own->context,
		.scratch = server->own->scratch,
		.fd = fd,
		.web_identity = server->own->identity};
	CHECK(tls_session_new(&options, &session, NULL) == ERR_NONE);
	if (server->is_raw) {
		transport_free(server->raw);
		server->raw = transport_new_tls(session);
		return;
	}
	peer->link = h2_link_new(&(struct h2_link_options){.loop = server->loop,
		.transport = transport_new_tls(session),
		.role = H2_SERVER,
		.open_timeout_ms = 1000000,
		.keepalive_ms = 1000000,
		.events = &events,
		.arg = peer});
}

void test_server_listen(struct test_server *server)
{
	int fd;
	struct addr at = {.port = server->config.port}, bound;
	CHECK(ip_addr_parse(SPAN_LITERAL("127.0.0.1"), &at.ip) == ERR_NONE);
	CHECK(socket_listen(&at, &(struct socket_listen_options){0}, &fd, NULL) == ERR_NONE);
	CHECK(socket_local_addr(fd, &bound) == ERR_NONE);
	server->config.port = bound.port;
	server->own->listener = listener_new(server->loop, fd, on_accept, NULL, server);
}

void test_server_stop_listening(struct test_server *server)
{
	listener_free(TAKE_PTR(server->own->listener));
}

/* --- creation and release --- */

static void make_identity(struct test_server *server)
{
	struct test_cert_spec root = test_ca_spec("kubernetes"), leaf = test_leaf_spec("");
	leaf.subject = "kube-apiserver";
	leaf.names[0] = (struct test_name){TEST_NAME_IP, SPAN_LITERAL("\x7f\x00\x00\x01")};
	leaf.purposes = TEST_EKU_SERVER;
	root.not_before_s = leaf.not_before_s = 0; /* for a client whose clock is the host's, too */
	root.not_after_s = leaf.not_after_s = 2 * TEST_NOW_S;
	_cleanup_(test_cert_freep) struct test_cert *authority = test_cert_new(&root, NULL);
	_cleanup_(test_cert_freep) struct test_cert *cert = test_cert_new(&leaf, authority);
	_cleanup_(private_key_unrefp) struct private_key *key = test_cert_key(cert);
	struct span der = test_cert_der(cert);
	CHECK(web_identity_new(&der, 1, key, &server->own->identity, NULL) == ERR_NONE);
	buf_init(&server->config.ca_pem, 8192);
	CHECK(pem_encode("CERTIFICATE", test_cert_der(authority), &server->config.ca_pem) == ERR_NONE);
}

void test_server_init(struct test_server *server)
{
	*server = (struct test_server){.own = mem_new(struct test_server_own)};
	clock_fake_init(&server->clock, TEST_NOW_S * 1000);
	server->loop = loop_new(&server->clock.clock);
	server->own->context = tls_context_new(&(struct tls_context_options){
		.role = TLS_SERVER, .client_auth = TLS_CLIENT_AUTH_NONE, .alpn = "h2", .alpn_else = "http/1.1"});
	server->own->scratch = tls_scratch_new();
	server->config.host = mem_strdup("127.0.0.1");
	make_identity(server);
	test_server_listen(server);
}

void test_server_done(struct test_server *server)
{
	struct test_server_own *own = server->own;
	for (struct test_peer *peer; (peer = server->peers) != NULL;) {
		server->peers = peer->next;
		peer_end(peer);
		mem_free(peer);
	}
	transport_free(server->raw);
	for (size_t i = 0; i < server->num_requests; i++)
		test_h2_stream_done(&server->requests[i].stream);
	test_server_stop_listening(server);
	web_identity_unref(own->identity);
	tls_context_free(own->context);
	tls_scratch_free(own->scratch);
	kube_config_done(&server->config);
	loop_free(server->loop);
	mem_free(own);
}

/* --- what tests do --- */

void test_server_settle(struct test_server *server)
{
	for (int i = 0; i < SETTLE_ROUNDS; i++)
		loop_run_once(server->loop, false);
}

void test_server_pass(struct test_server *server, uint64_t ms)
{
	test_server_settle(server); /* what is on the way comes before */
	for (uint64_t passed = 0; passed < ms; passed += STEP_MS) {
		clock_fake_advance(&server->clock, STEP_MS);
		for (int i = 0; i < 3; i++)
			loop_run_once(server->loop, false);
	}
}

struct test_request *test_server_await(struct test_server *server, size_t num)
{
	CHECK(num <= TEST_REQUESTS_MAX);
	CHECK(test_server_run(server, server->num_requests >= num && server->requests[num - 1].stream.is_whole));
	return &server->requests[num - 1];
}

static struct h2_session *session_of(const struct test_request *request)
{
	CHECK(!request->stream.is_closed && request->peer->link != NULL);
	return h2_link_session(request->peer->link);
}

void test_answer_begin(struct test_request *request, const char *status, const char *name, const char *value)
{
	const struct h2_header headers[] = {{SPAN_LITERAL(":status"), span_of_str(status)},
		{SPAN_LITERAL("content-type"), SPAN_LITERAL("application/json")},
		{span_of_str(name != NULL ? name : ""), span_of_str(name != NULL ? value : "")}};
	CHECK(h2_stream_respond(session_of(request), request->stream.id, headers, name != NULL ? 3 : 2, false) ==
		ERR_NONE);
}

static void flush(struct test_request *request)
{
	CHECK(!request->stream.is_closed);
	test_h2_stream_flush(&request->stream);
}

void test_send(struct test_request *request, struct span bytes)
{
	CHECK(buf_append(&request->stream.to_send, bytes) == ERR_NONE);
	flush(request);
}

void test_send_text(struct test_request *request, const char *text)
{
	test_send(request, span_of_str(text));
}

void test_end(struct test_request *request)
{
	request->stream.is_held = false;
	flush(request);
}

void test_answer(struct test_request *request, const char *status, const char *body)
{
	test_answer_begin(request, status, NULL, NULL);
	request->stream.is_held = false;
	test_send_text(request, body);
}

void test_reset(struct test_request *request, uint32_t error)
{
	h2_stream_reset(session_of(request), request->stream.id, error);
	h2_link_flush(request->peer->link);
}

void test_goaway(struct test_server *server)
{
	CHECK(server->peers != NULL && server->peers->link != NULL);
	h2_session_shutdown(h2_link_session(server->peers->link));
	h2_link_flush(server->peers->link);
}

void test_cut(struct test_server *server)
{
	CHECK(server->peers != NULL);
	peer_end(server->peers);
}
