#include "certs/test_mesh.h"
#include "certs/verify.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
/* cmocka requires the three headers above */
#include <cmocka.h>

/* A cache hit returns the same object. */
struct caller {
	struct test_mesh *mesh;
	struct verify_cache *cache;
	struct svid *peer;
	struct span chain[2];
	struct verify_input input;
};

static void asker_done(struct caller *caller)
{
	verify_cache_free(caller->cache);
	svid_unref(caller->peer);
	test_mesh_free(caller->mesh);
}

static void meet(struct caller *caller, const char *id)
{
	struct test_cert_spec spec = test_leaf_spec(id);
	svid_unref(caller->peer);
	caller->peer = test_mesh_svid(caller->mesh, &spec);
	caller->chain[0] = svid_cert(caller->peer, 0);
	caller->chain[1] = svid_cert(caller->peer, 1);
}

static void asker_init(struct caller *caller, size_t max_entries)
{
	*caller = (struct caller){.mesh = test_mesh_new("td.test", TEST_NOW_S), .cache = verify_cache_new(max_entries)};
	meet(caller, "spiffe://td.test/a");
	caller->input = (struct verify_input){.chain = caller->chain,
		.num_chain = 2,
		.bundles = test_mesh_bundles(caller->mesh),
		.role = VERIFY_CLIENT,
		.now_s = TEST_NOW_S};
}

/* The svid's address is compared only while the cache has a reference. */
static const void *verify_cached(struct caller *caller, uint64_t generation)
{
	_cleanup_(svid_unrefp) struct svid *svid = NULL;
	if (verify_chain_cached(caller->cache, generation, &caller->input, &svid, NULL) != ERR_NONE)
		return NULL;
	return svid;
}

static enum err verdict(struct caller *caller, uint64_t generation)
{
	_cleanup_(svid_unrefp) struct svid *svid = NULL;
	return verify_chain_cached(caller->cache, generation, &caller->input, &svid, NULL);
}

static void returns_cached_chains(_unused_ void **state)
{
	_cleanup_(asker_done) struct caller caller;
	asker_init(&caller, 64);
	const void *first = verify_cached(&caller, 1);
	assert_non_null(first);
	assert_ptr_equal(verify_cached(&caller, 1), first);
}

static void D27_starts_empty_in_a_new_generation(_unused_ void **state)
{
	_cleanup_(asker_done) struct caller caller;
	asker_init(&caller, 64);
	assert_int_equal(verdict(&caller, 1), ERR_NONE);
	_cleanup_(bundle_set_unrefp) struct bundle_set *empty = bundle_set_new();
	caller.input.bundles = empty; /* the root is removed */
	assert_int_equal(verdict(&caller, 2), ERR_NO_BUNDLE);
}

static void caches_roles_separately(_unused_ void **state)
{
	_cleanup_(asker_done) struct caller caller;
	asker_init(&caller, 64);
	const void *as_client = verify_cached(&caller, 1);
	caller.input.role = VERIFY_SERVER;
	assert_ptr_not_equal(verify_cached(&caller, 1), as_client);
}

static void expires_entries_at_the_first_not_after(_unused_ void **state)
{
	_cleanup_(asker_done) struct caller caller;
	asker_init(&caller, 64);
	assert_int_equal(verdict(&caller, 1), ERR_NONE);
	caller.input.now_s = TEST_NOW_S + 3599;
	assert_int_equal(verdict(&caller, 1), ERR_NONE);
	caller.input.now_s = TEST_NOW_S + 3600;
	assert_int_equal(verdict(&caller, 1), ERR_EXPIRED);
}

static void checks_the_expected_peer_each_time(_unused_ void **state)
{
	_cleanup_(asker_done) struct caller caller;
	_cleanup_(spiffe_id_done) struct spiffe_id other = {0};
	asker_init(&caller, 64);
	assert_int_equal(verdict(&caller, 1), ERR_NONE);
	assert_int_equal(spiffe_id_parse(SPAN_LITERAL("spiffe://td.test/b"), &other, NULL), ERR_NONE);
	caller.input.expected = &other;
	assert_int_equal(verdict(&caller, 1), ERR_WRONG_PEER);
}

static void does_not_cache_refusals(_unused_ void **state)
{
	_cleanup_(asker_done) struct caller caller;
	asker_init(&caller, 64);
	caller.input.now_s = TEST_NOW_S - 7200;
	assert_int_equal(verdict(&caller, 1), ERR_NOT_YET_VALID);
	caller.input.now_s = TEST_NOW_S;
	assert_int_equal(verdict(&caller, 1), ERR_NONE);
	caller.input.num_chain = 0;
	assert_int_equal(verdict(&caller, 1), ERR_NO_CERTIFICATE);
}

static void stays_within_its_bound(_unused_ void **state)
{
	_cleanup_(asker_done) struct caller caller;
	asker_init(&caller, 4);
	for (int i = 0; i < 40; i++) {
		char id[64];
		snprintf(id, sizeof(id), "spiffe://td.test/%d", i);
		meet(&caller, id);
		const void *first = verify_cached(&caller, 1);
		assert_ptr_equal(verify_cached(&caller, 1), first);
	}
}

/* Chains that differ only in where one certificate ends are different: a cached result must not apply to the other. */
static void finding_t5_a_chain_split_elsewhere_is_another_chain(_unused_ void **state)
{
	static const uint8_t bytes[] = "abcdefgh";
	const struct span one[] = {span_of(bytes, 3), span_of(bytes + 3, 5)};
	const struct span other[] = {span_of(bytes, 5), span_of(bytes + 5, 3)};
	const struct span whole[] = {span_of(bytes, 8), span_of(bytes, 0)};
	uint8_t hash[3][32];
	svid_digest_chain(one, 2, hash[0]);
	svid_digest_chain(other, 2, hash[1]);
	svid_digest_chain(whole, 1, hash[2]);
	assert_memory_not_equal(hash[0], hash[1], 32);
	assert_memory_not_equal(hash[0], hash[2], 32);
	svid_digest_chain(whole, 2, hash[1]); /* an empty certificate at the end counts, too */
	assert_memory_not_equal(hash[1], hash[2], 32);
}

/* The same with a valid chain: the same bytes, split elsewhere, are refused, also after the valid chain was cached. */
static void finding_t5_a_result_does_not_depend_on_earlier_chains(_unused_ void **state)
{
	_cleanup_(asker_done) struct caller caller;
	asker_init(&caller, 64);
	assert_int_equal(verdict(&caller, 1), ERR_NONE);
	_cleanup_(buf_done) struct buf joined = BUF_INIT(8192);
	assert_int_equal(buf_append(&joined, caller.chain[0]), ERR_NONE);
	assert_int_equal(buf_append(&joined, caller.chain[1]), ERR_NONE);
	caller.chain[0] = buf_span(&joined);
	caller.input.num_chain = 1;
	assert_int_equal(verdict(&caller, 1), ERR_MALFORMED);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(returns_cached_chains),
		cmocka_unit_test(D27_starts_empty_in_a_new_generation),
		cmocka_unit_test(caches_roles_separately),
		cmocka_unit_test(expires_entries_at_the_first_not_after),
		cmocka_unit_test(checks_the_expected_peer_each_time),
		cmocka_unit_test(finding_t5_a_chain_split_elsewhere_is_another_chain),
		cmocka_unit_test(finding_t5_a_result_does_not_depend_on_earlier_chains),
		cmocka_unit_test(does_not_cache_refusals),
		cmocka_unit_test(stays_within_its_bound),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
