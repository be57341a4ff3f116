/* What proves an identity: a join token once, the attestation key that it enrolled from then on. */
#include "certs/csr.h"
#include "control/attest/test_attest.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
/* cmocka requires the headers above */
#include <cmocka.h>

static void a_token_enrolls_a_key_that_attests_from_then_on(void **state)
{
	struct world *world = *state;
	_cleanup_(private_key_unrefp) struct private_key *key = private_key_generate();
	assert_int_equal(world_attest(world, ATTESTATION_KEY, key), ERR_DENIED);
	assert_int_equal(world_attest(world, ATTESTATION_JOIN_TOKEN, key), ERR_NONE);
	assert_string_equal(world->id, TEST_ID);
	assert_true(world->is_recorded);
	assert_int_equal(world_attest(world, ATTESTATION_JOIN_TOKEN, key), ERR_NONE);
	clock_fake_advance(&world->clock, 86400000);
	assert_int_equal(world_attest(world, ATTESTATION_KEY, key), ERR_NONE);
	assert_string_equal(world->id, TEST_ID);
}

static void W9_refuses_a_second_key_for_the_token(void **state)
{
	struct world *world = *state;
	_cleanup_(private_key_unrefp) struct private_key *first = private_key_generate();
	_cleanup_(private_key_unrefp) struct private_key *second = private_key_generate();
	assert_int_equal(world_attest(world, ATTESTATION_JOIN_TOKEN, first), ERR_NONE);
	assert_int_equal(world_attest(world, ATTESTATION_JOIN_TOKEN, second), ERR_DENIED);
	assert_int_equal(world_attest(world, ATTESTATION_KEY, second), ERR_DENIED);
}

static void W10_of_fifty_keys_at_once_exactly_one_wins_and_may_retry(void **state)
{
	struct world *world = *state;
	enum { NUM = 50 };
	struct private_key *keys[NUM];
	unsigned before = world->num_done, winners = 0;
	for (size_t i = 0; i < NUM; i++) {
		keys[i] = private_key_generate();
		_cleanup_(asking_done) struct asking asking = world_ask(world, ATTESTATION_JOIN_TOKEN, keys[i]);
		attest_check(world->attest, &asking.request, world_on_done, world);
	}
	world_wait_for(world, before + NUM);
	assert_int_equal(world->num_good, 1);
	for (size_t i = 0; i < NUM; i++) {
		winners += world_attest(world, ATTESTATION_JOIN_TOKEN, keys[i]) == ERR_NONE;
		private_key_unref(keys[i]);
	}
	assert_int_equal(winners, 1);
}

/* W9: a signature made for another connection. */
static void W9_refuses_a_proof_for_another_connection_or_key(void **state)
{
	struct world *world = *state;
	_cleanup_(private_key_unrefp) struct private_key *key = private_key_generate();
	_cleanup_(private_key_unrefp) struct private_key *other = private_key_generate();
	_cleanup_(asking_done) struct asking asking = world_ask(world, ATTESTATION_JOIN_TOKEN, key);
	_cleanup_(asking_done) struct asking foreign = world_ask(world, ATTESTATION_JOIN_TOKEN, other);
	asking.request.exported[31] ^= 1;
	assert_int_equal(world_check(world, &asking.request), ERR_CRYPTO);
	asking.request.exported[31] ^= 1;
	asking.request.proof = foreign.request.proof;
	assert_int_equal(world_check(world, &asking.request), ERR_CRYPTO);
	asking.request.proof = span_of(NULL, 0);
	assert_int_not_equal(world_check(world, &asking.request), ERR_NONE);
}

static void W9_W21_refuses_a_banned_identity_with_any_attestation_data(void **state)
{
	struct world *world = *state;
	_cleanup_(private_key_unrefp) struct private_key *key = private_key_generate();
	_cleanup_(spiffe_id_done) struct spiffe_id id = world_id(TEST_ID);
	assert_int_equal(world_attest(world, ATTESTATION_JOIN_TOKEN, key), ERR_NONE);
	world_ban(world, &id);
	assert_int_equal(world_attest(world, ATTESTATION_KEY, key), ERR_REVOKED);
	assert_int_equal(world_attest(world, ATTESTATION_JOIN_TOKEN, key), ERR_REVOKED);
}

