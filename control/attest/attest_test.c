#include "base/core/base64url.h"
#include "base/core/mem.h"
#include "certs/csr.h"
#include "control/attest/attest.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
/* cmocka requires the four above */
#include <cmocka.h>

#define ID "spiffe://td/ns/a"

struct world {
	char folder[64], path[80];
	struct clock_fake clock;
	struct loop *loop;
	struct store *store;
	struct attest *attest;
	struct buf token_id, secret; /* of the token made last */
	unsigned num_done, num_good;
	enum err err;
	char id[128];
};

static void on_token(void *arg, enum err err, struct span line, struct span id, _unused_ int64_t not_after_s)
{
	struct world *world = arg;
	assert_int_equal(err, ERR_NONE);
	const uint8_t *first = (const uint8_t *)memchr(line.ptr, '.', line.len) + 1;
	const uint8_t *second = (const uint8_t *)memchr(first, '.', line.len - 4) + 1;
	const uint8_t *third = (const uint8_t *)memchr(second, '.', 60) + 1;
	assert_int_equal(base64url_decode(span_of(first, (size_t)(second - first - 1)), &world->token_id), ERR_NONE);
	assert_int_equal(base64url_decode(span_of(second, (size_t)(third - second - 1)), &world->secret), ERR_NONE);
	assert_true(span_eq(id, buf_span(&world->token_id)));
	world->num_done++;
}

static void wait_for(struct world *world, unsigned num_done)
{
	while (world->num_done < num_done)
		loop_run_once(world->loop, false);
}

static void make_token(struct world *world, const char *id)
{
	const uint8_t bootstrap_hash[DIGEST_LEN] = {1};
	struct attest_token_request request = {span_of_str(id), 60, NULL, 0, bootstrap_hash};
	buf_clear(&world->token_id);
	buf_clear(&world->secret);
	assert_int_equal(attest_token_create(world->attest, &request, on_token, world, NULL), ERR_NONE);
	wait_for(world, world->num_done + 1);
}

static int set_up(void **state)
{
	struct world *world = mem_new(struct world);
	struct trust_domain domain = {"td"};
	snprintf(world->folder, sizeof world->folder, "/tmp/attestXXXXXX");
	assert_non_null(mkdtemp(world->folder));
	snprintf(world->path, sizeof world->path, "%s/db", world->folder);
	clock_fake_init(&world->clock, 1800000000000);
	world->loop = loop_new(&world->clock.clock);
	assert_int_equal(store_open(world->loop, world->path, &world->store, NULL), ERR_NONE);
	world->attest = attest_new(world->loop, world->store, &domain);
	buf_init(&world->token_id, 64);
	buf_init(&world->secret, 64);
	make_token(world, ID);
	*state = world;
	return 0;
}

static int tear_down(void **state)
{
	struct world *world = *state;
	store_close(world->store);
	loop_run_once(world->loop, false);
	attest_free(world->attest);
	loop_free(world->loop);
	buf_done(&world->token_id);
	buf_done(&world->secret);
	_cleanup_(mem_freep) char *command = mem_printf("rm -rf %s", world->folder);
	assert_int_equal(system(command), 0);
	mem_free(world);
	return 0;
}

static void on_done(void *arg, enum err err, const struct attested *attested, _unused_ const struct why *why)
{
	struct world *world = arg;
	world->num_done++;
	world->num_good += err == ERR_NONE;
	world->err = err;
	world->id[0] = 0;
	if (attested != NULL)
		snprintf(world->id, sizeof world->id, "%s", attested->svid_holder->id.text);
}

struct asking { /* one sidecar's request and the memory that it borrows */
	struct attest_request request;
	struct buf key, csr, proof;
};

static void asking_done(struct asking *asking)
{
	buf_done(&asking->key);
	buf_done(&asking->csr);
	buf_done(&asking->proof);
}

static struct asking ask(struct world *world, enum attestation_kind kind, const struct private_key *key)
{
	_cleanup_(private_key_unrefp) struct private_key *leaf = private_key_generate();
	struct asking asking = {.key = BUF_INIT(1024), .csr = BUF_INIT(CSR_MAX), .proof = BUF_INIT(1024)};
	struct attest_request *request = &asking.request;
	memset(request->exported, 0x5a, sizeof request->exported);
	assert_int_equal(private_key_public(key, &asking.key), ERR_NONE);
	assert_int_equal(csr_encode(leaf, &asking.csr), ERR_NONE);
	assert_int_equal(private_key_sign(key, span_of(request->exported, 32), &asking.proof), ERR_NONE);
	assert_int_equal(ip_addr_parse(SPAN_LITERAL("192.0.2.1"), &request->source), ERR_NONE);
	request->kind = kind;
	request->token_id = buf_span(&world->token_id);
	request->secret = buf_span(&world->secret);
	request->attestation_key = buf_span(&asking.key);
	request->csr = buf_span(&asking.csr);
	request->proof = buf_span(&asking.proof);
	return asking;
}

