/* Revocation lists of the signer's authorities. */
#include "base/core/mem.h"
#include "certs/bundle.h"
#include "certs/digest.h"
#include "control/issue/certificate.h"
#include "control/issue/revocation_list.h"
#include "control/issue/test_authority.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <unistd.h>
/* cmocka requires the headers above */
#include <cmocka.h>

#define DAY_S 86400

static enum err sign_for(struct world *world, const struct buf *certificate, uint64_t epoch, struct buf *out)
{
	uint8_t digest[DIGEST_LEN];
	digest_sha256(buf_span(certificate), digest);
	const struct list_request request = {
		.epoch = epoch, .sha256 = span_of(digest, DIGEST_LEN), .above = 0, .life_s = 7200};
	buf_clear(out);
	return authority_sign_list(&world->authority, &request, out, &world->detail);
}

/* Whether sidecars with that root take the list; *out_ends_s: its nextUpdate. */
static enum err judge(struct world *world, const struct buf *list, int64_t *out_ends_s)
{
	struct span root = buf_span(&world->authority.root.certificate);
	_cleanup_(bundle_unrefp) struct bundle *bundle = NULL;
	_cleanup_(bundle_set_unrefp) struct bundle_set *set = bundle_set_new();
	struct revocation_lists lists;
	assert_int_equal(bundle_new(&world->options.trust_domain, &root, 1, &bundle, NULL), ERR_NONE);
	assert_int_equal(bundle_set_add(set, bundle, NULL), ERR_NONE);
	enum err err = bundle_set_add_crl(set, &world->options.trust_domain, buf_span(list), &world->detail);
	bundle_set_lists(set, NOW_S, &lists);
	*out_ends_s = lists.ends_s;
	return err;
}

static void root_and_intermediate_have_lists_that_sidecars_use(void **state)
{
	struct world *world = *state;
	_cleanup_(buf_done) struct buf list = BUF_INIT(REVOCATION_LIST_MAX);
	const struct buf *const authorities[] = {
		&world->authority.root.certificate, &world->authority.intermediate.certificate};
	int64_t ends_s;
	for (size_t i = 0; i < 2; i++) {
		assert_int_equal(sign_for(world, authorities[i], 1, &list), ERR_NONE);
		assert_int_equal(judge(world, &list, &ends_s), ERR_NONE);
		assert_int_equal(ends_s, NOW_S + 7200);
	}
}

static void of_another_authority_and_for_an_older_issuer_there_is_none(void **state)
{
	struct world *world = *state;
	_cleanup_(buf_done) struct buf list = BUF_INIT(REVOCATION_LIST_MAX);
	assert_int_equal(sign_for(world, &world->authority.bootstrap.certificate, 1, &list), ERR_NOT_FOUND);
	assert_int_equal(sign_for(world, &world->spki, 1, &list), ERR_NOT_FOUND);
	assert_int_equal(sign_for(world, &world->authority.intermediate.certificate, 2, &list), ERR_CONFLICT);
	assert_int_equal(buf_len(&list), 0);
}

/* Its leaves are still out there, also after a restart of the signer. */
static void the_intermediate_before_still_signs_lists_and_nothing_else(void **state)
{
	struct world *world = *state;
	_cleanup_(buf_done) struct buf list = BUF_INIT(REVOCATION_LIST_MAX), former = BUF_INIT(CERTIFICATE_MAX);
	int64_t ends_s;
	assert_int_equal(buf_append(&former, buf_span(&world->authority.intermediate.certificate)), ERR_NONE);
	assert_int_equal(authority_renew_intermediate(&world->authority, 1, &world->detail), ERR_NONE);
	assert_false(span_eq(buf_span(&former), buf_span(&world->authority.intermediate.certificate)));
	assert_int_equal(sign_for(world, &former, 1, &list), ERR_NONE);
	assert_int_equal(judge(world, &list, &ends_s), ERR_NONE);
	authority_done(&world->authority);
	world_open(world, KEYS_MUST_EXIST);
	assert_int_equal(world_begin(world, 2), ERR_NONE);
	assert_int_equal(sign_for(world, &former, 2, &list), ERR_NONE);
	assert_int_equal(authority_renew_intermediate(&world->authority, 2, &world->detail), ERR_NONE);
	assert_int_equal(sign_for(world, &former, 2, &list), ERR_NOT_FOUND);
}

static enum err take(struct bundle_set *set, struct world *world, const struct buf *list)
{
	return bundle_set_add_crl(set, &world->options.trust_domain, buf_span(list), &world->detail);
}

/* By the number the newer of two lists counts: with a clock that went back, too. */
static void a_later_list_has_a_greater_number(void **state)
{
	struct world *world = *state;
	struct span root = buf_span(&world->authority.root.certificate);
	_cleanup_(buf_done) struct buf one = BUF_INIT(REVOCATION_LIST_MAX), two = BUF_INIT(REVOCATION_LIST_MAX);
	_cleanup_(bundle_unrefp) struct bundle *bundle = NULL;
	_cleanup_(bundle_set_unrefp) struct bundle_set *set = bundle_set_new();
	struct revocation_lists lists;
	assert_int_equal(bundle_new(&world->options.trust_domain, &root, 1, &bundle, NULL), ERR_NONE);
	assert_int_equal(bundle_set_add(set, bundle, NULL), ERR_NONE);
	assert_int_equal(sign_for(world, &world->authority.intermediate.certificate, 1, &one), ERR_NONE);
	world->clock.wall_ms -= DAY_S * 1000LL;
	assert_int_equal(sign_for(world, &world->authority.intermediate.certificate, 1, &two), ERR_NONE);
	assert_int_equal(take(set, world, &one), ERR_NONE);
	assert_int_equal(take(set, world, &two), ERR_NONE);
	bundle_set_lists(set, NOW_S, &lists);
	assert_int_equal(lists.num, 1);
	assert_int_equal(lists.ends_s, NOW_S - DAY_S + 7200); /* the second */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		WORLD_TEST(root_and_intermediate_have_lists_that_sidecars_use),
		WORLD_TEST(of_another_authority_and_for_an_older_issuer_there_is_none),
		WORLD_TEST(the_intermediate_before_still_signs_lists_and_nothing_else),
		WORLD_TEST(a_later_list_has_a_greater_number),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
