#include "base/core/mem.h"
#include "base/core/test_wait.h"
#include "base/net/fd.h"
#include "base/net/socket.h"
#include "base/rpc/web_dial.h"
#include "base/tls/test_pair.h"
#include "certs/pem.h"
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/socket.h>
/* cmocka requires <setjmp.h> and <stdarg.h> */
#include <cmocka.h>

enum { DIAL_MS = 2000, SHORT_MS = 100 };

struct world {
	struct test_pair *pair; /* of its two ends the server's, which asks for no certificate */
	struct loop *loop;
	struct web_dial *dial;
	struct web_peer peer;
	int listening_fd;
	bool has_roots; /* of the pair; else none */
	enum err load_err, verify_err;
	unsigned num_loads, num_verified, num_done;
	enum err err;
	struct transport *transport;
	struct why detail;
};

static enum err own_roots(const struct world *world, struct web_roots **out, struct why *why)
{
	_cleanup_(buf_done) struct buf pem = BUF_INIT(8192);
	assert_int_equal(pem_encode("CERTIFICATE", test_cert_der(world->pair->root), &pem), ERR_NONE);
	return web_roots_parse(buf_span(&pem), out, why);
}

static enum err load(void *arg, struct web_roots **out_roots, struct web_identity **out_identity, struct why *why)
{
	struct world *world = arg;
	*out_roots = NULL;
	*out_identity = NULL;
	world->num_loads++;
	if (world->load_err == ERR_NONE)
		return world->has_roots ? own_roots(world, out_roots, why) : ERR_NONE;
	return why_set(why, world->load_err, "a file of authorities", "change the test", "there is none");
}

static enum err verify(void *arg, const struct span *chain, size_t num_chain, struct why *why)
{
	struct world *world = arg;
	assert_true(num_chain > 0 && chain[0].len > 0);
	world->num_verified++;
	if (world->verify_err == ERR_NONE)
		return ERR_NONE;
	return why_set(why, world->verify_err, "a server that the test accepts", "change the test", "another one");
}

static void on_done(void *arg, enum err err, struct transport *transport, const struct why *why)
{
	struct world *world = arg;
	world->num_done++;
	world->err = err;
	world->transport = transport;
	world->detail = *why;
}

static int set_up(void **state)
{
	struct world *world = mem_new(struct world);
	void *pair;
	if (test_pair_setup(&pair) != 0)
		return -1;
	world->pair = pair;
	tls_context_free(world->pair->server_context);
	world->pair->server_context = test_context(TLS_SERVER, TLS_CLIENT_AUTH_NONE, "h2");
	world->loop = loop_new(&clock_system);
	world->dial = web_dial_new(world->loop, "h2", on_done, world);
	world->listening_fd = -1;
	world->peer = (struct web_peer){.host = "127.0.0.1", .load = load, .verify = verify, .arg = world};
	world->peer.texts.listener = "a server that listens";
	world->peer.texts.fix = "start it";
	world->peer.texts.address = "a server that has a name";
	world->peer.texts.fix_address = "name it";
	*state = world;
	return 0;
}

static int tear_down(void **state)
{
	struct world *world = *state;
	void *pair = world->pair;
	if (world->transport != NULL)
		transport_free(world->transport);
	web_dial_free(world->dial);
	fd_close(world->listening_fd);
	loop_free(world->loop);
	mem_free(world);
	return test_pair_teardown(&pair);
}

/* At any free port of 127.0.0.1. */
static void server_listens(struct world *world, int backlog)
{
	const struct socket_listen_options options = {0};
	struct addr at = {.ip = {.family = AF_INET, .bytes = {127, 0, 0, 1}}};
	assert_int_equal(socket_listen(&at, &options, &world->listening_fd, NULL), ERR_NONE);
	assert_int_equal(listen(world->listening_fd, backlog), 0);
	assert_int_equal(socket_local_addr(world->listening_fd, &at), ERR_NONE);
	world->peer.port = at.port;
}

static void dial(struct world *world, uint32_t timeout_ms)
{
	unsigned before = world->num_done;
	web_dial_start(world->dial, &world->peer, timeout_ms);
	assert_int_equal(world->num_done, before); /* never within the start */
	assert_true(web_dial_is_under_way(world->dial));
	assert_true(WAIT_UNTIL(world->num_done > before, loop_run_once(world->loop, false)));
	assert_int_equal(world->num_done, before + 1);
	assert_false(web_dial_is_under_way(world->dial));
}

static bool goes_on(enum io_result result)
{
	return result == IO_WANT_READ || result == IO_WANT_WRITE;
}

/* Both ends take turns. Returns the client's result. */
static enum io_result handshake(struct world *world)
{
	struct addr from;
	int fd = -1;
	enum io_result client = IO_WANT_READ, server = IO_WANT_READ;
	assert_int_equal(fd_accept(world->listening_fd, &from, &fd), ERR_NONE);
	struct transport *other = transport_new_tls(test_session(world->pair, TLS_SERVER, fd));
	for (int i = 0; i < 20; i++) {
		client = goes_on(client) ? transport_handshake(world->transport) : client;
		server = goes_on(server) ? transport_handshake(other) : server;
	}
	transport_free(other);
	return client;
}

static void the_authority_has_brackets_around_an_ipv6_address(_unused_ void **state)
{
	_cleanup_(mem_freep) char *name = web_peer_authority(&(struct web_peer){.host = "api.test", .port = 6443});
	_cleanup_(mem_freep) char *v6 = web_peer_authority(&(struct web_peer){.host = "2001:db8::1", .port = 443});
	assert_string_equal(name, "api.test:6443");
	assert_string_equal(v6, "[2001:db8::1]:443");
}

