/* Identities that get no join token. */
#include "control/attest/test_attest.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
/* cmocka requires the headers above */
#include <cmocka.h>

static void finding_i10_no_token_is_made_for_a_banned_identity_until_the_ban_is_lifted(void **state)
{
	struct world *world = *state;
	const uint8_t hash[DIGEST_LEN] = {1};
	struct attest_token_request request = {SPAN_LITERAL(TEST_ID), 60, NULL, 0, hash};
	struct why why = {0};
	_cleanup_(private_key_unrefp) struct private_key *key = private_key_generate();
	_cleanup_(spiffe_id_done) struct spiffe_id id = world_id(TEST_ID);
	assert_int_equal(svid_holders_unban(world->store, &id, NULL, NULL), ERR_NOT_FOUND);
	world_ban(world, &id);
	assert_int_equal(attest_token_create(world->attest, &request, world_on_token, world, &why), ERR_REVOKED);
	assert_non_null(strstr(why.fix, "handfast unban"));
	assert_int_equal(svid_holders_unban(world->store, &id, NULL, NULL), ERR_NONE);
	while (svid_holders_is_banned(world->store, &id))
		loop_run_once(world->loop, false);
	assert_int_equal(world_attest(world, ATTESTATION_JOIN_TOKEN, key), ERR_NONE);
}

static void C18_makes_no_token_for_an_identity_that_no_workload_may_have(void **state)
{
	struct world *world = *state;
	const uint8_t hash[DIGEST_LEN] = {0};
	const char *bad[] = {"spiffe://td", "spiffe://td/handfast/control", "spiffe://other/a", "spiffe://td/*", "",
		"spiffe://td/a\nid=spiffe://td/b"};
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		struct attest_token_request request = {span_of_str(bad[i]), 60, NULL, 0, hash};
		assert_int_not_equal(
			attest_token_create(world->attest, &request, world_on_token, world, NULL), ERR_NONE);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		WORLD_TEST(finding_i10_no_token_is_made_for_a_banned_identity_until_the_ban_is_lifted),
		WORLD_TEST(C18_makes_no_token_for_an_identity_that_no_workload_may_have),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
