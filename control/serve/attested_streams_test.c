/* Streams on the connection of the attestation (decision 079). */
#include "control/issue/signer.h"
#include "control/serve/test_client.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
/* cmocka requires the headers above */
#include <cmocka.h>

static void attest_here(struct world *world)
{
	world->opens_streams_here = true;
	world_enroll(world);
	assert_true(world->streams_here);
}

static void streams_open_on_the_connection_of_the_attestation(void **state)
{
	struct world *world = *state;
	attest_here(world);
	struct rpc_call *stream = world_open_stream(world);
	world_wait_for_messages(world, 1);
	assert_int_equal(serve_num_streams(world->serve), 1);
	assert_int_equal(serve_num_connections(world->serve), 1);
	world_replace_key(&world->leaf_key);
	assert_true(world_renew(world, stream));
	assert_false(world->is_closed);
}

/* A sidecar of release 0.1 connects again; until then its connection is a stranger's. */
static void C1_an_attested_connection_has_no_identity_unless_it_was_asked_for(void **state)
{
	struct world *world = *state;
	world_enroll(world);
	assert_false(world->streams_here);
	world_open_stream(world);
	world_wait_until(world, &world->is_over);
	assert_int_equal(world->status, RPC_UNAUTHENTICATED);
	world_connect(world);
	world_open_stream(world);
	world_wait_for_messages(world, 1);
}

static void C1_a_refused_attestation_gives_the_connection_nothing(void **state)
{
	struct world *world = *state;
	world->opens_streams_here = true;
	world_connect(world);
	world_attest(world, false);
	assert_int_equal(world->status, RPC_PERMISSION_DENIED);
	world_open_stream(world);
	world_wait_until(world, &world->is_over);
	assert_int_equal(world->status, RPC_UNAUTHENTICATED);
}

static void W20_a_connection_keeps_its_first_identity(void **state)
{
	struct world *world = *state;
	attest_here(world);
	world_make_token(world);
	world_replace_key(&world->attestation_key);
	world_replace_key(&world->leaf_key);
	world_attest(world, true);
	assert_int_equal(world->status, RPC_OK);
	svid_unref(world->svid);
	world_keep_svid(world);
	assert_false(world->streams_here);
	assert_int_equal(serve_num_connections(world->serve), 1);
}

static void W21_a_ban_ends_the_connection_of_an_attestation(void **state)
{
	struct world *world = *state;
	_cleanup_(spiffe_id_done) struct spiffe_id id = {0};
	attest_here(world);
	world_open_stream(world);
	world_wait_for_messages(world, 1);
	assert_int_equal(spiffe_id_parse(SPAN_LITERAL(TEST_ID), &id, NULL), ERR_NONE);
	svid_holders_ban(world->store, &id, 1800000000, NULL, NULL);
	world_wait_until(world, &world->is_closed);
}

static void an_identity_has_half_of_the_connections_however_it_was_proven(void **state)
{
	enum { MANY = 8 };
	struct world *world = *state;
	struct rpc_client *clients[MANY];
	attest_here(world);
	clients[0] = TAKE_PTR(world->client);
	for (int i = 1; i < MANY; i++) {
		world_connect(world);
		assert_true(world->is_connected);
		clients[i] = TAKE_PTR(world->client);
	}
	while (serve_num_connections(world->serve) > 6)
		loop_run_once(world->loop, false);
	world_run(world, 100);
	assert_int_equal(serve_num_connections(world->serve), 6);
	for (int i = 0; i < MANY; i++)
		rpc_client_free(clients[i]);
	world_run(world, 10);
}

/* Field 4 of IdentityUp, without a proof: no SVID was presented from which an attestation could be known. */
static void finding_l10_a_claim_there_needs_its_proof(void **state)
{
	struct world *world = *state;
	_cleanup_(pb_arena_freep) struct pb_arena *arena = NULL;
	attest_here(world);
	struct rpc_call *stream = world_open_stream(world);
	assert_int_equal(rpc_call_send(stream, SPAN_LITERAL("\x22\x00")), ERR_NONE);
	world_wait_for_messages(world, 2); /* the first is trust */
	const Handfast__V1__IdentityDown *down = world_read_answer(world, &arena);
	assert_int_equal(down->kind_case, HANDFAST__V1__IDENTITY_DOWN__KIND_CLAIM_RESULT);
	assert_true(down->claim_result->refused_reason.len > 0);
}

static int set_up_few_connections(void **state)
{
	return world_set_up_for(state, 10);
}

int main(int argc, char **argv)
{
	if (argc > 1 && strcmp(argv[1], SIGNER_COMMAND) == 0)
		return signer_main(argc, argv);
	const struct CMUnitTest tests[] = {
		WORLD_TEST(streams_open_on_the_connection_of_the_attestation),
		WORLD_TEST(C1_an_attested_connection_has_no_identity_unless_it_was_asked_for),
		WORLD_TEST(C1_a_refused_attestation_gives_the_connection_nothing),
		WORLD_TEST(W20_a_connection_keeps_its_first_identity),
		WORLD_TEST(W21_a_ban_ends_the_connection_of_an_attestation),
		cmocka_unit_test_setup_teardown(an_identity_has_half_of_the_connections_however_it_was_proven,
			set_up_few_connections, world_tear_down),
		WORLD_TEST(finding_l10_a_claim_there_needs_its_proof),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
