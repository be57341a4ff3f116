#include "base/core/mem.h"
#include "certs/svid.h"
#include "certs/verify.h"
#include "control/issue/certificate.h"
#include "control/issue/test_authority.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
/* cmocka requires the four above */
#include <cmocka.h>

static enum err sign(struct world *world, const char *id, int64_t ttl_s)
{
	struct leaf_request request = {1, span_of_str(id), buf_span(&world->spki), ttl_s};
	buf_clear(&world->leaf);
	return authority_sign_leaf(&world->authority, &request, &world->leaf, &world->detail);
}

static struct svid *parse(struct world *world)
{
	struct span chain[] = {buf_span(&world->leaf), buf_span(&world->authority.intermediate.certificate)};
	struct svid *svid = NULL;
	assert_int_equal(svid_parse(chain, 2, &svid, &world->detail), ERR_NONE);
	return svid;
}

static void finding_i12_a_key_file_that_others_may_read_is_refused(void **state)
{
	struct world *world = *state;
	static const char *const names[] = {"bootstrap", "root", "intermediate"};
	for (size_t i = 0; i < 3; i++) {
		_cleanup_(mem_freep) char *path = mem_printf("%s/%s.pem", world->folder, names[i]);
		authority_done(&world->authority);
		assert_int_equal(chmod(path, 0644), 0);
		assert_int_equal(authority_open(&world->authority, &world->options, &world->detail), ERR_DENIED);
		assert_non_null(strstr(world->detail.got, names[i]));
		assert_non_null(strstr(world->detail.fix, "chmod 0600"));
		assert_int_equal(chmod(path, 0600), 0);
		assert_int_equal(authority_open(&world->authority, &world->options, &world->detail), ERR_NONE);
	}
}

static void signs_a_chain_that_verifies_up_to_the_root(void **state)
{
	struct world *world = *state;
	assert_int_equal(sign(world, "spiffe://td/ns/a", 3600), ERR_NONE);
	struct span chain[] = {buf_span(&world->leaf), buf_span(&world->authority.intermediate.certificate)};
	struct span root = buf_span(&world->authority.root.certificate);
	struct bundle *bundle = NULL;
	_cleanup_(bundle_set_unrefp) struct bundle_set *bundles = bundle_set_new();
	assert_int_equal(bundle_new(&world->options.trust_domain, &root, 1, &bundle, &world->detail), ERR_NONE);
	assert_int_equal(bundle_set_add(bundles, bundle, &world->detail), ERR_NONE);
	bundle_unref(bundle);
	struct verify_input input = {
		.chain = chain, .num_chain = 2, .bundles = bundles, .role = VERIFY_CLIENT, .now_s = NOW_S};
	_cleanup_(svid_unrefp) struct svid *svid = NULL;
	assert_int_equal(verify_chain(&input, &svid, &world->detail), ERR_NONE);
	assert_int_equal(svid_not_before_s(svid), NOW_S - 60);
	assert_int_equal(svid_not_after_s(svid), NOW_S + 3600);
}

static void W14_C18_refuses_identities_that_no_workload_may_have(void **state)
{
	struct world *world = *state;
	assert_int_equal(sign(world, "spiffe://td/handfast/control", 3600), ERR_DENIED);
	assert_int_equal(sign(world, "spiffe://td/handfast", 3600), ERR_DENIED);
	assert_int_equal(sign(world, "spiffe://td", 3600), ERR_DENIED);
	assert_int_equal(sign(world, "spiffe://td.evil/a", 3600), ERR_DENIED);
	assert_int_not_equal(sign(world, "spiffe://td/a/../b", 3600), ERR_NONE);
	assert_int_equal(buf_len(&world->leaf), 0);
}

static void W17_refuses_bytes_that_are_not_a_key(void **state)
{
	struct world *world = *state;
	struct leaf_request request = {1, SPAN_LITERAL("spiffe://td/a"), SPAN_LITERAL("not a key"), 60};
	assert_int_not_equal(authority_sign_leaf(&world->authority, &request, &world->leaf, &world->detail), ERR_NONE);
}

