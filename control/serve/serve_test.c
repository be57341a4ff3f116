/* The streams port over real TLS, with the real signer and the real store. */
#include "base/core/base64url.h"
#include "base/core/mem.h"
#include "base/core/test_wait.h"
#include "base/net/socket.h"
#include "base/pb/unpack.h"
#include "base/rpc/rpc_client.h"
#include "base/settings/settings.h"
#include "base/tls/tls_session.h"
#include "certs/csr.h"
#include "control/issue/signer.h"
#include "control/report/control_metrics.h"
#include "control/serve/grant.h"
#include "control/serve/serve.h"
#include "proto/handfast/v1/enrollment.pb-c.h"
#include "proto/handfast/v1/identity.pb-c.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
/* cmocka requires the four above */
#include <cmocka.h>

#define ID "spiffe://td/ns/a"

struct world {
	char folder[64], keys[80], database[80], socket[80];
	struct loop *loop;
	struct issuer *issuer;
	struct store *store;
	struct metrics *metrics;
	struct control_config *config;
	struct attest *attest;
	struct registry *registry;
	struct distributor *distributor;
	struct trust *trust;
	struct server_identity *identity;
	struct serve *serve;
	struct trust_domain domain;
	struct addr at;
	struct buf root, token_id, secret;
	struct private_key *attestation_key, *leaf_key;
	/* the client */
	struct tls_context *tls;
	struct tls_scratch *scratch;
	struct svid *svid; /* presented, once there is one */
	struct rpc_client *client;
	bool is_connected, is_closed, is_over, is_ready;
	enum rpc_status status;
	struct buf answer;
	unsigned num_messages;
	bool proves_claims; /* from its hello */
	uint32_t max_connections;
	struct ip_addr source; /* where it connects from; zeroed: any */
};

static void wait_until(struct world *world, const bool *flag)
{
	while (!*flag)
		loop_run_once(world->loop, false);
}

static void on_lost(void *arg, enum err err)
{
	(void)arg;
	(void)err;
	fail();
}

static void on_changed(void *arg)
{
	struct world *world = arg;
	world->is_ready = true;
	if (world->serve != NULL)
		serve_trust_changed(world->serve);
}

static void on_introduced(void *arg, enum err err, const struct issued *issued, _unused_ const struct why *why)
{
	struct world *world = arg;
	assert_int_equal(err, ERR_NONE);
	assert_int_equal(buf_append(&world->root, issued->chain[1]), ERR_NONE);
	world->is_ready = true;
}

static void on_identity(void *arg, enum err err, _unused_ const struct why *why)
{
	assert_int_equal(err, ERR_NONE);
	((struct world *)arg)->is_ready = true;
}

static void on_token(void *arg, enum err err, struct span line, _unused_ struct span id, _unused_ int64_t not_after_s)
{
	struct world *world = arg;
	assert_int_equal(err, ERR_NONE);
	/* hf1.<22>.<43>.<43> */
	assert_int_equal(base64url_decode(span_of(line.ptr + 4, 22), &world->token_id), ERR_NONE);
	assert_int_equal(base64url_decode(span_of(line.ptr + 27, 43), &world->secret), ERR_NONE);
	world->is_ready = true;
}

static void read_config(struct world *world)
{
	static const char yaml[] = "trust_domain: td\nmesh: {networks: [127.0.0.0/8]}\n";
	_cleanup_(settings_freep) struct settings *settings = settings_new(&control_settings);
	settings_read_text(settings, "test", span_of_str(yaml));
	assert_int_equal(control_config_read(settings, &world->config), ERR_NONE);
}