static void a_server_that_listens_gives_a_transport_whose_handshake_is_still_to_run(void **state)
{
	struct world *world = *state;
	server_listens(world, 8);
	dial(world, DIAL_MS);
	assert_int_equal(world->err, ERR_NONE);
	assert_int_equal(world->num_loads, 1);
	assert_int_equal(world->num_verified, 0);
	assert_int_equal(handshake(world), IO_DONE);
	assert_int_equal(world->num_verified, 1);
}

static void a_server_that_is_refused_ends_the_handshake(void **state)
{
	struct world *world = *state;
	world->verify_err = ERR_WRONG_PEER;
	server_listens(world, 8);
	dial(world, DIAL_MS);
	assert_int_equal(handshake(world), IO_FAILED);
	assert_int_equal(transport_why(world->transport)->err, ERR_WRONG_PEER);
	assert_string_equal(transport_why(world->transport)->got, "another one");
}

/* The server has a SPIFFE ID below these roots, and no name. */
static void without_a_verifier_the_servers_name_is_verified(void **state)
{
	struct world *world = *state;
	world->peer.verify = NULL;
	world->has_roots = true;
	server_listens(world, 8);
	dial(world, DIAL_MS);
	assert_int_equal(handshake(world), IO_FAILED);
	assert_int_not_equal(transport_why(world->transport)->err, ERR_NONE);
	assert_int_equal(world->num_verified, 0);
}

static void what_cannot_be_loaded_is_the_reason(void **state)
{
	struct world *world = *state;
	server_listens(world, 8);
	world->load_err = ERR_CONFIG;
	dial(world, DIAL_MS);
	assert_int_equal(world->err, ERR_CONFIG);
	assert_null(world->transport);
	assert_string_equal(world->detail.got, "there is none");
}

static void what_is_trusted_is_loaded_anew_for_each_dial(void **state)
{
	struct world *world = *state;
	server_listens(world, 8);
	for (unsigned i = 1; i <= 3; i++) {
		dial(world, DIAL_MS);
		assert_int_equal(world->num_loads, i);
		transport_free(TAKE_PTR(world->transport));
	}
}

static void where_nothing_listens_the_address_is_named(void **state)
{
	struct world *world = *state;
	server_listens(world, 8);
	fd_close(TAKE_FD(world->listening_fd));
	dial(world, DIAL_MS);
	assert_int_not_equal(world->err, ERR_NONE);
	assert_null(world->transport);
	assert_int_equal(world->num_loads, 0);
	assert_string_equal(world->detail.expected, "a server that listens");
	assert_string_equal(world->detail.fix, "start it");
	assert_non_null(strstr(world->detail.got, "the connection to 127.0.0.1:"));
}

/* The queue of connections that wait for accept() is full: the kernel drops further ones without an answer. */
static void a_server_that_does_not_answer_is_left_after_the_time(void **state)
{
	struct world *world = *state;
	int waiting[4];
	server_listens(world, 0);
	const struct addr at = {.ip = {.family = AF_INET, .bytes = {127, 0, 0, 1}}, .port = world->peer.port};
	for (size_t i = 0; i < 4; i++)
		assert_int_equal(socket_connect(&at, &(struct socket_connect_options){0}, &waiting[i]), ERR_NONE);
	dial(world, SHORT_MS);
	assert_int_equal(world->err, ERR_TIMEOUT);
	assert_string_equal(world->detail.expected, "a server that listens");
	for (size_t i = 0; i < 4; i++)
		fd_close(waiting[i]);
}

static void a_name_that_does_not_resolve_is_named(void **state)
{
	struct world *world = *state;
	world->peer.host = "no-such-host.invalid";
	world->peer.port = 443;
	dial(world, SHORT_MS);
	assert_int_not_equal(world->err, ERR_NONE);
	assert_string_equal(world->detail.expected, "a server that has a name");
	assert_string_equal(world->detail.fix, "name it");
	assert_non_null(strstr(world->detail.got, "cannot resolve no-such-host.invalid: "));
}

/* "localhost" may be two addresses, and the server is at one of them: each dial begins at another one. */
static void of_several_addresses_the_next_is_tried(void **state)
{
	struct world *world = *state;
	world->peer.host = "localhost";
	server_listens(world, 8);
	for (unsigned i = 0; i < 4; i++) {
		dial(world, DIAL_MS);
		assert_int_equal(world->err, ERR_NONE);
		transport_free(TAKE_PTR(world->transport));
	}
}

static void a_dial_that_is_freed_calls_nothing(void **state)
{
	struct world *world = *state;
	server_listens(world, 8);
	web_dial_start(world->dial, &world->peer, DIAL_MS);
	web_dial_free(world->dial);
	for (int i = 0; i < 10; i++)
		loop_run_once(world->loop, false);
	assert_int_equal(world->num_done, 0);
	world->dial = web_dial_new_without_alpn(world->loop, on_done, world);
	dial(world, DIAL_MS);
	assert_int_equal(world->err, ERR_NONE);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_authority_has_brackets_around_an_ipv6_address),
		TEST(a_server_that_listens_gives_a_transport_whose_handshake_is_still_to_run),
		TEST(a_server_that_is_refused_ends_the_handshake),
		TEST(without_a_verifier_the_servers_name_is_verified),
		TEST(what_cannot_be_loaded_is_the_reason),
		TEST(what_is_trusted_is_loaded_anew_for_each_dial),
		TEST(where_nothing_listens_the_address_is_named),
		TEST(a_server_that_does_not_answer_is_left_after_the_time),
		TEST(a_name_that_does_not_resolve_is_named),
		TEST(of_several_addresses_the_next_is_tried),
		TEST(a_dial_that_is_freed_calls_nothing),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
