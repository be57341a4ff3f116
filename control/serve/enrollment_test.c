/* Attest: a join token and a proof become an SVID; other requests are refused. */
#include "control/issue/signer.h"
#include "control/serve/grant.h"
#include "control/serve/test_client.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
/* cmocka requires the headers above */
#include <cmocka.h>

static void attests_without_a_certificate_and_opens_streams_with_the_new_one(void **state)
{
	struct world *world = *state;
	world_connect(world);
	world_attest(world, true);
	assert_int_equal(world->status, RPC_OK);
	world_keep_svid(world);
	assert_true(span_eq(spiffe_id_text(svid_id(world->svid)), SPAN_LITERAL(TEST_ID)));
	world_connect(world);
	assert_true(world->is_connected);
	world_open_stream(world);
	world_wait_for_messages(world, 1);
	assert_int_equal(serve_num_streams(world->serve), 1);
}

static void W9_W22_refuses_a_proof_made_for_another_connection(void **state)
{
	struct world *world = *state;
	world_connect(world);
	world_attest(world, false);
	assert_int_equal(world->status, RPC_PERMISSION_DENIED);
	assert_int_equal(world->num_messages, 0);
}

static void W11_W23_limits_a_source_that_attests_too_often(void **state)
{
	struct world *world = *state;
	world_connect(world);
	unsigned num_limited = 0;
	uint64_t began_ms = loop_now_ms(world->loop);
	for (int i = 0; i < 10; i++) {
		world_attest(world, false);
		num_limited += world->status == RPC_RESOURCE_EXHAUSTED;
	}
	/* Three at once and three a second: more of them on a slow machine. */
	uint64_t passed_ms = loop_now_ms(world->loop) - began_ms;
	assert_in_range(10 - num_limited, 3, 5 + 3 * passed_ms / 1000);
}

static void W18_refuses_a_key_that_another_sidecar_uses(void **state)
{
	struct world *world = *state;
	world_connect(world);
	world_attest(world, true);
	assert_int_equal(world->status, RPC_OK);
	world_make_token(world);
	world_replace_key(&world->attestation_key);
	world_attest(world, true);
	assert_int_equal(world->status, RPC_PERMISSION_DENIED);
	assert_int_equal(world->num_messages, 0);
	world_replace_key(&world->leaf_key);
	world_attest(world, true);
	assert_int_equal(world->status, RPC_OK);
}

static void C4_refuses_bytes_that_are_not_a_message(void **state)
{
	struct world *world = *state;
	world_connect(world);
	rpc_call_close_send(world_call(world, "/handfast.v1.Enrollment/Attest", SPAN_LITERAL("\xff\xff\xff\xff")));
	world_wait_until(world, &world->is_over);
	assert_int_equal(world->status, RPC_INVALID_ARGUMENT);
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
	const struct granter_options options = {
		world->loop, world->store, world->attest, world->issuer, world->rotation, 60};
	const struct attest_request nothing = {.kind = ATTESTATION_NONE};
	struct granter *granter = granter_new(&options);
	grant_abandon(grant_start(granter, &nothing, never_called, world));
	granter_free(granter);
	world_run(world, 3); /* AddressSanitizer finds a use after free here */
}

int main(int argc, char **argv)
{
	if (argc > 1 && strcmp(argv[1], SIGNER_COMMAND) == 0)
		return signer_main(argc, argv);
	const struct CMUnitTest tests[] = {
		WORLD_TEST(attests_without_a_certificate_and_opens_streams_with_the_new_one),
		WORLD_TEST(W9_W22_refuses_a_proof_made_for_another_connection),
		WORLD_TEST(W11_W23_limits_a_source_that_attests_too_often),
		WORLD_TEST(W18_refuses_a_key_that_another_sidecar_uses),
		WORLD_TEST(C4_refuses_bytes_that_are_not_a_message),
		WORLD_TEST(a_request_that_was_abandoned_may_end_after_its_granter),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