static void start_parts(struct world *world)
{
	const struct issuer_options issuer = {.loop = world->loop,
		.key_folder = world->keys,
		.trust_domain = &world->domain,
		.max_leaf_ttl_s = 3600,
		.intermediate_life_s = 604800,
		.root_life_s = 31536000,
		.policy = KEYS_MAY_BE_MADE,
		.on_lost = on_lost,
		.arg = world};
	const struct registry_observer observer = {0};
	assert_int_equal(issuer_start(&issuer, &world->issuer, NULL), ERR_NONE);
	assert_int_equal(store_open(world->loop, world->database, &world->store, NULL), ERR_NONE);
	const struct store_mark mark = {.epoch = 1, .incarnation = 1};
	issuer_introduce(world->issuer, &mark, on_introduced, world);
	wait_until(world, &world->is_ready);
	world->is_ready = false;
	world->identity = server_identity_new(world->loop, world->issuer, on_identity, world);
	wait_until(world, &world->is_ready);
	world->is_ready = false;
	const struct trust_options trust = {
		world->loop, world->store, &world->domain, buf_span(&world->root), on_changed, world};
	assert_int_equal(trust_new(&trust, &world->trust, NULL), ERR_NONE);
	wait_until(world, &world->is_ready);
	world->attest = attest_new(world->loop, world->store, &world->domain);
	world->registry = registry_new(world->loop, world->store, world->config, &observer);
	world->distributor = distributor_new(world->loop, world->registry, world->config);
}

static void open_listeners(struct world *world)
{
	struct serve_options options = {.loop = world->loop,
		.store = world->store,
		.registry = world->registry,
		.distributor = world->distributor,
		.attest = world->attest,
		.issuer = world->issuer,
		.trust = world->trust,
		.identity = world->identity,
		.metrics = metrics_shard(world->metrics, 0),
		.leaf_ttl_s = 60,
		.forget_after_s = 3600,
		.attest_per_second = 3,
		.max_connections = world->max_connections,
		.max_handshakes = 20,
		.release = "test"};
	const struct socket_listen_options listen = {0};
	assert_int_equal(ip_addr_parse(SPAN_LITERAL("127.0.0.1"), &world->at.ip), ERR_NONE);
	assert_int_equal(socket_listen(&world->at, &listen, &options.streams_fd, NULL), ERR_NONE);
	assert_int_equal(socket_local_addr(options.streams_fd, &world->at), ERR_NONE);
	assert_int_equal(socket_listen_unix(world->socket, 0600, &options.operator_fd, NULL), ERR_NONE);
	world->serve = serve_new(&options);
}

static void make_token(struct world *world)
{
	const uint8_t hash[DIGEST_LEN] = {0};
	struct attest_token_request request = {SPAN_LITERAL(ID), 60, NULL, 0, hash};
	buf_clear(&world->token_id);
	buf_clear(&world->secret);
	world->is_ready = false;
	assert_int_equal(attest_token_create(world->attest, &request, on_token, world, NULL), ERR_NONE);
	wait_until(world, &world->is_ready);
}

static int set_up_for(void **state, uint32_t max_connections)
{
	struct world *world = mem_new(struct world);
	world->max_connections = max_connections;
	const struct tls_context_options tls = {.role = TLS_CLIENT, .alpn = "h2"};
	snprintf(world->folder, sizeof world->folder, "/tmp/serveXXXXXX");
	assert_non_null(mkdtemp(world->folder));
	snprintf(world->keys, sizeof world->keys, "%s/keys", world->folder);
	snprintf(world->database, sizeof world->database, "%s/db", world->folder);
	snprintf(world->socket, sizeof world->socket, "%s/socket", world->folder);
	snprintf(world->domain.name, sizeof world->domain.name, "td");
	buf_init(&world->root, 8192);
	buf_init(&world->token_id, 64);
	buf_init(&world->secret, 64);
	buf_init(&world->answer, 65536);
	world->loop = loop_new(&clock_system);
	world->metrics = control_metrics_new();
	world->tls = tls_context_new(&tls);
	world->scratch = tls_scratch_new();
	world->attestation_key = private_key_generate();
	world->leaf_key = private_key_generate();
	read_config(world);
	start_parts(world);
	open_listeners(world);
	make_token(world);
	*state = world;
	return 0;
}

static int set_up(void **state)
{
	return set_up_for(state, 100);
}

static int set_up_few_connections(void **state)
{
	return set_up_for(state, 10);
}

static void disconnect(struct world *world)
{
	if (world->client != NULL)
		rpc_client_free(TAKE_PTR(world->client));
	for (int i = 0; i < 5; i++)
		loop_run_once(world->loop, false);
}

