#include "sidecar/conn/test_direct.h"

#include "base/core/check.h"
#include "base/core/mem.h"
#include "base/net/fd.h"
#include "sidecar/leg/tcp_pair.h"

enum { ROUNDS = 40, HANDSHAKE_MS = 5000, CACHED = 64 };
#define THERE "spiffe://td.test/there"

static void on_connection(void *arg, const struct direct_connection *connection)
{
	struct test_direct *direct = arg;
	if (direct->far != NULL)
		leg_free(direct->far);
	direct->far = connection->leg;
}

static void make_client(struct test_direct *direct)
{
	struct test_conns *conns = direct->conns;
	direct->client_context = tls_context_new(
		&(struct tls_context_options){.role = TLS_CLIENT, .alpn = DIRECT_ALPN, .alpn_is_optional = true});
	direct->client_cache = verify_cache_new(CACHED);
	conns->env.direct = direct_client_new(&(struct direct_client_options){
		.loop = conns->loop,
		.context = direct->client_context,
		.scratch = direct->scratch,
		.verify_cache = direct->client_cache,
		.time = &conns->snapshot.time,
		.handshake_timeout_ms = HANDSHAKE_MS,
	});
	direct_client_set_credentials(conns->env.direct, conns->snapshot.credentials);
}

static void make_server(struct test_direct *direct)
{
	struct test_conns *conns = direct->conns;
	direct->server_context = tls_context_new(
		&(struct tls_context_options){.role = TLS_SERVER, .client_auth = TLS_CLIENT_AUTH_REQUIRED});
	direct->server_cache = verify_cache_new(CACHED);
	direct->server = direct_server_new(&(struct direct_server_options){
		.loop = conns->loop,
		.context = direct->server_context,
		.scratch = direct->scratch,
		.verify_cache = direct->server_cache,
		.time = &conns->snapshot.time,
		.handshake_timeout_ms = HANDSHAKE_MS,
		.on_connection = on_connection,
		.arg = direct,
	});
	test_direct_refuse(direct, false);
}

struct test_direct *test_direct_new(struct test_conns *conns, size_t num)
{
	struct test_direct *direct = mem_new(struct test_direct);
	struct addr to;
	CHECK(num <= TEST_DIRECT_ENDPOINTS && addr_parse(span_of_str(TEST_MESHED), &to) == ERR_NONE);
	direct->conns = conns;
	direct->scratch = tls_scratch_new();
	make_client(direct);
	make_server(direct);
	_cleanup_(answer_unrefp) struct answer *answer = answer_new(&to, DESTINATION_MESHED, 1, num);
	for (size_t i = 0; i < TEST_DIRECT_ENDPOINTS; i++)
		direct->listening[i] = tcp_listen_any(&direct->at[i]);
	for (size_t i = 0; i < num; i++) {
		answer->endpoints[i].address = direct->at[i];
		answer->endpoints[i].transport = TRANSPORT_ISTIO_TLS;
		CHECK(spiffe_id_parse(SPAN_LITERAL(THERE), &answer->endpoints[i].id, NULL) == ERR_NONE);
	}
	endpoint_table_put(conns->snapshot.answers, answer);
	return direct;
}

void test_direct_free(struct test_direct *direct)
{
	conn_table_cut_all(direct->conns->env.table, CLOSE_DRAINED);
	if (direct->far != NULL)
		leg_free(direct->far);
	direct_server_free(direct->server);
	direct_client_free(TAKE_PTR(direct->conns->env.direct));
	verify_cache_free(direct->client_cache);
	verify_cache_free(direct->server_cache);
	tls_context_free(direct->client_context);
	tls_context_free(direct->server_context);
	tls_scratch_free(direct->scratch);
	for (size_t i = 0; i < TEST_DIRECT_ENDPOINTS; i++)
		fd_close(direct->listening[i]);
	mem_free(direct);
}

void test_direct_refuse(struct test_direct *direct, bool does)
{
	const struct test_conns *conns = direct->conns;
	const struct spiffe_id *caller = credentials_id(conns->snapshot.credentials);
	_cleanup_(bundle_set_unrefp) struct bundle_set *bundles = bundle_set_new();
	CHECK(bundle_set_add(bundles, test_mesh_bundle(conns->mesh), NULL) == ERR_NONE);
	if (does)
		bundle_set_ban_id(bundles, caller);
	int64_t until_s = conns->clock.clock.wall_ms(&conns->clock.clock) / 1000 + 3600;
	_cleanup_(credentials_unrefp) struct credentials *own =
		test_mesh_credentials_until(conns->mesh, THERE, until_s, bundles);
	direct_server_set_credentials(direct->server, own);
}

static void accept_all(struct test_direct *direct)
{
	struct addr from;
	for (size_t i = 0; i < TEST_DIRECT_ENDPOINTS; i++)
		for (int fd; fd_accept(direct->listening[i], &from, &fd) == ERR_NONE;)
			direct_server_adopt(direct->server, fd, &direct->at[i], &from);
}

void test_direct_turn(struct test_direct *direct, bool accepts)
{
	for (unsigned i = 0; i < ROUNDS; i++) {
		loop_run_once(direct->conns->loop, false);
		loopback_settle();
		if (accepts)
			accept_all(direct);
	}
}
