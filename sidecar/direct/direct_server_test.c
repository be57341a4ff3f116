#include "base/net/fd.h"
#include "certs/test_mesh.h"
#include "sidecar/direct/direct_server.h"
#include "sidecar/leg/tcp_pair.h"
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>
/* cmocka requires setjmp, stdarg, stddef and stdint */
#include <cmocka.h>

enum { PLACES = 256, PER_SOURCE = 32, BURST = 400, TIMEOUT_MS = 5000 };

struct fixture {
	struct clock_fake clock;
	struct trusted_time time;
	struct loop *loop;
	struct test_mesh *mesh;
	struct tls_context *client_context, *server_context;
	struct tls_scratch *scratch;
	struct verify_cache *cache;
	struct credentials *caller;
	struct direct_server *server;
	unsigned num_open, num_failed, num_limits[NUM_SHARE_LIMITS];
	enum key_exchange key_exchange;
	struct why detail; /* of the last failure */
	bool failed_by_peer;
};

static void on_connection(void *arg, const struct direct_connection *connection)
{
	struct fixture *fixture = arg;
	fixture->num_open++;
	fixture->key_exchange = connection->key_exchange;
	leg_free(connection->leg);
}

static void on_failure(void *arg, const struct direct_failure *failure)
{
	struct fixture *fixture = arg;
	fixture->num_failed++;
	fixture->detail = *failure->detail;
	fixture->failed_by_peer = failure->failed_by_peer;
}

static void on_limit(void *arg, enum share_limit limit)
{
	struct fixture *fixture = arg;
	fixture->num_limits[limit]++;
}

static void server_make(struct fixture *fixture, uint32_t max_handshakes)
{
	fixture->server = direct_server_new(&(struct direct_server_options){
		.loop = fixture->loop,
		.context = fixture->server_context,
		.scratch = fixture->scratch,
		.verify_cache = fixture->cache,
		.time = &fixture->time,
		.handshake_timeout_ms = TIMEOUT_MS,
		.max_handshakes = max_handshakes,
		.on_connection = on_connection,
		.on_failure = on_failure,
		.on_limit = on_limit,
		.arg = fixture,
	});
	struct credentials *own = test_mesh_credentials(fixture->mesh, "spiffe://td.test/own");
	direct_server_set_credentials(fixture->server, own);
	credentials_unref(own);
}

static int set_up(void **state)
{
	static struct fixture made;
	struct fixture *fixture = *state = &made;
	*fixture = (struct fixture){.num_open = 0};
	clock_fake_init(&fixture->clock, TEST_NOW_S * 1000);
	fixture->loop = loop_new(&fixture->clock.clock);
	fixture->mesh = test_mesh_new("td.test", TEST_NOW_S);
	fixture->client_context = tls_context_new(&(struct tls_context_options){.role = TLS_CLIENT, .alpn = "h2"});
	fixture->server_context = tls_context_new(&(struct tls_context_options){
		.role = TLS_SERVER, .client_auth = TLS_CLIENT_AUTH_REQUIRED, .alpn = "h2"});
	fixture->scratch = tls_scratch_new();
	fixture->cache = verify_cache_new(64);
	fixture->caller = test_mesh_credentials(fixture->mesh, "spiffe://td.test/caller");
	server_make(fixture, 0);
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *fixture = *state;
	direct_server_free(fixture->server);
	credentials_unref(fixture->caller);
	verify_cache_free(fixture->cache);
	tls_scratch_free(fixture->scratch);
	tls_context_free(fixture->client_context);
	tls_context_free(fixture->server_context);
	test_mesh_free(fixture->mesh);
	loop_free(fixture->loop);
	return 0;
}

static void run(struct fixture *fixture, unsigned rounds)
{
	for (unsigned i = 0; i < rounds; i++) {
		clock_fake_advance(&fixture->clock, 1);
		loop_run_once(fixture->loop, false);
		loopback_settle();
	}
}

/* From 10.0.x.y, whatever address the connection has. */
static int dial(struct fixture *fixture, unsigned source)
{
	struct tcp_pair pair;
	tcp_pair_open(&pair);
	struct addr from = {.port = 40000};
	from.ip = (struct ip_addr){.family = AF_INET, .bytes = {10, 0, (uint8_t)(source / 256), (uint8_t)source}};
	direct_server_adopt(fixture->server, pair.far, &pair.far_addr, &from);
	return pair.near;
}

static bool is_closed(int fd)
{
	char byte;
	loopback_settle();
	return read(fd, &byte, 1) == 0 || (errno != EAGAIN && errno != EWOULDBLOCK);
}

static enum err believe(void *arg, const struct span *chain, size_t num_chain, struct svid **out_svid, struct why *why)
{
	(void)arg;
	return svid_parse(chain, num_chain, out_svid, why);
}

static struct tls_session *caller_new(struct fixture *fixture, unsigned source)
{
	struct tls_session *tls = NULL;
	assert_int_equal(tls_session_new(&(struct tls_session_options){.context = fixture->client_context,
						 .scratch = fixture->scratch,
						 .fd = dial(fixture, source),
						 .svid = credentials_svid(fixture->caller),
						 .key = credentials_key(fixture->caller),
						 .on_verify = believe},
				 &tls, NULL),
		ERR_NONE);
	return tls;
}

static bool connects(struct fixture *fixture, unsigned source)
{
	unsigned before = fixture->num_open;
	struct tls_session *tls = caller_new(fixture, source);
	for (unsigned i = 0; i < 200 && fixture->num_open == before; i++) {
		if (!tls_session_is_established(tls))
			(void)!tls_session_handshake(tls);
		run(fixture, 1);
	}
	tls_session_free(tls);
	return fixture->num_open == before + 1;
}