static int tear_down(void **state)
{
	struct world *world = *state;
	disconnect(world);
	serve_free(world->serve);
	server_identity_free(world->identity);
	issuer_free(world->issuer);
	trust_free(world->trust);
	distributor_free(world->distributor);
	registry_free(world->registry);
	store_close(world->store);
	loop_run_once(world->loop, false);
	attest_free(world->attest);
	control_config_free(world->config);
	metrics_free(world->metrics);
	if (world->svid != NULL)
		svid_unref(world->svid);
	private_key_unref(world->attestation_key);
	private_key_unref(world->leaf_key);
	tls_context_free(world->tls);
	tls_scratch_free(world->scratch);
	loop_free(world->loop);
	buf_done(&world->root);
	buf_done(&world->token_id);
	buf_done(&world->secret);
	buf_done(&world->answer);
	_cleanup_(mem_freep) char *command = mem_printf("rm -rf %s", world->folder);
	assert_int_equal(system(command), 0);
	mem_free(world);
	return 0;
}

/* --- the client --- */

static enum err accept_any(_unused_ void *arg, _unused_ const struct span *chain, _unused_ size_t num_chain,
	_unused_ struct svid **out_svid, _unused_ struct why *why)
{
	return ERR_NONE; /* what a sidecar verifies is tested in its own folders */
}

static void on_ready(void *arg, _unused_ struct rpc_client *client)
{
	((struct world *)arg)->is_connected = true;
}

static void on_close(void *arg, _unused_ struct rpc_client *client, _unused_ const struct why *why)
{
	((struct world *)arg)->is_closed = true;
}

static void connect_client(struct world *world)
{
	const struct socket_connect_options from = {.source = world->source.family == 0 ? NULL : &world->source};
	struct tls_session *session;
	int fd;
	disconnect(world);
	world->is_connected = world->is_closed = false;
	assert_int_equal(socket_connect(&world->at, &from, &fd), ERR_NONE);
	const struct tls_session_options tls = {.context = world->tls,
		.scratch = world->scratch,
		.fd = fd,
		.svid = world->svid,
		.key = world->svid == NULL ? NULL : world->leaf_key,
		.on_verify = accept_any};
	assert_int_equal(tls_session_new(&tls, &session, NULL), ERR_NONE);
	const struct rpc_client_options options = {.loop = world->loop,
		.transport = transport_new_tls(session),
		.authority = "control",
		.on_ready = on_ready,
		.on_close = on_close,
		.arg = world};
	world->client = rpc_client_new(&options);
	while (!world->is_connected && !world->is_closed)
		loop_run_once(world->loop, false);
}

/* Keeps the present client beside the next one. */
static struct rpc_client *keep_client(struct world *world)
{
	return TAKE_PTR(world->client);
}

static void on_message(void *arg, _unused_ struct rpc_call *call, struct span message)
{
	struct world *world = arg;
	buf_clear(&world->answer);
	assert_int_equal(buf_append(&world->answer, message), ERR_NONE);
	world->num_messages++;
}

static void on_done(void *arg, _unused_ struct rpc_call *call, enum rpc_status status, _unused_ const char *message,
	_unused_ uint32_t retry_after_ms)
{
	struct world *world = arg;
	world->status = status;
	world->is_over = true;
}

static struct rpc_call *call(struct world *world, const char *path, struct span message)
{
	static const struct rpc_call_handlers handlers = {on_message, on_done};
	struct rpc_call *started;
	world->is_over = false;
	world->num_messages = 0;
	assert_int_equal(rpc_client_call(world->client, path, 0, &handlers, world, &started), ERR_NONE);
	assert_int_equal(rpc_call_send(started, message), ERR_NONE);
	return started;
}

/* Proves the attestation key on this connection, for a CSR of the leaf key. */
static void encode_proof(
	struct world *world, bool on_this_connection, struct buf *key, struct buf *csr, struct buf *proof)
{
	uint8_t context[DIGEST_LEN], exported[32];
	assert_int_equal(private_key_public(world->attestation_key, key), ERR_NONE);
	assert_int_equal(csr_encode(world->leaf_key, csr), ERR_NONE);
	digest_sha256(buf_span(csr), context);
	assert_int_equal(tls_session_export(rpc_client_tls(world->client), ATTEST_EXPORTER_LABEL,
				 span_of(context, DIGEST_LEN), exported),
		ERR_NONE);
	exported[0] ^= on_this_connection ? 0 : 1;
	assert_int_equal(private_key_sign(world->attestation_key, span_of(exported, 32), proof), ERR_NONE);
}