static void finding_i12_a_key_is_removed_long_after_its_certificate_expired(void **state)
{
	struct world *world = *state;
	_cleanup_(private_key_unrefp) struct private_key *key = private_key_generate();
	_cleanup_(svid_holder_done) struct svid_holder svid_holder = {0};
	_cleanup_(asking_done) struct asking asking = world_ask(world, ATTESTATION_JOIN_TOKEN, key);
	assert_int_equal(world_check(world, &asking.request), ERR_NONE);
	digest_sha256(asking.request.attestation_key, svid_holder.key_hash);
	assert_int_equal(svid_holders_find(world->store, svid_holder.key_hash, &svid_holder), ERR_NONE);
	assert_int_equal(svid_holders_prune(world->store, svid_holder.since_s, 0, 10), 0);
	assert_int_equal(svid_holders_prune(world->store, svid_holder.since_s + 1, 0, 0), 0);
	assert_int_equal(svid_holders_prune(world->store, svid_holder.since_s + 1, 0, 10), 1);
	svid_holder_done(&svid_holder);
	svid_holder.id = (struct spiffe_id){0};
	while (svid_holders_find(world->store, svid_holder.key_hash, &svid_holder) == ERR_NONE) {
		svid_holder_done(&svid_holder);
		svid_holder.id = (struct spiffe_id){0};
		loop_run_once(world->loop, false);
	}
	assert_int_equal(world_attest(world, ATTESTATION_KEY, key), ERR_DENIED);
}

static void W20_a_stream_renews_its_own_identity_only(void **state)
{
	struct world *world = *state;
	_cleanup_(private_key_unrefp) struct private_key *key = private_key_generate();
	_cleanup_(spiffe_id_done) struct spiffe_id own = world_id(TEST_ID), other = world_id("spiffe://td/ns/b");
	assert_int_equal(world_attest(world, ATTESTATION_JOIN_TOKEN, key), ERR_NONE);
	_cleanup_(asking_done) struct asking asking = world_ask(world, ATTESTATION_KEY, key);
	asking.request.own = &own;
	assert_int_equal(world_check(world, &asking.request), ERR_NONE);
	asking.request.own = &other;
	assert_int_equal(world_check(world, &asking.request), ERR_DENIED);
}

static void W11_refuses_an_expired_or_unknown_token_and_a_wrong_secret(void **state)
{
	struct world *world = *state;
	_cleanup_(private_key_unrefp) struct private_key *key = private_key_generate();
	_cleanup_(asking_done) struct asking asking = world_ask(world, ATTESTATION_JOIN_TOKEN, key);
	asking.request.secret = SPAN_LITERAL("0123456789abcdef0123456789abcdef");
	assert_int_equal(world_check(world, &asking.request), ERR_DENIED);
	asking.request.token_id = SPAN_LITERAL("0123456789abcdef");
	assert_int_equal(world_check(world, &asking.request), ERR_DENIED);
	asking.request.token_id = SPAN_LITERAL("short");
	assert_int_equal(world_check(world, &asking.request), ERR_MALFORMED);
	clock_fake_advance(&world->clock, 61000);
	assert_int_equal(world_attest(world, ATTESTATION_JOIN_TOKEN, key), ERR_EXPIRED);
}

static void refuses_attestation_data_of_a_kind_that_is_not_supported(void **state)
{
	struct world *world = *state;
	_cleanup_(private_key_unrefp) struct private_key *key = private_key_generate();
	assert_int_equal(world_attest(world, ATTESTATION_KUBERNETES, key), ERR_UNSUPPORTED);
	assert_int_equal(world_attest(world, ATTESTATION_UNIX_PEER, key), ERR_UNSUPPORTED);
	assert_int_equal(world_attest(world, ATTESTATION_NONE, key), ERR_UNSUPPORTED);
}

static void W16_refuses_a_request_that_proves_no_key(void **state)
{
	struct world *world = *state;
	_cleanup_(private_key_unrefp) struct private_key *key = private_key_generate();
	_cleanup_(asking_done) struct asking asking = world_ask(world, ATTESTATION_JOIN_TOKEN, key);
	_cleanup_(buf_done) struct buf longer = BUF_INIT(CSR_MAX);
	assert_int_equal(buf_append(&longer, asking.request.csr), ERR_NONE);
	assert_int_equal(buf_append_str(&longer, "x"), ERR_NONE);
	asking.request.csr = buf_span(&longer);
	assert_int_not_equal(world_check(world, &asking.request), ERR_NONE);
	asking.request.csr = span_of(NULL, 0);
	assert_int_not_equal(world_check(world, &asking.request), ERR_NONE);
	assert_int_equal(world->num_good, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		WORLD_TEST(a_token_enrolls_a_key_that_attests_from_then_on),
		WORLD_TEST(W9_refuses_a_second_key_for_the_token),
		WORLD_TEST(W10_of_fifty_keys_at_once_exactly_one_wins_and_may_retry),
		WORLD_TEST(W9_refuses_a_proof_for_another_connection_or_key),
		WORLD_TEST(W9_W21_refuses_a_banned_identity_with_any_attestation_data),
		WORLD_TEST(finding_i12_a_key_is_removed_long_after_its_certificate_expired),
		WORLD_TEST(W20_a_stream_renews_its_own_identity_only),
		WORLD_TEST(W11_refuses_an_expired_or_unknown_token_and_a_wrong_secret),
		WORLD_TEST(refuses_attestation_data_of_a_kind_that_is_not_supported),
		WORLD_TEST(W16_refuses_a_request_that_proves_no_key),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
