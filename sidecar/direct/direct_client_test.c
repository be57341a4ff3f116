/* The client against the server of this folder, which is such a peer. */
#include "base/net/fd.h"
#include "base/net/socket.h"
#include "certs/test_mesh.h"
#include "sidecar/direct/direct_client.h"
#include "sidecar/direct/direct_server.h"
#include "sidecar/leg/leg_ops.h"
#include "sidecar/leg/tcp_pair.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
/* cmocka requires setjmp, stdarg, stddef and stdint */
#include <cmocka.h>

#define PEER "spiffe://td.test/peer"

enum { TIMEOUT_MS = 5000, ROUNDS = 300 };

struct fixture {
	struct clock_fake clock;
	struct trusted_time time;
	struct loop *loop;
	struct test_mesh *mesh;
	struct tls_context *client_context, *server_context;
	struct tls_scratch *scratch;
	struct verify_cache *cache;
	struct direct_server *server;
	struct direct_client *client;
	struct direct_attempt *attempt;
	struct spiffe_id expected;
	int listening;
	struct addr at;
	struct leg *far, *near;
	unsigned num_results;
	struct direct_result result;
};

static void on_connection(void *arg, const struct direct_connection *connection)
{
	((struct fixture *)arg)->far = connection->leg;
}

static void on_result(void *arg, struct leg *leg, const struct direct_result *result)
{
	struct fixture *fixture = arg;
	assert_int_equal(leg != NULL, result->outcome == DIRECT_OPEN);
	fixture->attempt = NULL;
	fixture->num_results++;
	fixture->result = *result;
	fixture->near = leg;
}

static void give_credentials(struct fixture *fixture, const char *of_server)
{
	struct credentials *own = test_mesh_credentials(fixture->mesh, "spiffe://td.test/own");
	struct credentials *peer = test_mesh_credentials(fixture->mesh, of_server);
	direct_client_set_credentials(fixture->client, own);
	direct_server_set_credentials(fixture->server, peer);
	credentials_unref(own);
	credentials_unref(peer);
}

static int set_up(void **state)
{
	static struct fixture made;
	struct fixture *fixture = *state = &made;
	*fixture = (struct fixture){.listening = -1};
	clock_fake_init(&fixture->clock, TEST_NOW_S * 1000);
	fixture->loop = loop_new(&fixture->clock.clock);
	fixture->mesh = test_mesh_new("td.test", TEST_NOW_S);
	fixture->client_context = tls_context_new(
		&(struct tls_context_options){.role = TLS_CLIENT, .alpn = DIRECT_ALPN, .alpn_is_optional = true});
	fixture->server_context = tls_context_new(
		&(struct tls_context_options){.role = TLS_SERVER, .client_auth = TLS_CLIENT_AUTH_REQUIRED});
	fixture->scratch = tls_scratch_new();
	fixture->cache = verify_cache_new(64);
	fixture->server = direct_server_new(&(struct direct_server_options){
		.loop = fixture->loop,
		.context = fixture->server_context,
		.scratch = fixture->scratch,
		.verify_cache = fixture->cache,
		.time = &fixture->time,
		.handshake_timeout_ms = TIMEOUT_MS,
		.on_connection = on_connection,
		.arg = fixture,
	});
	fixture->client = direct_client_new(&(struct direct_client_options){
		.loop = fixture->loop,
		.context = fixture->client_context,
		.scratch = fixture->scratch,
		.verify_cache = fixture->cache,
		.time = &fixture->time,
		.handshake_timeout_ms = TIMEOUT_MS,
	});
	give_credentials(fixture, PEER);
	assert_int_equal(spiffe_id_parse(SPAN_LITERAL(PEER), &fixture->expected, NULL), ERR_NONE);
	fixture->listening = tcp_listen_any(&fixture->at);
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *fixture = *state;
	if (fixture->attempt != NULL)
		direct_attempt_cancel(fixture->attempt);
	if (fixture->near != NULL)
		leg_free(fixture->near);
	direct_server_free(fixture->server);
	direct_client_free(fixture->client);
	spiffe_id_done(&fixture->expected);
	fd_close(fixture->listening);
	verify_cache_free(fixture->cache);
	tls_scratch_free(fixture->scratch);
	tls_context_free(fixture->client_context);
	tls_context_free(fixture->server_context);
	test_mesh_free(fixture->mesh);
	loop_free(fixture->loop);
	return 0;
}