static enum err check(struct world *world, const struct attest_request *request)
{
	attest_check(world->attest, request, on_done, world);
	wait_for(world, world->num_done + 1);
	return world->err;
}

static enum err check_simply(struct world *world, enum attestation_kind kind, const struct private_key *key)
{
	_cleanup_(asking_done) struct asking asking = ask(world, kind, key);
	return check(world, &asking.request);
}

static void a_token_enrolls_a_key_that_attests_from_then_on(void **state)
{
	struct world *world = *state;
	_cleanup_(private_key_unrefp) struct private_key *key = private_key_generate();
	assert_int_equal(check_simply(world, ATTESTATION_KEY, key), ERR_DENIED);
	assert_int_equal(check_simply(world, ATTESTATION_JOIN_TOKEN, key), ERR_NONE);
	assert_string_equal(world->id, ID);
	assert_int_equal(check_simply(world, ATTESTATION_JOIN_TOKEN, key), ERR_NONE);
	clock_fake_advance(&world->clock, 86400000);
	assert_int_equal(check_simply(world, ATTESTATION_KEY, key), ERR_NONE);
	assert_string_equal(world->id, ID);
}

static void W9_refuses_a_second_key_for_the_token(void **state)
{
	struct world *world = *state;
	_cleanup_(private_key_unrefp) struct private_key *first = private_key_generate();
	_cleanup_(private_key_unrefp) struct private_key *second = private_key_generate();
	assert_int_equal(check_simply(world, ATTESTATION_JOIN_TOKEN, first), ERR_NONE);
	assert_int_equal(check_simply(world, ATTESTATION_JOIN_TOKEN, second), ERR_DENIED);
	assert_int_equal(check_simply(world, ATTESTATION_KEY, second), ERR_DENIED);
}

static void W10_of_fifty_keys_at_once_exactly_one_wins_and_may_retry(void **state)
{
	struct world *world = *state;
	enum { NUM = 50 };
	struct private_key *keys[NUM];
	unsigned before = world->num_done, winners = 0;
	for (size_t i = 0; i < NUM; i++) {
		keys[i] = private_key_generate();
		_cleanup_(asking_done) struct asking asking = ask(world, ATTESTATION_JOIN_TOKEN, keys[i]);
		attest_check(world->attest, &asking.request, on_done, world);
	}
	wait_for(world, before + NUM);
	assert_int_equal(world->num_good, 1);
	for (size_t i = 0; i < NUM; i++) {
		winners += check_simply(world, ATTESTATION_JOIN_TOKEN, keys[i]) == ERR_NONE;
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
	_cleanup_(asking_done) struct asking asking = ask(world, ATTESTATION_JOIN_TOKEN, key);
	_cleanup_(asking_done) struct asking foreign = ask(world, ATTESTATION_JOIN_TOKEN, other);
	asking.request.exported[31] ^= 1;
	assert_int_equal(check(world, &asking.request), ERR_CRYPTO);
	asking.request.exported[31] ^= 1;
	asking.request.proof = foreign.request.proof;
	assert_int_equal(check(world, &asking.request), ERR_CRYPTO);
	asking.request.proof = span_of(NULL, 0);
	assert_int_not_equal(check(world, &asking.request), ERR_NONE);
}

static void W9_W21_refuses_a_banned_identity_with_any_attestation_data(void **state)
{
	struct world *world = *state;
	_cleanup_(private_key_unrefp) struct private_key *key = private_key_generate();
	_cleanup_(spiffe_id_done) struct spiffe_id id = {0};
	assert_int_equal(check_simply(world, ATTESTATION_JOIN_TOKEN, key), ERR_NONE);
	assert_int_equal(spiffe_id_parse(SPAN_LITERAL(ID), &id, NULL), ERR_NONE);
	svid_holders_ban(world->store, &id, 1800000000, NULL, NULL);
	while (!svid_holders_is_banned(world->store, &id))
		loop_run_once(world->loop, false);
	assert_int_equal(check_simply(world, ATTESTATION_KEY, key), ERR_REVOKED);
	assert_int_equal(check_simply(world, ATTESTATION_JOIN_TOKEN, key), ERR_REVOKED);
}

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
	assert_string_equal(revoked.id.text, ID);
	spiffe_id_done(&revoked.id);
	wait_for_tokens(world, 0);
	assert_int_equal(check_simply(world, ATTESTATION_JOIN_TOKEN, key), ERR_DENIED);
}