static void W19_clamps_the_lifetime_to_policy_and_chain(void **state)
{
	struct world *world = *state;
	const int64_t asked[] = {315360000, INT64_MAX, 0, -1, INT64_MIN, 5};
	const int64_t given[] = {7200, 7200, 1, 1, 1, 5};
	for (size_t i = 0; i < sizeof asked / sizeof asked[0]; i++) {
		assert_int_equal(sign(world, "spiffe://td/a", asked[i]), ERR_NONE);
		_cleanup_(svid_unrefp) struct svid *svid = parse(world);
		assert_int_equal(svid_not_after_s(svid), NOW_S + given[i]);
	}
	world->options.max_leaf_ttl_s = world->authority.options.max_leaf_ttl_s = 30LL * 86400;
	assert_int_equal(sign(world, "spiffe://td/a", 30LL * 86400), ERR_NONE);
	_cleanup_(svid_unrefp) struct svid *svid = parse(world);
	assert_int_equal(svid_not_after_s(svid), NOW_S + 7LL * 86400);
}

static void replaces_the_intermediate_at_half_of_its_life(void **state)
{
	struct world *world = *state;
	_cleanup_(buf_done) struct buf before = BUF_INIT(4096);
	assert_int_equal(buf_append(&before, buf_span(&world->authority.intermediate.certificate)), ERR_NONE);
	clock_fake_advance(&world->clock, 3ULL * 86400 * 1000);
	assert_int_equal(sign(world, "spiffe://td/a", 60), ERR_NONE);
	assert_true(span_eq(buf_span(&before), buf_span(&world->authority.intermediate.certificate)));
	clock_fake_advance(&world->clock, 1ULL * 86400 * 1000);
	assert_int_equal(sign(world, "spiffe://td/a", 60), ERR_NONE);
	assert_false(span_eq(buf_span(&before), buf_span(&world->authority.intermediate.certificate)));
}

static void replaces_the_intermediate_although_nothing_is_signed(void **state)
{
	struct world *world = *state;
	struct authority *authority = &world->authority;
	_cleanup_(buf_done) struct buf before = BUF_INIT(4096);
	assert_int_equal(buf_append(&before, buf_span(&authority->intermediate.certificate)), ERR_NONE);
	authority_keep_fresh(authority, authority->mark.epoch); /* not due */
	clock_fake_advance(&world->clock, 4ULL * 86400 * 1000);
	authority_keep_fresh(authority, 0);
	authority_keep_fresh(authority, authority->mark.epoch + 1);
	assert_true(span_eq(buf_span(&before), buf_span(&authority->intermediate.certificate)));
	authority_keep_fresh(authority, authority->mark.epoch);
	assert_false(span_eq(buf_span(&before), buf_span(&authority->intermediate.certificate)));
}

static void W25_serials_do_not_repeat(void **state)
{
	struct world *world = *state;
	enum { NUM = 200 };
	static uint8_t serials[NUM][16];
	for (size_t i = 0; i < NUM; i++) {
		assert_int_equal(sign(world, "spiffe://td/a", 60), ERR_NONE);
		_cleanup_(svid_unrefp) struct svid *svid = parse(world);
		assert_int_equal(svid_serial(svid).len, 16);
		memcpy(serials[i], svid_serial(svid).ptr, 16);
		for (size_t j = 0; j < i; j++)
			assert_memory_not_equal(serials[i], serials[j], 16);
	}
}

static void C17_C20_serves_only_the_newest_epoch_and_records_it(void **state)
{
	struct world *world = *state;
	assert_int_equal(world_begin(world, 2), ERR_NONE);
	assert_int_equal(sign(world, "spiffe://td/a", 60), ERR_CONFLICT);
	authority_done(&world->authority);
	assert_int_equal(authority_open(&world->authority, &world->options, &world->detail), ERR_NONE);
	assert_int_equal(world_begin(world, 2), ERR_STATE_DAMAGED);
	assert_int_equal(world_begin(world, 3), ERR_NONE);
}

/* Also when the clock was ahead at the very first start and was corrected later. */
static void finding_i9_an_intermediate_that_is_not_valid_yet_is_replaced(void **state)
{
	struct world *world = *state;
	int64_t from, to;
	world->clock.wall_ms += 6 * 86400 * 1000LL; /* ahead: half of the intermediate's life is over */
	assert_int_equal(sign(world, "spiffe://td/ns/a", 60), ERR_NONE);
	world->clock.wall_ms -= 6 * 86400 * 1000LL;
	assert_int_equal(sign(world, "spiffe://td/ns/a", 60), ERR_NONE);
	assert_int_equal(
		certificate_validity(buf_span(&world->authority.intermediate.certificate), &from, &to), ERR_NONE);
	assert_true(from <= NOW_S && to > NOW_S);
	_cleanup_(svid_unrefp) struct svid *svid = parse(world);
	assert_int_equal(svid_not_before_s(svid), NOW_S - 60);
}

