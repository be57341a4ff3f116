#include "base/core/mem.h"
#include "certs/digest.h"
#include "certs/svid.h"
#include "certs/verify.h"
#include "control/issue/certificate.h"
#include "control/issue/test_authority.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
/* cmocka requires the four above */
#include <cmocka.h>

static uint8_t first[DIGEST_LEN], next[DIGEST_LEN]; /* roots */
static struct buf sealed;                           /* the key of the next one */

static void digest_of(const struct key_pair *pair, uint8_t out[DIGEST_LEN])
{
	digest_sha256(buf_span(&pair->certificate), out);
}

static int set_up(void **state)
{
	(void)world_set_up(state);
	digest_of(&((struct world *)*state)->authority.root, first);
	buf_init(&sealed, 4096);
	return 0;
}

static int tear_down(void **state)
{
	buf_done(&sealed);
	return world_tear_down(state);
}

static struct root_request ask(const struct world *world, const uint8_t *sha256)
{
	return (struct root_request){
		.epoch = world->authority.mark.epoch, .sha256 = span_of(sha256, sha256 == NULL ? 0 : DIGEST_LEN)};
}

static void prepare(struct world *world)
{
	struct root_request request = ask(world, NULL);
	buf_clear(&sealed);
	assert_int_equal(authority_prepare_root(&world->authority, &request, &sealed, &world->detail), ERR_NONE);
	digest_of(&world->authority.next_root, next);
}

static enum err activate(struct world *world)
{
	struct root_request request = ask(world, next);
	return authority_activate_root(&world->authority, &request, &world->detail);
}

static enum err forget(struct world *world, const uint8_t *sha256)
{
	struct root_request request = ask(world, sha256);
	return authority_forget_root(&world->authority, &request, &world->detail);
}

/* Whether a leaf that is signed now verifies with the first or with the next root alone. */
static bool is_trusted_by(struct world *world, const uint8_t *sha256)
{
	const struct authority *authority = &world->authority;
	const struct key_pair *roots[] = {&authority->root, &authority->next_root, &authority->former_root};
	struct leaf_request leaf = {authority->mark.epoch, SPAN_LITERAL("spiffe://td/a"), buf_span(&world->spki), 60};
	buf_clear(&world->leaf);
	assert_int_equal(authority_sign_leaf(&world->authority, &leaf, &world->leaf, &world->detail), ERR_NONE);
	struct span chain[] = {buf_span(&world->leaf), buf_span(&authority->intermediate.certificate)};
	for (size_t i = 0; i < 3; i++) {
		_cleanup_(bundle_set_unrefp) struct bundle_set *bundles = bundle_set_new();
		_cleanup_(bundle_unrefp) struct bundle *bundle = NULL;
		uint8_t digest[DIGEST_LEN];
		struct span der = buf_span(&roots[i]->certificate);
		digest_sha256(der, digest);
		if (roots[i]->key == NULL || memcmp(digest, sha256, DIGEST_LEN) != 0)
			continue;
		assert_int_equal(bundle_new(&world->options.trust_domain, &der, 1, &bundle, &world->detail), ERR_NONE);
		assert_int_equal(bundle_set_add(bundles, bundle, &world->detail), ERR_NONE);
		struct verify_input input = {
			.chain = chain, .num_chain = 2, .bundles = bundles, .role = VERIFY_CLIENT, .now_s = NOW_S};
		_cleanup_(svid_unrefp) struct svid *svid = NULL;
		return verify_chain(&input, &svid, &world->detail) == ERR_NONE;
	}
	return false;
}

static bool has_file(const struct world *world, const char *name)
{
	_cleanup_(mem_freep) char *path = mem_printf("%s/%s.pem", world->folder, name);
	return access(path, F_OK) == 0;
}

static void finding_i4_a_prepared_root_signs_nothing_until_it_is_activated(void **state)
{
	struct world *world = *state;
	prepare(world);
	assert_true(is_trusted_by(world, first));
	assert_int_equal(activate(world), ERR_NONE);
	assert_true(is_trusted_by(world, next));
	assert_false(is_trusted_by(world, first));
	assert_int_equal(activate(world), ERR_NONE); /* a repetition */
	assert_int_equal(forget(world, first), ERR_NONE);
	assert_true(is_trusted_by(world, next));
	assert_false(has_file(world, "root-former") || has_file(world, "root-next"));
}