static void encode_attest(struct world *world, bool on_this_connection, struct buf *out)
{
	Handfast__V1__AttestRequest request = HANDFAST__V1__ATTEST_REQUEST__INIT;
	Handfast__V1__Hello hello = HANDFAST__V1__HELLO__INIT;
	Handfast__V1__AttestationData data = HANDFAST__V1__ATTESTATION_DATA__INIT;
	Handfast__V1__JoinTokenData token = HANDFAST__V1__JOIN_TOKEN_DATA__INIT;
	_cleanup_(buf_done) struct buf key = BUF_INIT(1024), csr = BUF_INIT(CSR_MAX), proof = BUF_INIT(1024);
	encode_proof(world, on_this_connection, &key, &csr, &proof);
	hello.protocol_version = 1;
	ProtobufCBinaryData feature = pb_bytes(SPAN_LITERAL("claim-proof"));
	hello.features = &feature;
	hello.n_features = world->proves_claims ? 1 : 0;
	token.token_id = pb_bytes(buf_span(&world->token_id));
	token.secret = pb_bytes(buf_span(&world->secret));
	data.kind_case = HANDFAST__V1__ATTESTATION_DATA__KIND_JOIN_TOKEN;
	data.join_token = &token;
	request.hello = &hello;
	request.attestation_data = &data;
	request.attestation_key = pb_bytes(buf_span(&key));
	request.csr = pb_bytes(buf_span(&csr));
	request.proof = pb_bytes(buf_span(&proof));
	assert_int_equal(pb_pack(&request.base, out), ERR_NONE);
}

static void attest(struct world *world, bool on_this_connection)
{
	_cleanup_(buf_done) struct buf message = BUF_INIT(16384);
	encode_attest(world, on_this_connection, &message);
	rpc_call_close_send(call(world, "/handfast.v1.Enrollment/Attest", buf_span(&message)));
	wait_until(world, &world->is_over);
}

static void keep_svid(struct world *world)
{
	_cleanup_(pb_arena_freep) struct pb_arena *arena = NULL;
	ProtobufCMessage *unpacked;
	assert_int_equal(pb_unpack(&handfast__v1__attest_response__descriptor, buf_span(&world->answer), &arena,
				 &unpacked, NULL),
		ERR_NONE);
	const Handfast__V1__AttestResponse *answer = (const Handfast__V1__AttestResponse *)unpacked;
	struct span chain[2] = {pb_span(answer->svid->chain[0]), pb_span(answer->svid->chain[1])};
	assert_int_equal(answer->svid->n_chain, 2);
	assert_int_equal(answer->trust->epoch->counter, 1);
	assert_int_equal(svid_parse(chain, 2, &world->svid, NULL), ERR_NONE);
}

static void attests_without_a_certificate_and_opens_streams_with_the_new_one(void **state)
{
	struct world *world = *state;
	connect_client(world);
	attest(world, true);
	assert_int_equal(world->status, RPC_OK);
	keep_svid(world);
	assert_true(span_eq(spiffe_id_text(svid_id(world->svid)), SPAN_LITERAL(ID)));
	connect_client(world);
	assert_true(world->is_connected);
	call(world, "/handfast.v1.Identity/Stream", SPAN_LITERAL("\x0a\x02\x08\x01")); /* hello, version 1 */
	while (world->num_messages == 0)
		loop_run_once(world->loop, false);
	assert_int_equal(serve_num_streams(world->serve), 1);
}

/* C5: each stream costs memory, and work at every change. */
static void C5_a_connection_has_few_streams(void **state)
{
	struct world *world = *state;
	connect_client(world);
	attest(world, true);
	keep_svid(world);
	connect_client(world);
	for (int i = 0; i < 4; i++)
		call(world, "/handfast.v1.Identity/Stream", SPAN_LITERAL("\x0a\x02\x08\x01"));
	static const struct rpc_call_handlers handlers = {on_message, on_done};
	struct rpc_call *fifth;
	assert_int_equal(
		rpc_client_call(world->client, "/handfast.v1.Identity/Stream", 0, &handlers, world, &fifth), ERR_LIMIT);
	assert_true(WAIT_UNTIL(serve_num_streams(world->serve) == 4, loop_run_once(world->loop, false)));
}