static void finding_i9_a_mesh_made_with_a_clock_days_ahead_works_after_the_correction(void **state)
{
	struct world *world = *state;
	world->clock.wall_ms -= 20 * 86400 * 1000LL; /* it was made 20 days from now */
	assert_int_equal(sign(world, "spiffe://td/ns/a", 60), ERR_NONE);
	world->clock.wall_ms -= 20 * 86400 * 1000LL; /* beyond the backdating of a root: reported */
	assert_int_equal(sign(world, "spiffe://td/ns/a", 60), ERR_NOT_YET_VALID);
	assert_non_null(strstr(world->detail.fix, "clock"));
}

/* The folder cannot be written: as on a full disk. */
static void finding_i11_without_room_for_the_next_intermediate_the_present_one_stays_in_use(void **state)
{
	struct world *world = *state;
	_cleanup_(mem_freep) char *moved = mem_printf("%s.moved", world->folder);
	_cleanup_(buf_done) struct buf before = BUF_INIT(4096);
	assert_int_equal(buf_append(&before, buf_span(&world->authority.intermediate.certificate)), ERR_NONE);
	assert_int_equal(rename(world->folder, moved), 0);
	world->clock.wall_ms += 4 * 86400 * 1000LL;
	assert_int_equal(sign(world, "spiffe://td/ns/a", 60), ERR_NONE);
	assert_true(span_eq(buf_span(&world->authority.intermediate.certificate), buf_span(&before)));
	assert_int_equal(rename(moved, world->folder), 0);
	world->clock.wall_ms += 61 * 1000;
	assert_int_equal(sign(world, "spiffe://td/ns/a", 60), ERR_NONE);
	assert_false(span_eq(buf_span(&world->authority.intermediate.certificate), buf_span(&before)));
}

static enum err judge(struct world *world, uint64_t epoch, uint64_t incarnation, uint64_t revision)
{
	const struct store_mark mark = {epoch, incarnation, revision};
	return authority_judge(&world->authority, &mark, &world->detail);
}

static void finding_i3_an_older_store_is_refused_at_every_attempt(void **state)
{
	struct world *world = *state;
	const struct store_mark noted = {1, 77, 500};
	assert_int_equal(authority_note(&world->authority, &noted, &world->detail), ERR_NONE);
	for (int i = 0; i < 5; i++) {
		authority_done(&world->authority);
		world->options.policy = KEYS_MUST_EXIST;
		assert_int_equal(authority_open(&world->authority, &world->options, &world->detail), ERR_NONE);
		assert_int_equal(judge(world, 1, 77, 500), ERR_STATE_DAMAGED); /* the epoch was served */
		assert_int_equal(judge(world, 2, 77, 499), ERR_STATE_DAMAGED); /* an older copy with the same epoch */
		assert_int_equal(judge(world, 9, 78, 900), ERR_STATE_DAMAGED); /* a new store in its place */
		assert_non_null(strstr(world->detail.fix, "handfast-control restore"));
	}
	assert_int_equal(judge(world, 2, 77, 500), ERR_NONE);
}

static void finding_i7_an_operator_can_confirm_the_store(void **state)
{
	struct world *world = *state;
	const struct store_mark older = {1, 99, 3};
	authority_done(&world->authority);
	world->options.policy = KEYS_TAKE_ANY_STORE;
	assert_int_equal(authority_open(&world->authority, &world->options, &world->detail), ERR_NONE);
	assert_int_equal(authority_begin_epoch(&world->authority, &older, &world->detail), ERR_NONE);
	authority_done(&world->authority);
	world->options.policy = KEYS_MUST_EXIST;
	assert_int_equal(authority_open(&world->authority, &world->options, &world->detail), ERR_NONE);
	assert_int_equal(judge(world, 2, 99, 3), ERR_NONE);
	assert_int_equal(judge(world, 2, 77, 10), ERR_STATE_DAMAGED); /* the former store is refused now */
}

/* A recorded key that is missing is lost, also if no epoch was served. */
static void finding_i3_no_key_is_made_for_a_store_that_has_recorded_its_keys(void **state)
{
	struct world *world = *state;
	_cleanup_(mem_freep) char *command =
		mem_printf("cd %s && rm -f epoch root.pem intermediate.pem", world->folder);
	_cleanup_(mem_freep) char *key = mem_printf("%s/root.pem", world->folder);
	authority_done(&world->authority);
	assert_int_equal(system(command), 0);
	world->options.policy = KEYS_MUST_EXIST;
	assert_int_equal(authority_open(&world->authority, &world->options, &world->detail), ERR_STATE_DAMAGED);
	assert_int_not_equal(access(key, F_OK), 0);
	world->options.policy = KEYS_MAY_BE_MADE;
	assert_int_equal(authority_open(&world->authority, &world->options, &world->detail), ERR_NONE);
}

