#include "control/serve/test_client.h"
#include "base/core/mem.h"
#include "base/net/socket.h"
#include "certs/csr.h"
#include "proto/handfast/v1/enrollment.pb-c.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
/* cmocka requires the headers above */
#include <cmocka.h>

void world_disconnect(struct world *world)
{
	if (world->client != NULL)
		rpc_client_free(TAKE_PTR(world->client));
	world_run(world, 5);
}

static enum err accept_any(_unused_ void *arg, _unused_ const struct span *chain, _unused_ size_t num_chain,
	_unused_ struct svid **out_svid, _unused_ struct why *why)
{
	return ERR_NONE; /* what a sidecar verifies is tested in its own folders */
}

static void on_ready(void *arg, _unused_ struct rpc_client *client)
{
	((struct world *)arg)->is_connected = true;
}

/* Of the present client: a test may keep others beside it, which the server closes when it likes. */
static void on_close(void *arg, struct rpc_client *client, _unused_ const struct why *why)
{
	struct world *world = arg;
	world->is_closed |= client == world->client;
}

void world_connect(struct world *world)
{
	const struct socket_connect_options from = {.source = world->source.family == 0 ? NULL : &world->source};
	struct tls_session *session;
	int fd;
	world_disconnect(world);
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

/* A trust state may be sent at any moment, also before the answer to a renewal. */
static bool is_renewal(struct span message)
{
	_cleanup_(pb_arena_freep) struct pb_arena *arena = NULL;
	ProtobufCMessage *unpacked;
	assert_int_equal(
		pb_unpack(&handfast__v1__identity_down__descriptor, message, &arena, &unpacked, NULL), ERR_NONE);
	return ((const Handfast__V1__IdentityDown *)unpacked)->kind_case == HANDFAST__V1__IDENTITY_DOWN__KIND_RENEWED;
}

static void on_message(void *arg, _unused_ struct rpc_call *call, struct span message)
{
	struct world *world = arg;
	world->num_messages++;
	if (world->is_renewing) {
		if (world->is_renewed || !is_renewal(message))
			return;
		world->is_renewed = true;
	}
	buf_clear(&world->answer);
	assert_int_equal(buf_append(&world->answer, message), ERR_NONE);
}

static void on_done(void *arg, _unused_ struct rpc_call *call, enum rpc_status status, _unused_ const char *message,
	_unused_ uint32_t retry_after_ms)
{
	struct world *world = arg;
	world->status = status;
	world->is_over = true;
}

struct rpc_call *world_call(struct world *world, const char *path, struct span message)
{
	static const struct rpc_call_handlers handlers = {on_message, on_done};
	struct rpc_call *started;
	world->is_over = false;
	world->num_messages = 0;
	assert_int_equal(rpc_client_call(world->client, path, 0, &handlers, world, &started), ERR_NONE);
	assert_int_equal(rpc_call_send(started, message), ERR_NONE);
	return started;
}

struct rpc_call *world_open_stream(struct world *world)
{
	return world_call(
		world, "/handfast.v1.Identity/Stream", SPAN_LITERAL("\x0a\x02\x08\x01")); /* hello, version 1 */
}

void world_wait_for_messages(struct world *world, unsigned num)
{
	while (world->num_messages < num)
		loop_run_once(world->loop, false);
}

const Handfast__V1__IdentityDown *world_read_answer(struct world *world, struct pb_arena **out_arena)
{
	ProtobufCMessage *unpacked;
	assert_int_equal(pb_unpack(&handfast__v1__identity_down__descriptor, buf_span(&world->answer), out_arena,
				 &unpacked, NULL),
		ERR_NONE);
	return (const Handfast__V1__IdentityDown *)unpacked;
}

void world_prove(
	struct world *world, bool on_this_connection, struct span context_text, struct buf *key, struct buf *proof)
{
	uint8_t context[DIGEST_LEN], exported[32];
	assert_int_equal(private_key_public(world->attestation_key, key), ERR_NONE);
	digest_sha256(context_text, context);
	assert_int_equal(tls_session_export(rpc_client_tls(world->client), ATTEST_EXPORTER_LABEL,
				 span_of(context, DIGEST_LEN), exported),
		ERR_NONE);
	exported[0] ^= on_this_connection ? 0 : 1;
	assert_int_equal(private_key_sign(world->attestation_key, span_of(exported, 32), proof), ERR_NONE);
}

void world_encode_proof(
	struct world *world, bool on_this_connection, struct buf *key, struct buf *csr, struct buf *proof)
{
	assert_int_equal(csr_encode(world->leaf_key, csr), ERR_NONE);
	world_prove(world, on_this_connection, buf_span(csr), key, proof);
}

static void use_kubernetes(
	const struct world *world, Handfast__V1__KubernetesData *projected, Handfast__V1__AttestationData *data)
{
	if (world->kubernetes_token == NULL)
		return;
	projected->token = pb_bytes(span_of_str(world->kubernetes_token));
	data->kind_case = HANDFAST__V1__ATTESTATION_DATA__KIND_KUBERNETES;
	data->kubernetes = projected;
}

static void encode_attest(struct world *world, bool on_this_connection, struct buf *out)
{
	Handfast__V1__AttestRequest request = HANDFAST__V1__ATTEST_REQUEST__INIT;
	Handfast__V1__Hello hello = HANDFAST__V1__HELLO__INIT;
	Handfast__V1__AttestationData data = HANDFAST__V1__ATTESTATION_DATA__INIT;
	Handfast__V1__JoinTokenData token = HANDFAST__V1__JOIN_TOKEN_DATA__INIT;
	Handfast__V1__KubernetesData projected = HANDFAST__V1__KUBERNETES_DATA__INIT;
	_cleanup_(buf_done) struct buf key = BUF_INIT(1024), csr = BUF_INIT(CSR_MAX), proof = BUF_INIT(1024);
	world_encode_proof(world, on_this_connection, &key, &csr, &proof);
	hello.protocol_version = 1;
	ProtobufCBinaryData features[2];
	if (world->proves_claims)
		features[hello.n_features++] = pb_bytes(SPAN_LITERAL("claim-proof"));
	if (world->opens_streams_here)
		features[hello.n_features++] = pb_bytes(SPAN_LITERAL("attested-streams"));
	hello.features = features;
	token.token_id = pb_bytes(buf_span(&world->token_id));
	token.secret = pb_bytes(buf_span(&world->secret));
	data.kind_case = HANDFAST__V1__ATTESTATION_DATA__KIND_JOIN_TOKEN;
	data.join_token = &token;
	use_kubernetes(world, &projected, &data);
	request.hello = &hello;
	request.attestation_data = &data;
	request.attestation_key = pb_bytes(buf_span(&key));
	request.csr = pb_bytes(buf_span(&csr));
	request.proof = pb_bytes(buf_span(&proof));
	assert_int_equal(pb_pack(&request.base, out), ERR_NONE);
}

void world_attest(struct world *world, bool on_this_connection)
{
	_cleanup_(buf_done) struct buf message = BUF_INIT(16384);
	encode_attest(world, on_this_connection, &message);
	rpc_call_close_send(world_call(world, "/handfast.v1.Enrollment/Attest", buf_span(&message)));
	world_wait_until(world, &world->is_over);
}

void world_keep_svid(struct world *world)
{
	_cleanup_(pb_arena_freep) struct pb_arena *arena = NULL;
	ProtobufCMessage *unpacked;
	assert_int_equal(pb_unpack(&handfast__v1__attest_response__descriptor, buf_span(&world->answer), &arena,
				 &unpacked, NULL),
		ERR_NONE);
	const Handfast__V1__AttestResponse *answer = (const Handfast__V1__AttestResponse *)unpacked;
	struct span chain[2] = {pb_span(answer->svid->chain[0]), pb_span(answer->svid->chain[1])};
	assert_int_equal(answer->svid->n_chain, 2);
	/* Lists of what is revoked come within seconds, with the next epoch. */
	assert_in_range(answer->trust->epoch->counter, 1, trust_epoch(world->trust).counter);
	world->streams_here = answer->streams_here;
	assert_int_equal(svid_parse(chain, 2, &world->svid, NULL), ERR_NONE);
}

void world_enroll(struct world *world)
{
	world_connect(world);
	world_attest(world, true);
	assert_int_equal(world->status, RPC_OK);
	world_keep_svid(world);
}

void world_replace_key(struct private_key **key)
{
	private_key_unref(*key);
	*key = private_key_generate();
}

bool world_renew(struct world *world, struct rpc_call *stream)
{
	Handfast__V1__IdentityUp up = HANDFAST__V1__IDENTITY_UP__INIT;
	Handfast__V1__RenewRequest renew = HANDFAST__V1__RENEW_REQUEST__INIT;
	Handfast__V1__AttestationData data = HANDFAST__V1__ATTESTATION_DATA__INIT;
	Handfast__V1__AttestationKeyData none = HANDFAST__V1__ATTESTATION_KEY_DATA__INIT;
	Handfast__V1__KubernetesData projected = HANDFAST__V1__KUBERNETES_DATA__INIT;
	_cleanup_(buf_done) struct buf key = BUF_INIT(1024), csr = BUF_INIT(CSR_MAX), proof = BUF_INIT(1024),
				       message = BUF_INIT(16384);
	_cleanup_(pb_arena_freep) struct pb_arena *arena = NULL;
	world_encode_proof(world, true, &key, &csr, &proof);
	data.kind_case = HANDFAST__V1__ATTESTATION_DATA__KIND_ATTESTATION_KEY;
	data.attestation_key = &none;
	use_kubernetes(world, &projected, &data);
	renew.attestation_data = &data;
	renew.attestation_key = pb_bytes(buf_span(&key));
	renew.csr = pb_bytes(buf_span(&csr));
	renew.proof = pb_bytes(buf_span(&proof));
	up.kind_case = HANDFAST__V1__IDENTITY_UP__KIND_RENEW;
	up.renew = &renew;
	assert_int_equal(pb_pack(&up.base, &message), ERR_NONE);
	world->is_renewing = true;
	world->is_renewed = false;
	assert_int_equal(rpc_call_send(stream, buf_span(&message)), ERR_NONE);
	while (!world->is_renewed)
		loop_run_once(world->loop, false);
	world->is_renewing = false;
	const Handfast__V1__IdentityDown *down = world_read_answer(world, &arena);
	assert_int_equal(down->kind_case, HANDFAST__V1__IDENTITY_DOWN__KIND_RENEWED);
	assert_int_equal(down->renewed->svid == NULL, down->renewed->refused_reason.len > 0);
	return down->renewed->svid != NULL;
}

void world_acknowledge(struct rpc_call *stream, struct epoch epoch)
{
	Handfast__V1__IdentityUp up = HANDFAST__V1__IDENTITY_UP__INIT;
	Handfast__V1__TrustAck ack = HANDFAST__V1__TRUST_ACK__INIT;
	Handfast__V1__Epoch of = HANDFAST__V1__EPOCH__INIT;
	_cleanup_(buf_done) struct buf message = BUF_INIT(256);
	of.incarnation = epoch.incarnation;
	of.counter = epoch.counter;
	ack.epoch = &of;
	up.kind_case = HANDFAST__V1__IDENTITY_UP__KIND_ACK;
	up.ack = &ack;
	assert_int_equal(pb_pack(&up.base, &message), ERR_NONE);
	assert_int_equal(rpc_call_send(stream, buf_span(&message)), ERR_NONE);
}