static void finding_i4_each_step_survives_a_restart(void **state)
{
	struct world *world = *state;
	uint8_t again[DIGEST_LEN];
	prepare(world);
	world_restart(world);
	assert_true(is_trusted_by(world, first));
	memcpy(again, next, DIGEST_LEN);
	prepare(world); /* the same one */
	assert_memory_equal(again, next, DIGEST_LEN);
	assert_int_equal(activate(world), ERR_NONE);
	world_restart(world);
	assert_true(is_trusted_by(world, next));
	assert_int_equal(forget(world, first), ERR_NONE);
	world_restart(world);
	assert_true(is_trusted_by(world, next));
}

static void copy_file(const struct world *world, const char *from, const char *to)
{
	_cleanup_(mem_freep) char *command =
		mem_printf("cp -p %s/%s.pem %s/%s.pem", world->folder, from, world->folder, to);
	assert_int_equal(system(command), 0);
}

/* A crash after each of the files of an activation. */
static void finding_i4_an_interrupted_activation_is_finished_or_undone(void **state)
{
	struct world *world = *state;
	prepare(world);
	copy_file(world, "root", "root-former"); /* only the former one was written */
	world_restart(world);
	assert_true(is_trusted_by(world, first));
	assert_false(has_file(world, "root-former"));
	copy_file(world, "root", "root-former");
	copy_file(world, "root-next", "root"); /* the next one too; the intermediate is below the former */
	world_restart(world);
	assert_true(is_trusted_by(world, next));
	assert_false(has_file(world, "root-next"));
}

static void a_root_can_be_taken_over_by_another_signer_of_the_same_bootstrap_root(void **state)
{
	struct world *world = *state;
	_cleanup_(buf_done) struct buf certificate = BUF_INIT(CERTIFICATE_MAX);
	prepare(world);
	assert_int_equal(buf_append(&certificate, buf_span(&world->authority.next_root.certificate)), ERR_NONE);
	assert_int_equal(forget(world, next), ERR_NONE);
	assert_int_equal(activate(world), ERR_NOT_FOUND);
	struct root_request request = ask(world, NULL);
	request.certificate = buf_span(&certificate);
	request.sealed = buf_span(&sealed);
	assert_int_equal(authority_adopt_root(&world->authority, &request, &world->detail), ERR_NONE);
	assert_int_equal(activate(world), ERR_NONE);
	assert_true(is_trusted_by(world, next));
	assert_int_equal(
		authority_adopt_root(&world->authority, &request, &world->detail), ERR_NONE); /* in use: nothing */
	assert_null(world->authority.next_root.key);
	request.certificate = buf_span(&world->authority.bootstrap.certificate);
	assert_int_equal(authority_adopt_root(&world->authority, &request, &world->detail), ERR_STATE_DAMAGED);
}

static void the_root_in_use_cannot_be_forgotten(void **state)
{
	struct world *world = *state;
	assert_int_equal(forget(world, first), ERR_DENIED);
	prepare(world);
	assert_int_equal(forget(world, next), ERR_NONE);
	assert_int_equal(forget(world, next), ERR_NONE);
	assert_false(has_file(world, "root-next"));
}

static void C17_an_older_issuer_changes_no_root(void **state)
{
	struct world *world = *state;
	prepare(world);
	struct root_request request = ask(world, next);
	request.epoch--;
	assert_int_equal(authority_prepare_root(&world->authority, &request, &sealed, &world->detail), ERR_CONFLICT);
	assert_int_equal(authority_activate_root(&world->authority, &request, &world->detail), ERR_CONFLICT);
	assert_int_equal(authority_forget_root(&world->authority, &request, &world->detail), ERR_CONFLICT);
	assert_int_equal(authority_adopt_root(&world->authority, &request, &world->detail), ERR_CONFLICT);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(finding_i4_a_prepared_root_signs_nothing_until_it_is_activated),
		TEST(finding_i4_each_step_survives_a_restart),
		TEST(finding_i4_an_interrupted_activation_is_finished_or_undone),
		TEST(a_root_can_be_taken_over_by_another_signer_of_the_same_bootstrap_root),
		TEST(the_root_in_use_cannot_be_forgotten),
		TEST(C17_an_older_issuer_changes_no_root),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