static void reads_the_epoch_of_release_0_1_0(void **state)
{
	struct world *world = *state;
	_cleanup_(mem_freep) char *command = mem_printf("echo 41 > %s/epoch", world->folder);
	authority_done(&world->authority);
	assert_int_equal(system(command), 0);
	assert_int_equal(authority_open(&world->authority, &world->options, &world->detail), ERR_NONE);
	assert_int_equal(judge(world, 41, 5, 0), ERR_STATE_DAMAGED);
	assert_int_equal(judge(world, 42, 5, 0), ERR_NONE);
}

static void keeps_its_keys_across_a_restart(void **state)
{
	struct world *world = *state;
	_cleanup_(buf_done) struct buf before = BUF_INIT(4096);
	assert_int_equal(buf_append(&before, buf_span(&world->authority.bootstrap.certificate)), ERR_NONE);
	authority_done(&world->authority);
	assert_int_equal(authority_open(&world->authority, &world->options, &world->detail), ERR_NONE);
	assert_true(span_eq(buf_span(&before), buf_span(&world->authority.bootstrap.certificate)));
}

/* C17: neither a damaged nor a lost key is silently replaced, which would lock out every sidecar. */
static void C17_makes_no_new_key_for_a_damaged_or_lost_one(void **state)
{
	struct world *world = *state;
	_cleanup_(mem_freep) char *path = mem_printf("%s/bootstrap.pem", world->folder);
	authority_done(&world->authority);
	FILE *file = fopen(path, "w");
	fputs("-----BEGIN PRIVATE KEY-----\n", file);
	fclose(file);
	assert_int_equal(authority_open(&world->authority, &world->options, &world->detail), ERR_STATE_DAMAGED);
	unlink(path);
	assert_int_equal(authority_open(&world->authority, &world->options, &world->detail), ERR_STATE_DAMAGED);
	assert_int_not_equal(access(path, F_OK), 0);
}

static void C17_keeps_keys_where_only_the_signer_can_read_them(void **state)
{
	struct world *world = *state;
	_cleanup_(mem_freep) char *path = mem_printf("%s/root.pem", world->folder);
	struct stat found;
	assert_int_equal(stat(world->folder, &found), 0);
	assert_int_equal(found.st_mode & 07777, 0700);
	assert_int_equal(stat(path, &found), 0);
	assert_int_equal(found.st_mode & 07777, 0600);
	authority_done(&world->authority);
	assert_int_equal(chmod(world->folder, 0755), 0);
	assert_int_equal(authority_open(&world->authority, &world->options, &world->detail), ERR_CONFIG);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		WORLD_TEST(finding_i12_a_key_file_that_others_may_read_is_refused),
		WORLD_TEST(signs_a_chain_that_verifies_up_to_the_root),
		WORLD_TEST(W14_C18_refuses_identities_that_no_workload_may_have),
		WORLD_TEST(W17_refuses_bytes_that_are_not_a_key),
		WORLD_TEST(W19_clamps_the_lifetime_to_policy_and_chain),
		WORLD_TEST(replaces_the_intermediate_at_half_of_its_life),
		WORLD_TEST(replaces_the_intermediate_although_nothing_is_signed),
		WORLD_TEST(W25_serials_do_not_repeat),
		WORLD_TEST(C17_C20_serves_only_the_newest_epoch_and_records_it),
		WORLD_TEST(finding_i9_an_intermediate_that_is_not_valid_yet_is_replaced),
		WORLD_TEST(finding_i9_a_mesh_made_with_a_clock_days_ahead_works_after_the_correction),
		WORLD_TEST(finding_i11_without_room_for_the_next_intermediate_the_present_one_stays_in_use),
		WORLD_TEST(finding_i3_an_older_store_is_refused_at_every_attempt),
		WORLD_TEST(finding_i7_an_operator_can_confirm_the_store),
		WORLD_TEST(finding_i3_no_key_is_made_for_a_store_that_has_recorded_its_keys),
		WORLD_TEST(reads_the_epoch_of_release_0_1_0),
		WORLD_TEST(keeps_its_keys_across_a_restart),
		WORLD_TEST(C17_makes_no_new_key_for_a_damaged_or_lost_one),
		WORLD_TEST(C17_keeps_keys_where_only_the_signer_can_read_them),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
