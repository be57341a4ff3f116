/* What follows from a token that was reviewed: the account is the identity, and nothing of it is stored. */
#include "certs/csr.h"
#include "control/attest/test_attest.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
/* cmocka requires the headers above */
#include <cmocka.h>

#define CART "spiffe://td/ns/shop/sa/cart"

struct reviewer {
	enum err err;
	unsigned num;
	attest_reviewed_fn *on_done; /* kept while is_slow */
	void *done_arg;
	bool is_slow;
};

static void review_end(struct reviewer *reviewer, attest_reviewed_fn *on_done, void *done_arg)
{
	const struct attest_account account = {"shop", "cart"};
	struct why why = {0};
	if (reviewer->err != ERR_NONE)
		(void)why_set(&why, reviewer->err, "a pod", "wait", "no pod");
	on_done(done_arg, reviewer->err, reviewer->err == ERR_NONE ? &account : NULL, &why);
}

static void review(
	void *arg, struct span token, const struct ip_addr *source, attest_reviewed_fn *on_done, void *done_arg)
{
	struct reviewer *reviewer = arg;
	char text[ADDR_TEXT_MAX];
	assert_true(span_eq(token, SPAN_LITERAL("a.b.c")));
	assert_string_equal(ip_addr_format(source, text), "192.0.2.1");
	reviewer->num++;
	reviewer->on_done = on_done;
	reviewer->done_arg = done_arg;
	if (!reviewer->is_slow)
		review_end(reviewer, on_done, done_arg);
}

static struct reviewer *start(struct world *world, enum err err)
{
	static struct reviewer reviewer;
	reviewer = (struct reviewer){.err = err};
	struct attest_kubernetes kubernetes = {review, &reviewer};
	attest_set_kubernetes(world->attest, &kubernetes);
	return &reviewer;
}

static void an_account_is_the_identity_and_is_not_stored(void **state)
{
	struct world *world = *state;
	_cleanup_(private_key_unrefp) struct private_key *key = private_key_generate();
	_cleanup_(svid_holder_done) struct svid_holder svid_holder = {0};
	(void)start(world, ERR_NONE);
	_cleanup_(asking_done) struct asking asking = world_ask(world, ATTESTATION_KUBERNETES, key);
	assert_int_equal(world_check(world, &asking.request), ERR_NONE);
	assert_string_equal(world->id, CART);
	assert_false(world->is_recorded);
	digest_sha256(asking.request.attestation_key, svid_holder.key_hash);
	assert_int_equal(svid_holders_find(world->store, svid_holder.key_hash, &svid_holder), ERR_NOT_FOUND);
	/* So the key alone attests nothing. */
	assert_int_equal(world_attest(world, ATTESTATION_KEY, key), ERR_DENIED);
}

static void refusals_are_passed_on_with_their_reason(void **state)
{
	struct world *world = *state;
	_cleanup_(private_key_unrefp) struct private_key *key = private_key_generate();
	const enum err refusals[] = {ERR_DENIED, ERR_EXPIRED, ERR_UNAVAILABLE, ERR_MALFORMED};
	for (size_t i = 0; i < sizeof refusals / sizeof *refusals; i++) {
		(void)start(world, refusals[i]);
		assert_int_equal(world_attest(world, ATTESTATION_KUBERNETES, key), refusals[i]);
		assert_string_equal(world->detail.got, "no pod");
	}
}

static void W9_a_token_needs_a_proof_on_this_connection(void **state)
{
	struct world *world = *state;
	_cleanup_(private_key_unrefp) struct private_key *key = private_key_generate();
	_cleanup_(private_key_unrefp) struct private_key *other = private_key_generate();
	struct reviewer *reviewer = start(world, ERR_NONE);
	_cleanup_(asking_done) struct asking asking = world_ask(world, ATTESTATION_KUBERNETES, key);
	_cleanup_(asking_done) struct asking foreign = world_ask(world, ATTESTATION_KUBERNETES, other);
	asking.request.exported[0] ^= 1;
	assert_int_equal(world_check(world, &asking.request), ERR_CRYPTO);
	asking.request.exported[0] ^= 1;
	asking.request.proof = foreign.request.proof;
	assert_int_equal(world_check(world, &asking.request), ERR_CRYPTO);
	asking.request.attestation_key = span_of(NULL, 0);
	assert_int_equal(world_check(world, &asking.request), ERR_MALFORMED);
	assert_int_equal(reviewer->num, 0); /* the token is not looked at */
}

static void W9_W21_a_banned_account_is_refused_with_any_key(void **state)
{
	struct world *world = *state;
	_cleanup_(private_key_unrefp) struct private_key *key = private_key_generate();
	_cleanup_(private_key_unrefp) struct private_key *other = private_key_generate();
	_cleanup_(spiffe_id_done) struct spiffe_id id = world_id(CART);
	struct reviewer *reviewer = start(world, ERR_NONE);
	assert_int_equal(world_attest(world, ATTESTATION_KUBERNETES, key), ERR_NONE);
	/* The ban comes while a review is under way. */
	reviewer->is_slow = true;
	_cleanup_(asking_done) struct asking asking = world_ask(world, ATTESTATION_KUBERNETES, key);
	attest_check(world->attest, &asking.request, world_on_done, world);
	unsigned before = world->num_done;
	world_ban(world, &id);
	review_end(reviewer, reviewer->on_done, reviewer->done_arg);
	world_wait_for(world, before + 1);
	assert_int_equal(world->err, ERR_REVOKED);
	reviewer->is_slow = false;
	assert_int_equal(world_attest(world, ATTESTATION_KUBERNETES, other), ERR_REVOKED);
}

static void W20_a_stream_renews_its_own_account_only(void **state)
{
	struct world *world = *state;
	_cleanup_(private_key_unrefp) struct private_key *key = private_key_generate();
	_cleanup_(spiffe_id_done) struct spiffe_id own = world_id(CART), other = world_id("spiffe://td/ns/shop/sa/pay");
	(void)start(world, ERR_NONE);
	_cleanup_(asking_done) struct asking asking = world_ask(world, ATTESTATION_KUBERNETES, key);
	asking.request.own = &own;
	assert_int_equal(world_check(world, &asking.request), ERR_NONE);
	asking.request.own = &other;
	assert_int_equal(world_check(world, &asking.request), ERR_DENIED);
}

static void without_kubernetes_a_token_is_not_supported(void **state)
{
	struct world *world = *state;
	_cleanup_(private_key_unrefp) struct private_key *key = private_key_generate();
	assert_int_equal(world_attest(world, ATTESTATION_KUBERNETES, key), ERR_UNSUPPORTED);
	(void)start(world, ERR_NONE);
	assert_int_equal(world_attest(world, ATTESTATION_KUBERNETES, key), ERR_NONE);
	attest_set_kubernetes(world->attest, NULL);
	assert_int_equal(world_attest(world, ATTESTATION_KUBERNETES, key), ERR_UNSUPPORTED);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		WORLD_TEST(an_account_is_the_identity_and_is_not_stored),
		WORLD_TEST(refusals_are_passed_on_with_their_reason),
		WORLD_TEST(W9_a_token_needs_a_proof_on_this_connection),
		WORLD_TEST(W9_W21_a_banned_account_is_refused_with_any_key),
		WORLD_TEST(W20_a_stream_renews_its_own_account_only),
		WORLD_TEST(without_kubernetes_a_token_is_not_supported),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