static void a_caller_is_handed_over_with_its_key_exchange(void **state)
{
	struct fixture *fixture = *state;
	assert_true(connects(fixture, 1));
	assert_int_equal(fixture->key_exchange, KEY_EXCHANGE_X25519MLKEM768);
	assert_int_equal(fixture->num_failed, 0);
}

static void the_oldest_handshake_of_the_heaviest_source_gives_way(void **state)
{
	struct fixture *fixture = *state;
	int silent[PLACES];
	for (unsigned i = 0; i < PLACES; i++)
		silent[i] = dial(fixture, i % (PLACES / PER_SOURCE));
	assert_int_equal(fixture->num_failed, 0);
	assert_true(connects(fixture, 100));
	assert_int_equal(fixture->num_failed, 1);
	assert_int_equal(fixture->detail.err, ERR_LIMIT);
	assert_non_null(strstr(fixture->detail.got, "the oldest handshake"));
	unsigned num_closed = 0;
	for (unsigned i = 0; i < PLACES; i++) {
		num_closed += is_closed(silent[i]);
		assert_true(i < PLACES / PER_SOURCE || num_closed == 1); /* one of the oldest */
		fd_close(silent[i]);
	}
}

static void a_source_at_its_limit_displaces_its_own_oldest(void **state)
{
	struct fixture *fixture = *state;
	int silent[PER_SOURCE], other = dial(fixture, 2);
	for (unsigned i = 0; i < PER_SOURCE; i++)
		silent[i] = dial(fixture, 1);
	assert_true(connects(fixture, 1));
	assert_false(is_closed(other));
	fd_close(other);
	for (unsigned i = 0; i < PER_SOURCE; i++) {
		assert_int_equal(is_closed(silent[i]), i == 0);
		fd_close(silent[i]);
	}
}

/* Each has a descriptor, of which there may be few. */
static void as_many_handshakes_go_on_as_the_owner_allows(void **state)
{
	struct fixture *fixture = *state;
	enum { FEW = 8, MANY = 20 };
	int silent[MANY];
	unsigned num_closed = 0;
	direct_server_free(fixture->server);
	server_make(fixture, FEW);
	for (unsigned i = 0; i < MANY; i++)
		silent[i] = dial(fixture, i / 4); /* a quarter of the places is a source's */
	assert_true(connects(fixture, 100));
	for (unsigned i = 0; i < MANY; i++)
		num_closed += is_closed(silent[i]);
	assert_in_range(num_closed, MANY - FEW, MANY - FEW + 1);
	for (unsigned i = 0; i < MANY; i++)
		fd_close(silent[i]);
}

static void a_refusal_names_the_limit_and_is_counted(void **state)
{
	struct fixture *fixture = *state;
	int silent[PLACES];
	for (unsigned i = 0; i < PLACES; i++)
		silent[i] = dial(fixture, i);
	_cleanup_fd_ int refused = dial(fixture, PLACES); /* no source has more than it would */
	assert_true(is_closed(refused));
	assert_int_equal(fixture->num_limits[SHARE_LIMIT_CLASS], 1);
	assert_non_null(strstr(fixture->detail.got, share_limit_text(SHARE_LIMIT_CLASS)));
	for (unsigned i = 0; i < PLACES; i++)
		fd_close(silent[i]);
	for (unsigned i = 0; i < BURST; i++) /* one of its own has begun */
		fd_close(dial(fixture, 0));
	assert_int_equal(fixture->num_limits[SHARE_LIMIT_ADDRESS], 1);
	assert_non_null(strstr(fixture->detail.got, share_limit_text(SHARE_LIMIT_ADDRESS)));
}

static void silence_is_borne_for_two_seconds(void **state)
{
	struct fixture *fixture = *state;
	_cleanup_fd_ int silent = dial(fixture, 1), talking = dial(fixture, 2);
	assert_int_equal(write(talking, "\x16\x03\x01", 3), 3);
	loopback_settle();
	run(fixture, 5);
	clock_fake_advance(&fixture->clock, 2100);
	run(fixture, 5);
	assert_true(is_closed(silent));
	assert_string_equal(fixture->detail.got, "the caller sent nothing");
	assert_false(is_closed(talking));
	clock_fake_advance(&fixture->clock, TIMEOUT_MS);
	run(fixture, 5);
	assert_true(is_closed(talking));
	assert_string_equal(fixture->detail.got, "the caller did not finish its handshake");
}

/* What is not TLS ends with its first step: so many have ended as steps were taken. */
static void at_most_four_handshakes_go_on_in_a_round(void **state)
{
	struct fixture *fixture = *state;
	enum { MANY = 10 };
	int fds[MANY];
	for (unsigned i = 0; i < MANY; i++) {
		fds[i] = dial(fixture, i);
		assert_int_equal(write(fds[i], "GET / HTTP/1.0\r\n\r\n", 18), 18);
	}
	loopback_settle();
	const unsigned expected[] = {4, 8, 10};
	for (unsigned i = 0; i < 3; i++) {
		loop_run_once(fixture->loop, false);
		assert_int_equal(fixture->num_failed, expected[i]);
	}
	for (unsigned i = 0; i < MANY; i++)
		fd_close(fds[i]);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(a_caller_is_handed_over_with_its_key_exchange),
		TEST(the_oldest_handshake_of_the_heaviest_source_gives_way),
		TEST(a_source_at_its_limit_displaces_its_own_oldest),
		TEST(as_many_handshakes_go_on_as_the_owner_allows),
		TEST(a_refusal_names_the_limit_and_is_counted),
		TEST(silence_is_borne_for_two_seconds),
		TEST(at_most_four_handshakes_go_on_in_a_round),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