static void run(struct fixture *fixture, unsigned rounds, bool accepts)
{
	for (unsigned i = 0; i < rounds && fixture->num_results == 0; i++) {
		struct addr from;
		int fd;
		clock_fake_advance(&fixture->clock, 1);
		loop_run_once(fixture->loop, false);
		loopback_settle();
		if (accepts && fd_accept(fixture->listening, &from, &fd) == ERR_NONE)
			direct_server_adopt(fixture->server, fd, &fixture->at, &from);
	}
}

static void open_one(struct fixture *fixture)
{
	fixture->attempt = direct_client_open(fixture->client, &(struct direct_request){.endpoint = fixture->at,
								       .expected = &fixture->expected,
								       .on_result = on_result,
								       .arg = fixture});
	assert_int_equal(fixture->num_results, 0); /* never within the call */
}

static void opens_a_leg_whose_peer_is_the_expected_one(void **state)
{
	struct fixture *fixture = *state;
	open_one(fixture);
	run(fixture, ROUNDS, true);
	assert_int_equal(fixture->num_results, 1);
	assert_int_equal(fixture->result.outcome, DIRECT_OPEN);
	assert_int_equal(fixture->result.key_exchange, KEY_EXCHANGE_X25519MLKEM768);
	assert_string_equal(svid_id(fixture->near->ops->peer(fixture->near))->text, PEER);
}

static void refuses_another_identity(void **state)
{
	struct fixture *fixture = *state;
	give_credentials(fixture, "spiffe://td.test/another");
	open_one(fixture);
	run(fixture, ROUNDS, true);
	assert_int_equal(fixture->result.outcome, DIRECT_TLS_FAILED);
	assert_int_equal(fixture->result.detail.err, ERR_WRONG_PEER);
	assert_false(fixture->result.failed_by_peer);
}

static void without_an_identity_of_its_own_nothing_is_sent(void **state)
{
	struct fixture *fixture = *state;
	direct_client_set_credentials(fixture->client, NULL);
	open_one(fixture);
	run(fixture, ROUNDS, true);
	assert_int_equal(fixture->result.outcome, DIRECT_NO_IDENTITY);
}

static void a_port_without_a_listener_is_unreachable(void **state)
{
	struct fixture *fixture = *state;
	fd_close(fixture->listening);
	fixture->listening = -1;
	open_one(fixture);
	run(fixture, ROUNDS, false);
	assert_int_equal(fixture->result.outcome, DIRECT_UNREACHABLE);
	assert_int_equal(fixture->result.detail.err, ERR_REFUSED);
}

static void a_silent_peer_is_given_up(void **state)
{
	struct fixture *fixture = *state;
	open_one(fixture);
	run(fixture, ROUNDS, false);
	assert_int_equal(fixture->num_results, 0);
	clock_fake_advance(&fixture->clock, TIMEOUT_MS);
	run(fixture, ROUNDS, false);
	assert_int_equal(fixture->result.outcome, DIRECT_TLS_FAILED);
	assert_int_equal(fixture->result.detail.err, ERR_TIMEOUT);
}

