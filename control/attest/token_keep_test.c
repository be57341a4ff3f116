/* Join tokens are listed, revoked, and removed after they expire. */
#include "control/attest/test_attest.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
/* cmocka requires the headers above */
#include <cmocka.h>

struct seen {
	unsigned num, num_used;
	uint8_t last[JOIN_TOKEN_ID_LEN];
};

static void see_token(void *arg, struct span id, const struct join_token *token)
{
	struct seen *seen = arg;
	seen->num++;
	seen->num_used += token->is_bound;
	memcpy(seen->last, id.ptr, id.len);
}

static struct seen tokens(const struct world *world)
{
	struct seen seen = {0};
	attest_token_each(world->attest, see_token, &seen);
	return seen;
}

static void wait_for_tokens(struct world *world, unsigned num)
{
	while (tokens(world).num != num)
		loop_run_once(world->loop, false);
}

static void finding_i10_an_unused_token_is_listed_and_revoked(void **state)
{
	struct world *world = *state;
	struct attest_revoked revoked = {0};
	struct seen seen = tokens(world);
	_cleanup_(private_key_unrefp) struct private_key *key = private_key_generate();
	assert_int_equal(seen.num, 1);
	assert_int_equal(seen.num_used, 0);
	assert_int_equal(attest_token_revoke(world->attest, SPAN_LITERAL("0123456789abcdef"), &revoked, NULL, NULL),
		ERR_NOT_FOUND);
	assert_int_equal(attest_token_revoke(world->attest, span_of(seen.last, sizeof seen.last), &revoked, NULL, NULL),
		ERR_NONE);
	assert_false(revoked.was_used);
	assert_string_equal(revoked.id.text, TEST_ID);
	spiffe_id_done(&revoked.id);
	wait_for_tokens(world, 0);
	assert_int_equal(world_attest(world, ATTESTATION_JOIN_TOKEN, key), ERR_DENIED);
}

static void finding_i10_a_ban_revokes_the_unused_tokens_of_its_identity(void **state)
{
	struct world *world = *state;
	_cleanup_(spiffe_id_done) struct spiffe_id id = world_id(TEST_ID);
	world_make_token(world, TEST_ID);
	world_make_token(world, "spiffe://td/ns/b");
	assert_int_equal(attest_tokens_drop(world->attest, &id), 2);
	wait_for_tokens(world, 1);
}

static void finding_i12_expired_tokens_are_removed(void **state)
{
	struct world *world = *state;
	_cleanup_(private_key_unrefp) struct private_key *key = private_key_generate();
	assert_int_equal(world_attest(world, ATTESTATION_JOIN_TOKEN, key), ERR_NONE);
	world_make_token(world, TEST_ID);
	assert_int_equal(attest_tokens_prune(world->attest, 100), 0);
	clock_fake_advance(&world->clock, 61 * 1000);
	assert_int_equal(attest_tokens_prune(world->attest, 100), 1); /* the unused token */
	wait_for_tokens(world, 1);
	clock_fake_advance(&world->clock, 86400 * 1000);
	assert_int_equal(attest_tokens_prune(world->attest, 0), 0);
	assert_int_equal(attest_tokens_prune(world->attest, 100), 1);
	wait_for_tokens(world, 0);
	assert_int_equal(
		world_attest(world, ATTESTATION_KEY, key), ERR_NONE); /* the key that it enrolled stays valid */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		WORLD_TEST(finding_i10_an_unused_token_is_listed_and_revoked),
		WORLD_TEST(finding_i10_a_ban_revokes_the_unused_tokens_of_its_identity),
		WORLD_TEST(finding_i12_expired_tokens_are_removed),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