/* C1: no message is parsed. */
static void C1_refuses_streams_to_a_client_without_certificate(void **state)
{
	struct world *world = *state;
	const char *paths[] = {"/handfast.v1.Identity/Stream", "/handfast.v1.Discovery/Stream"};
	for (size_t i = 0; i < 2; i++) {
		connect_client(world);
		call(world, paths[i], SPAN_LITERAL("\xff\xff\xff"));
		wait_until(world, &world->is_over);
		assert_int_equal(world->status, RPC_UNAUTHENTICATED);
		assert_int_equal(world->num_messages, 0);
	}
}

static void W9_W22_refuses_a_proof_made_for_another_connection(void **state)
{
	struct world *world = *state;
	connect_client(world);
	attest(world, false);
	assert_int_equal(world->status, RPC_PERMISSION_DENIED);
	assert_int_equal(world->num_messages, 0);
}

static void W11_W23_limits_a_source_that_attests_too_often(void **state)
{
	struct world *world = *state;
	connect_client(world);
	unsigned num_limited = 0;
	for (int i = 0; i < 10; i++) {
		attest(world, false);
		num_limited += world->status == RPC_RESOURCE_EXHAUSTED;
	}
	assert_true(num_limited >= 5);
}

static void replace_key(struct private_key **key)
{
	private_key_unref(*key);
	*key = private_key_generate();
}

static void W18_refuses_a_key_that_another_sidecar_uses(void **state)
{
	struct world *world = *state;
	connect_client(world);
	attest(world, true);
	assert_int_equal(world->status, RPC_OK);
	make_token(world);
	replace_key(&world->attestation_key);
	attest(world, true);
	assert_int_equal(world->status, RPC_PERMISSION_DENIED);
	assert_int_equal(world->num_messages, 0);
	replace_key(&world->leaf_key);
	attest(world, true);
	assert_int_equal(world->status, RPC_OK);
}

/* On a stream that is open: whether there is a certificate in the answer. */
static bool is_renewed(struct world *world, struct rpc_call *stream)
{
	Handfast__V1__IdentityUp up = HANDFAST__V1__IDENTITY_UP__INIT;
	Handfast__V1__RenewRequest renew = HANDFAST__V1__RENEW_REQUEST__INIT;
	Handfast__V1__AttestationData data = HANDFAST__V1__ATTESTATION_DATA__INIT;
	Handfast__V1__AttestationKeyData none = HANDFAST__V1__ATTESTATION_KEY_DATA__INIT;
	_cleanup_(buf_done) struct buf key = BUF_INIT(1024), csr = BUF_INIT(CSR_MAX), proof = BUF_INIT(1024),
				       message = BUF_INIT(16384);
	_cleanup_(pb_arena_freep) struct pb_arena *arena = NULL;
	ProtobufCMessage *unpacked;
	encode_proof(world, true, &key, &csr, &proof);
	data.kind_case = HANDFAST__V1__ATTESTATION_DATA__KIND_ATTESTATION_KEY;
	data.attestation_key = &none;
	renew.attestation_data = &data;
	renew.attestation_key = pb_bytes(buf_span(&key));
	renew.csr = pb_bytes(buf_span(&csr));
	renew.proof = pb_bytes(buf_span(&proof));
	up.kind_case = HANDFAST__V1__IDENTITY_UP__KIND_RENEW;
	up.renew = &renew;
	assert_int_equal(pb_pack(&up.base, &message), ERR_NONE);
	unsigned before = world->num_messages;
	assert_int_equal(rpc_call_send(stream, buf_span(&message)), ERR_NONE);
	while (world->num_messages == before)
		loop_run_once(world->loop, false);
	assert_int_equal(
		pb_unpack(&handfast__v1__identity_down__descriptor, buf_span(&world->answer), &arena, &unpacked, NULL),
		ERR_NONE);
	const Handfast__V1__IdentityDown *down = (const Handfast__V1__IdentityDown *)unpacked;
	assert_int_equal(down->kind_case, HANDFAST__V1__IDENTITY_DOWN__KIND_RENEWED);
	assert_int_equal(down->renewed->svid == NULL, down->renewed->refused_reason.len > 0);
	return down->renewed->svid != NULL;
}

