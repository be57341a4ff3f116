/* Address claims over a stream: the proof that they need, and how often an address may change. */
#include "base/core/test_wait.h"
#include "control/issue/signer.h"
#include "control/serve/test_client.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
/* cmocka requires the headers above */
#include <cmocka.h>

/* Field 4 of IdentityUp. */
static void encode_claim(struct world *world, struct span context_text, struct buf *out)
{
	Handfast__V1__IdentityUp up = HANDFAST__V1__IDENTITY_UP__INIT;
	Handfast__V1__AddressClaim claim = HANDFAST__V1__ADDRESS_CLAIM__INIT;
	_cleanup_(buf_done) struct buf key = BUF_INIT(1024), proof = BUF_INIT(1024);
	up.kind_case = HANDFAST__V1__IDENTITY_UP__KIND_CLAIM;
	up.claim = &claim;
	if (context_text.len > 0) {
		world_prove(world, true, context_text, &key, &proof);
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
	world_connect(world);
	struct rpc_call *stream = world_open_stream(world);
	encode_claim(world, context, &message);
	assert_int_equal(rpc_call_send(stream, buf_span(&message)), ERR_NONE);
	world_wait_for_messages(world, 2); /* the first is trust */
	const Handfast__V1__IdentityDown *down = world_read_answer(world, &arena);
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
	world_enroll(world);
	assert_non_null(strstr(claim_over_a_stream(world, SPAN_LITERAL("")), "the claim has no proof"));
	assert_non_null(strstr(claim_over_a_stream(world, SPAN_LITERAL("a CSR")), "the signature does not verify"));
	assert_string_equal(claim_over_a_stream(world, SPAN_LITERAL("handfast.v1.AddressClaim")), "");
}

/* Two releases of skew: a sidecar of 0.1 sends no proof, and its hello shows that. */
static void finding_l10_a_sidecar_of_release_0_1_claims_with_an_attested_svid(void **state)
{
	struct world *world = *state;
	world_enroll(world);
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
	assert_int_equal(spiffe_id_parse(SPAN_LITERAL(TEST_ID), &id, NULL), ERR_NONE);
	assert_int_equal(private_key_public(world->leaf_key, &spki), ERR_NONE);
	world->is_ready = false;
	issuer_issue(world->issuer, &id, buf_span(&spki), 60, on_issued_alone, world);
	world_wait_until(world, &world->is_ready);
	assert_non_null(strstr(claim_over_a_stream(world, SPAN_LITERAL("")), "the SVID is of unknown origin"));
	assert_non_null(strstr(claim_over_a_stream(world, SPAN_LITERAL("handfast.v1.AddressClaim")),
		"the attestation key is unknown"));
}

/* Claim and release in a loop: each is stored and distributed. */
static void finding_l6_changes_of_an_address_are_limited(void **state)
{
	struct world *world = *state;
	world_enroll(world);
	world_connect(world);
	struct rpc_call *stream = world_open_stream(world);
	assert_false(metrics_read(world->metrics, CONTROL_CHANGES_LIMITED) > 0);
	for (int i = 0; i < 200 && !world->is_over; i++) {
		struct span change = i % 2 == 0 ? SPAN_LITERAL("\x22\x00") : SPAN_LITERAL("\x2a\x00");
		assert_int_equal(rpc_call_send(stream, change), ERR_NONE);
		loop_run_once(world->loop, false);
	}
	world_wait_until(world, &world->is_over);
	assert_int_equal(world->status, RPC_RESOURCE_EXHAUSTED);
	assert_true(metrics_read(world->metrics, CONTROL_CHANGES_LIMITED) > 0);
}

static enum err send_hello(struct rpc_call *stream, bool is_draining, uint8_t zone)
{
	Handfast__V1__IdentityUp up = HANDFAST__V1__IDENTITY_UP__INIT;
	Handfast__V1__Hello hello = HANDFAST__V1__HELLO__INIT;
	_cleanup_(buf_done) struct buf message = BUF_INIT(4096);
	hello.protocol_version = 1;
	up.draining = is_draining;
	up.zone = zone;
	up.kind_case = HANDFAST__V1__IDENTITY_UP__KIND_HELLO;
	up.hello = &hello;
	assert_int_equal(pb_pack(&up.base, &message), ERR_NONE);
	return rpc_call_send(stream, buf_span(&message));
}

static struct registry_reported reported(const struct world *world)
{
	struct ip_addr ip;
	assert_int_equal(ip_addr_parse(SPAN_LITERAL("127.0.0.1"), &ip), ERR_NONE);
	return registry_reported(world->registry, &ip);
}

/* Each change would be stored, and be an answer to all subscribers. */
static void finding_l6_streams_without_the_claim_change_nothing_of_its_address(void **state)
{
	struct world *world = *state;
	world->proves_claims = true;
	world_enroll(world);
	assert_string_equal(claim_over_a_stream(world, SPAN_LITERAL("handfast.v1.AddressClaim")), "");
	for (uint8_t i = 1; i <= 50; i++) {
		struct rpc_call *call = world_open_stream(world);
		world_wait_for_messages(world, 1); /* trust, when the stream is open */
		assert_int_equal(send_hello(call, i % 2 == 1, i), ERR_NONE);
		for (unsigned round = 0; round < 5; round++)
			loop_run_once(world->loop, false);
		assert_int_equal(reported(world).zone, 0);
		assert_false(reported(world).is_draining);
		rpc_call_cancel(call);
	}
}

static struct rpc_call *claim_again(struct world *world)
{
	_cleanup_(buf_done) struct buf message = BUF_INIT(4096);
	struct rpc_call *stream = world_open_stream(world);
	encode_claim(world, SPAN_LITERAL("handfast.v1.AddressClaim"), &message);
	assert_int_equal(rpc_call_send(stream, buf_span(&message)), ERR_NONE);
	world_wait_for_messages(world, 2);
	return stream;
}

/* Two streams that hold it, each with a hello that stays the same. */
static void finding_l6_streams_that_undo_each_others_hello_are_limited(void **state)
{
	struct world *world = *state;
	world->proves_claims = true;
	world_enroll(world);
	world_connect(world);
	struct rpc_call *streams[] = {claim_again(world), claim_again(world)};
	for (uint8_t i = 0; i < 100 && !world->is_over; i++) {
		assert_int_equal(send_hello(streams[i % 2], false, (uint8_t)(7 + i % 2)), ERR_NONE);
		assert_true(WAIT_UNTIL(
			reported(world).zone == 7u + i % 2 || world->is_over, loop_run_once(world->loop, false)));
	}
	assert_true(world->is_over);
	assert_int_equal(world->status, RPC_RESOURCE_EXHAUSTED);
	assert_true(metrics_read(world->metrics, CONTROL_CHANGES_LIMITED) > 0);
}

int main(int argc, char **argv)
{
	if (argc > 1 && strcmp(argv[1], SIGNER_COMMAND) == 0)
		return signer_main(argc, argv);
	const struct CMUnitTest tests[] = {
		WORLD_TEST(finding_l10_an_svid_without_a_proof_does_not_claim),
		WORLD_TEST(finding_l10_a_sidecar_of_release_0_1_claims_with_an_attested_svid),
		WORLD_TEST(finding_l10_an_svid_without_an_attestation_does_not_claim),
		WORLD_TEST(finding_l6_changes_of_an_address_are_limited),
		WORLD_TEST(finding_l6_streams_without_the_claim_change_nothing_of_its_address),
		WORLD_TEST(finding_l6_streams_that_undo_each_others_hello_are_limited),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