static void finding_i10_no_token_is_made_for_a_banned_identity_until_the_ban_is_lifted(void **state)
{
	struct world *world = *state;
	const uint8_t hash[DIGEST_LEN] = {1};
	struct attest_token_request request = {SPAN_LITERAL(ID), 60, NULL, 0, hash};
	struct why why = {0};
	_cleanup_(private_key_unrefp) struct private_key *key = private_key_generate();
	_cleanup_(spiffe_id_done) struct spiffe_id id = {0};
	assert_int_equal(spiffe_id_parse(SPAN_LITERAL(ID), &id, NULL), ERR_NONE);
	assert_int_equal(svid_holders_unban(world->store, &id, NULL, NULL), ERR_NOT_FOUND);
	svid_holders_ban(world->store, &id, 1800000000, NULL, NULL);
	while (!svid_holders_is_banned(world->store, &id))
		loop_run_once(world->loop, false);
	assert_int_equal(attest_token_create(world->attest, &request, on_token, world, &why), ERR_REVOKED);
	assert_non_null(strstr(why.fix, "handfast unban"));
	assert_int_equal(svid_holders_unban(world->store, &id, NULL, NULL), ERR_NONE);
	while (svid_holders_is_banned(world->store, &id))
		loop_run_once(world->loop, false);
	assert_int_equal(check_simply(world, ATTESTATION_JOIN_TOKEN, key), ERR_NONE);
}

static void finding_i10_a_ban_revokes_the_unused_tokens_of_its_identity(void **state)
{
	struct world *world = *state;
	_cleanup_(spiffe_id_done) struct spiffe_id id = {0};
	assert_int_equal(spiffe_id_parse(SPAN_LITERAL(ID), &id, NULL), ERR_NONE);
	make_token(world, ID);
	make_token(world, "spiffe://td/ns/b");
	assert_int_equal(attest_tokens_drop(world->attest, &id), 2);
	wait_for_tokens(world, 1);
}

static void finding_i12_expired_tokens_are_removed(void **state)
{
	struct world *world = *state;
	_cleanup_(private_key_unrefp) struct private_key *key = private_key_generate();
	assert_int_equal(check_simply(world, ATTESTATION_JOIN_TOKEN, key), ERR_NONE);
	make_token(world, ID);
	assert_int_equal(attest_tokens_prune(world->attest, 100), 0);
	clock_fake_advance(&world->clock, 61 * 1000);
	assert_int_equal(attest_tokens_prune(world->attest, 100), 1); /* the unused token */
	wait_for_tokens(world, 1);
	clock_fake_advance(&world->clock, 86400 * 1000);
	assert_int_equal(attest_tokens_prune(world->attest, 0), 0);
	assert_int_equal(attest_tokens_prune(world->attest, 100), 1);
	wait_for_tokens(world, 0);
	assert_int_equal(
		check_simply(world, ATTESTATION_KEY, key), ERR_NONE); /* the key that it enrolled stays valid */
}

static void finding_i12_a_key_is_removed_long_after_its_certificate_expired(void **state)
{
	struct world *world = *state;
	_cleanup_(private_key_unrefp) struct private_key *key = private_key_generate();
	_cleanup_(svid_holder_done) struct svid_holder svid_holder = {0};
	_cleanup_(asking_done) struct asking asking = ask(world, ATTESTATION_JOIN_TOKEN, key);
	assert_int_equal(check(world, &asking.request), ERR_NONE);
	digest_sha256(asking.request.attestation_key, svid_holder.key_hash);
	assert_int_equal(svid_holders_find(world->store, svid_holder.key_hash, &svid_holder), ERR_NONE);
	assert_int_equal(svid_holders_prune(world->store, svid_holder.since_s, 10), 0);
	assert_int_equal(svid_holders_prune(world->store, svid_holder.since_s + 1, 0), 0);
	assert_int_equal(svid_holders_prune(world->store, svid_holder.since_s + 1, 10), 1);
	svid_holder_done(&svid_holder);
	svid_holder.id = (struct spiffe_id){0};
	while (svid_holders_find(world->store, svid_holder.key_hash, &svid_holder) == ERR_NONE) {
		svid_holder_done(&svid_holder);
		svid_holder.id = (struct spiffe_id){0};
		loop_run_once(world->loop, false);
	}
	assert_int_equal(check_simply(world, ATTESTATION_KEY, key), ERR_DENIED);
}