static void W18_refuses_a_renewal_with_the_key_of_before(void **state)
{
	struct world *world = *state;
	connect_client(world);
	attest(world, true);
	keep_svid(world);
	connect_client(world);
	struct rpc_call *stream = call(world, "/handfast.v1.Identity/Stream", SPAN_LITERAL("\x0a\x02\x08\x01"));
	while (world->num_messages == 0) /* trust */
		loop_run_once(world->loop, false);
	assert_false(is_renewed(world, stream));
	replace_key(&world->leaf_key);
	assert_true(is_renewed(world, stream));
}

static void C4_refuses_bytes_that_are_not_a_message(void **state)
{
	struct world *world = *state;
	connect_client(world);
	rpc_call_close_send(call(world, "/handfast.v1.Enrollment/Attest", SPAN_LITERAL("\xff\xff\xff\xff")));
	wait_until(world, &world->is_over);
	assert_int_equal(world->status, RPC_INVALID_ARGUMENT);
}

static void W21_ends_the_connection_of_a_banned_identity(void **state)
{
	struct world *world = *state;
	_cleanup_(spiffe_id_done) struct spiffe_id id = {0};
	connect_client(world);
	attest(world, true);
	keep_svid(world);
	connect_client(world);
	call(world, "/handfast.v1.Identity/Stream", SPAN_LITERAL("\x0a\x02\x08\x01"));
	while (world->num_messages == 0)
		loop_run_once(world->loop, false);
	assert_int_equal(spiffe_id_parse(SPAN_LITERAL(ID), &id, NULL), ERR_NONE);
	svid_holders_ban(world->store, &id, 1800000000, NULL, NULL);
	wait_until(world, &world->is_closed);
	connect_client(world);
	wait_until(world, &world->is_closed); /* its certificate is refused in the handshake */
}

/* Claim and release in a loop: each is stored and distributed. */
static void finding_l6_changes_of_an_address_are_limited(void **state)
{
	struct world *world = *state;
	connect_client(world);
	attest(world, true);
	keep_svid(world);
	connect_client(world);
	struct rpc_call *stream = call(world, "/handfast.v1.Identity/Stream", SPAN_LITERAL("\x0a\x02\x08\x01"));
	assert_false(metrics_read(world->metrics, CONTROL_CHANGES_LIMITED) > 0);
	for (int i = 0; i < 200 && !world->is_over; i++) {
		struct span change = i % 2 == 0 ? SPAN_LITERAL("\x22\x00") : SPAN_LITERAL("\x2a\x00");
		assert_int_equal(rpc_call_send(stream, change), ERR_NONE);
		loop_run_once(world->loop, false);
	}
	wait_until(world, &world->is_over);
	assert_int_equal(world->status, RPC_RESOURCE_EXHAUSTED);
	assert_true(metrics_read(world->metrics, CONTROL_CHANGES_LIMITED) > 0);
}

/* --- proofs of claims --- */

/* Field 4 of IdentityUp. */
static void encode_claim(struct world *world, struct span context_text, struct buf *out)
{
	Handfast__V1__IdentityUp up = HANDFAST__V1__IDENTITY_UP__INIT;
	Handfast__V1__AddressClaim claim = HANDFAST__V1__ADDRESS_CLAIM__INIT;
	_cleanup_(buf_done) struct buf key = BUF_INIT(1024), proof = BUF_INIT(1024);
	uint8_t context[DIGEST_LEN], exported[32];
	up.kind_case = HANDFAST__V1__IDENTITY_UP__KIND_CLAIM;
	up.claim = &claim;
	if (context_text.len > 0) {
		digest_sha256(context_text, context);
		assert_int_equal(tls_session_export(rpc_client_tls(world->client), ATTEST_EXPORTER_LABEL,
					 span_of(context, DIGEST_LEN), exported),
			ERR_NONE);
		assert_int_equal(private_key_public(world->attestation_key, &key), ERR_NONE);
		assert_int_equal(private_key_sign(world->attestation_key, span_of(exported, 32), &proof), ERR_NONE);
		claim.attestation_key = pb_bytes(buf_span(&key));
		claim.proof = pb_bytes(buf_span(&proof));
	}
	assert_int_equal(pb_pack(&up.base, out), ERR_NONE);
}