static void can_be_canceled_at_each_step(void **state)
{
	struct fixture *fixture = *state;
	for (unsigned rounds = 0; rounds < 12; rounds++) {
		fixture->num_results = 0;
		open_one(fixture);
		run(fixture, rounds, true);
		if (fixture->attempt != NULL)
			direct_attempt_cancel(fixture->attempt);
		fixture->attempt = NULL;
		if (fixture->near != NULL)
			leg_free(fixture->near);
		fixture->near = NULL;
		fixture->num_results = 0;
		run(fixture, 20, true);
		assert_int_equal(fixture->num_results, 0); /* of one that was canceled */
	}
}

static void an_open_leg_is_cut_when_its_peer_is_banned(void **state)
{
	struct fixture *fixture = *state;
	open_one(fixture);
	run(fixture, ROUNDS, true);
	assert_non_null(fixture->near);
	struct credentials *own = test_mesh_credentials(fixture->mesh, "spiffe://td.test/own");
	struct bundle_set *banning = bundle_set_new();
	struct credentials *next = NULL;
	assert_int_equal(bundle_set_add(banning, test_mesh_bundle(fixture->mesh), NULL), ERR_NONE);
	bundle_set_ban_id(banning, &fixture->expected);
	assert_int_equal(credentials_new(credentials_svid(own), credentials_key(own), banning, (struct epoch){1, 2},
				 TEST_NOW_S, &next, NULL),
		ERR_NONE);
	direct_client_set_credentials(fixture->client, next);
	assert_true(fixture->near->is_withdrawn);
	credentials_unref(next);
	bundle_set_unref(banning);
	credentials_unref(own);
}

/* At each step: it fails for want of an identity, not for a fault of the peer. */
static void an_identity_that_is_lost_in_the_handshake_is_no_fault_of_the_peer(void **state)
{
	struct fixture *fixture = *state;
	unsigned num_lost = 0;
	for (unsigned rounds = 0; rounds < 12; rounds++) {
		fixture->num_results = 0;
		give_credentials(fixture, PEER);
		open_one(fixture);
		run(fixture, rounds, true);
		if (fixture->num_results == 0) {
			direct_client_set_credentials(fixture->client, NULL);
			run(fixture, ROUNDS, true);
			assert_int_equal(fixture->num_results, 1);
			assert_true(fixture->result.outcome == DIRECT_NO_IDENTITY ||
				    fixture->result.outcome == DIRECT_OPEN); /* it was verified before */
			num_lost += fixture->result.outcome == DIRECT_NO_IDENTITY;
		}
		if (fixture->near != NULL)
			leg_free(fixture->near);
		fixture->near = NULL;
		fixture->num_results = 0;
		run(fixture, 20, true);
	}
	assert_true(num_lost > 1); /* before the connection is established, and in the handshake */
}

static void a_silent_peer_is_given_up_sooner_where_its_caller_asks_for_it(void **state)
{
	struct fixture *fixture = *state;
	fixture->attempt = direct_client_open(fixture->client, &(struct direct_request){.endpoint = fixture->at,
								       .expected = &fixture->expected,
								       .wait_ms = 2000,
								       .on_result = on_result,
								       .arg = fixture});
	run(fixture, ROUNDS, false);
	assert_int_equal(fixture->num_results, 0);
	clock_fake_advance(&fixture->clock, 2000 - ROUNDS);
	run(fixture, 2, false);
	assert_int_equal(fixture->num_results, 1);
	assert_int_equal(fixture->result.detail.err, ERR_TIMEOUT);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(opens_a_leg_whose_peer_is_the_expected_one),
		TEST(refuses_another_identity),
		TEST(without_an_identity_of_its_own_nothing_is_sent),
		TEST(a_port_without_a_listener_is_unreachable),
		TEST(a_silent_peer_is_given_up),
		TEST(can_be_canceled_at_each_step),
		TEST(an_open_leg_is_cut_when_its_peer_is_banned),
		TEST(an_identity_that_is_lost_in_the_handshake_is_no_fault_of_the_peer),
		TEST(a_silent_peer_is_given_up_sooner_where_its_caller_asks_for_it),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