static void W20_a_stream_renews_its_own_identity_only(void **state)
{
	struct world *world = *state;
	_cleanup_(private_key_unrefp) struct private_key *key = private_key_generate();
	_cleanup_(spiffe_id_done) struct spiffe_id own = {0}, other = {0};
	assert_int_equal(check_simply(world, ATTESTATION_JOIN_TOKEN, key), ERR_NONE);
	assert_int_equal(spiffe_id_parse(SPAN_LITERAL(ID), &own, NULL), ERR_NONE);
	assert_int_equal(spiffe_id_parse(SPAN_LITERAL("spiffe://td/ns/b"), &other, NULL), ERR_NONE);
	_cleanup_(asking_done) struct asking asking = ask(world, ATTESTATION_KEY, key);
	asking.request.own = &own;
	assert_int_equal(check(world, &asking.request), ERR_NONE);
	asking.request.own = &other;
	assert_int_equal(check(world, &asking.request), ERR_DENIED);
}

static void W11_refuses_an_expired_or_unknown_token_and_a_wrong_secret(void **state)
{
	struct world *world = *state;
	_cleanup_(private_key_unrefp) struct private_key *key = private_key_generate();
	_cleanup_(asking_done) struct asking asking = ask(world, ATTESTATION_JOIN_TOKEN, key);
	asking.request.secret = SPAN_LITERAL("0123456789abcdef0123456789abcdef");
	assert_int_equal(check(world, &asking.request), ERR_DENIED);
	asking.request.token_id = SPAN_LITERAL("0123456789abcdef");
	assert_int_equal(check(world, &asking.request), ERR_DENIED);
	asking.request.token_id = SPAN_LITERAL("short");
	assert_int_equal(check(world, &asking.request), ERR_MALFORMED);
	clock_fake_advance(&world->clock, 61000);
	assert_int_equal(check_simply(world, ATTESTATION_JOIN_TOKEN, key), ERR_EXPIRED);
}

static void refuses_attestation_data_of_a_kind_that_is_not_supported(void **state)
{
	struct world *world = *state;
	_cleanup_(private_key_unrefp) struct private_key *key = private_key_generate();
	assert_int_equal(check_simply(world, ATTESTATION_KUBERNETES, key), ERR_UNSUPPORTED);
	assert_int_equal(check_simply(world, ATTESTATION_UNIX_PEER, key), ERR_UNSUPPORTED);
	assert_int_equal(check_simply(world, ATTESTATION_NONE, key), ERR_UNSUPPORTED);
}

static void W16_refuses_a_request_that_proves_no_key(void **state)
{
	struct world *world = *state;
	_cleanup_(private_key_unrefp) struct private_key *key = private_key_generate();
	_cleanup_(asking_done) struct asking asking = ask(world, ATTESTATION_JOIN_TOKEN, key);
	_cleanup_(buf_done) struct buf longer = BUF_INIT(CSR_MAX);
	assert_int_equal(buf_append(&longer, asking.request.csr), ERR_NONE);
	assert_int_equal(buf_append_str(&longer, "x"), ERR_NONE);
	asking.request.csr = buf_span(&longer);
	assert_int_not_equal(check(world, &asking.request), ERR_NONE);
	asking.request.csr = span_of(NULL, 0);
	assert_int_not_equal(check(world, &asking.request), ERR_NONE);
	assert_int_equal(world->num_good, 0);
}

static void C18_makes_no_token_for_an_identity_that_no_workload_may_have(void **state)
{
	struct world *world = *state;
	const uint8_t hash[DIGEST_LEN] = {0};
	const char *bad[] = {"spiffe://td", "spiffe://td/handfast/control", "spiffe://other/a", "spiffe://td/*", "",
		"spiffe://td/a\nid=spiffe://td/b"};
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		struct attest_token_request request = {span_of_str(bad[i]), 60, NULL, 0, hash};
		assert_int_not_equal(attest_token_create(world->attest, &request, on_token, world, NULL), ERR_NONE);
	}
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_token_enrolls_a_key_that_attests_from_then_on),
		TEST(W9_refuses_a_second_key_for_the_token),
		TEST(W10_of_fifty_keys_at_once_exactly_one_wins_and_may_retry),
		TEST(W9_refuses_a_proof_for_another_connection_or_key),
		TEST(W9_W21_refuses_a_banned_identity_with_any_attestation_data),
		TEST(finding_i10_an_unused_token_is_listed_and_revoked),
		TEST(finding_i10_no_token_is_made_for_a_banned_identity_until_the_ban_is_lifted),
		TEST(finding_i10_a_ban_revokes_the_unused_tokens_of_its_identity),
		TEST(finding_i12_expired_tokens_are_removed),
		TEST(finding_i12_a_key_is_removed_long_after_its_certificate_expired),
		TEST(W20_a_stream_renews_its_own_identity_only),
		TEST(W11_refuses_an_expired_or_unknown_token_and_a_wrong_secret),
		TEST(refuses_attestation_data_of_a_kind_that_is_not_supported),
		TEST(W16_refuses_a_request_that_proves_no_key),
		TEST(C18_makes_no_token_for_an_identity_that_no_workload_may_have),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