/* A new stream that claims: "" when the claim is granted, else the reason. context: of the proof; empty: no proof. */
static const char *claim_over_a_stream(struct world *world, struct span context)
{
	static char refused[512];
	_cleanup_(pb_arena_freep) struct pb_arena *arena = NULL;
	_cleanup_(buf_done) struct buf message = BUF_INIT(4096);
	ProtobufCMessage *unpacked;
	connect_client(world);
	struct rpc_call *stream = call(world, "/handfast.v1.Identity/Stream", SPAN_LITERAL("\x0a\x02\x08\x01"));
	encode_claim(world, context, &message);
	assert_int_equal(rpc_call_send(stream, buf_span(&message)), ERR_NONE);
	while (world->num_messages < 2) /* the first is trust */
		loop_run_once(world->loop, false);
	assert_int_equal(
		pb_unpack(&handfast__v1__identity_down__descriptor, buf_span(&world->answer), &arena, &unpacked, NULL),
		ERR_NONE);
	const Handfast__V1__IdentityDown *down = (const Handfast__V1__IdentityDown *)unpacked;
	assert_int_equal(down->kind_case, HANDFAST__V1__IDENTITY_DOWN__KIND_CLAIM_RESULT);
	struct span reason = pb_span(down->claim_result->refused_reason);
	assert_int_equal(reason.len > 0, down->claim_result->retry_after_ms > 0);
	snprintf(refused, sizeof(refused), "%.*s", (int)reason.len, reason.len == 0 ? "" : (const char *)reason.ptr);
	return refused;
}

static void finding_l10_an_svid_without_a_proof_does_not_claim(void **state)
{
	struct world *world = *state;
	world->proves_claims = true;
	connect_client(world);
	attest(world, true);
	keep_svid(world);
	assert_non_null(strstr(claim_over_a_stream(world, SPAN_LITERAL("")), "the claim has no proof"));
	assert_non_null(strstr(claim_over_a_stream(world, SPAN_LITERAL("a CSR")), "the signature does not verify"));
	assert_string_equal(claim_over_a_stream(world, SPAN_LITERAL("handfast.v1.AddressClaim")), "");
}

/* Two releases of skew: a sidecar of 0.1 sends no proof, and its hello shows that. */
static void finding_l10_a_sidecar_of_release_0_1_claims_with_an_attested_svid(void **state)
{
	struct world *world = *state;
	connect_client(world);
	attest(world, true);
	keep_svid(world);
	assert_string_equal(claim_over_a_stream(world, SPAN_LITERAL("")), "");
}

static void on_issued_alone(void *arg, enum err err, const struct issued *issued, _unused_ const struct why *why)
{
	struct world *world = arg;
	assert_int_equal(err, ERR_NONE);
	assert_int_equal(svid_parse(issued->chain, issued->num_chain, &world->svid, NULL), ERR_NONE);
	world->is_ready = true;
}

static void finding_l10_an_svid_without_an_attestation_does_not_claim(void **state)
{
	struct world *world = *state;
	_cleanup_(spiffe_id_done) struct spiffe_id id = {0};
	_cleanup_(buf_done) struct buf spki = BUF_INIT(1024);
	assert_int_equal(spiffe_id_parse(SPAN_LITERAL(ID), &id, NULL), ERR_NONE);
	assert_int_equal(private_key_public(world->leaf_key, &spki), ERR_NONE);
	world->is_ready = false;
	issuer_issue(world->issuer, &id, buf_span(&spki), 60, on_issued_alone, world);
	wait_until(world, &world->is_ready);
	assert_non_null(strstr(claim_over_a_stream(world, SPAN_LITERAL("")), "the SVID is of unknown origin"));
	assert_non_null(strstr(claim_over_a_stream(world, SPAN_LITERAL("handfast.v1.AddressClaim")),
		"the attestation key is unknown"));
}

/* 51 of the 100: the oldest is closed, so that a sidecar that dials again is admitted. */
static void finding_l6_one_identity_has_half_of_the_connections(void **state)
{
	enum { MANY = 60 };
	struct world *world = *state;
	struct rpc_client *clients[MANY];
	connect_client(world);
	attest(world, true);
	keep_svid(world);
	disconnect(world);
	for (int i = 0; i < MANY; i++) {
		connect_client(world);
		assert_true(world->is_connected);
		clients[i] = keep_client(world);
	}
	for (int i = 0; i < 100; i++)
		loop_run_once(world->loop, false);
	assert_true(metrics_read(world->metrics, CONTROL_REFUSED_IDENTITY) > 0);
	assert_int_equal(serve_num_connections(world->serve), 51);
	for (int i = 0; i < MANY; i++)
		rpc_client_free(clients[i]);
	for (int i = 0; i < 10; i++)
		loop_run_once(world->loop, false);
}

static void never_called(_unused_ void *arg, _unused_ enum err err, _unused_ const struct granted *granted,
	_unused_ const struct why *why)
{
	fail_msg("an abandoned request was answered");
}

/* At the end of the program: the attestation data is checked, its answer is queued, and everything is freed. */
static void a_request_that_was_abandoned_may_end_after_its_granter(void **state)
{
	struct world *world = *state;
	const struct granter_options options = {world->loop, world->store, world->attest, world->issuer, 60};
	const struct attest_request nothing = {.kind = ATTESTATION_NONE};
	struct granter *granter = granter_new(&options);
	grant_abandon(grant_start(granter, &nothing, never_called, world));
	granter_free(granter);
	for (int i = 0; i < 3; i++)
		loop_run_once(world->loop, false); /* AddressSanitizer finds a use after free here */
}

/* A stranger needs no identity to complete a handshake. */
static void finding_i1_anonymous_connections_of_one_source_are_closed_when_the_limit_is_reached(void **state)
{
	enum { MANY = 12 };
	struct world *world = *state;
	struct rpc_client *strangers[MANY];
	for (int i = 0; i < MANY; i++) {
		connect_client(world);
		strangers[i] = keep_client(world);
	}
	assert_int_equal(serve_num_connections(world->serve), 10);
	assert_int_equal(ip_addr_parse(SPAN_LITERAL("127.0.0.2"), &world->source), ERR_NONE);
	connect_client(world); /* the stranger's end is closed first */
	for (int i = 0; i < 10000 && !world->is_connected; i++)
		loop_run_once(world->loop, false);
	assert_true(world->is_connected);
	attest(world, true);
	assert_int_equal(world->status, RPC_OK);
	keep_svid(world);
	connect_client(world);
	assert_true(world->is_connected);
	assert_int_equal(serve_num_connections(world->serve), 10);
	for (int i = 0; i < MANY; i++)
		rpc_client_free(strangers[i]);
	for (int i = 0; i < 10; i++)
		loop_run_once(world->loop, false);
	assert_int_equal(serve_num_connections(world->serve), 1); /* the connection with an identity stayed */
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
int main(int argc, char **argv)
{
	if (argc > 1 && strcmp(argv[1], SIGNER_COMMAND) == 0)
		return signer_main(argc, argv);
	const struct CMUnitTest tests[] = {
		TEST(attests_without_a_certificate_and_opens_streams_with_the_new_one),
		TEST(C5_a_connection_has_few_streams),
		TEST(C1_refuses_streams_to_a_client_without_certificate),
		TEST(W9_W22_refuses_a_proof_made_for_another_connection),
		TEST(W11_W23_limits_a_source_that_attests_too_often),
		TEST(W18_refuses_a_key_that_another_sidecar_uses),
		TEST(W18_refuses_a_renewal_with_the_key_of_before),
		TEST(C4_refuses_bytes_that_are_not_a_message),
		TEST(W21_ends_the_connection_of_a_banned_identity),
		TEST(finding_l6_changes_of_an_address_are_limited),
		TEST(finding_l10_an_svid_without_a_proof_does_not_claim),
		TEST(finding_l10_a_sidecar_of_release_0_1_claims_with_an_attested_svid),
		TEST(finding_l10_an_svid_without_an_attestation_does_not_claim),
		TEST(finding_l6_one_identity_has_half_of_the_connections),
		TEST(a_request_that_was_abandoned_may_end_after_its_granter),
		cmocka_unit_test_setup_teardown(
			finding_i1_anonymous_connections_of_one_source_are_closed_when_the_limit_is_reached,
			set_up_few_connections, tear_down),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
