#include "base/core/mem.h"
#include "certs/digest.h"
#include "certs/verify.h"
#include "control/issue/authority.h"
#include "control/issue/certificate.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
/* cmocka requires the four above */
#include <cmocka.h>

#define NOW_S 1800000000
#define DAY_S 86400LL

struct world {
	char parent[64], folder[80];
	struct clock_fake clock;
	struct authority_options options;
	struct authority authority;
	struct private_key *key;
	struct buf spki;
	struct spiffe_id control;
	struct bootstrap_made made;
	struct buf first; /* DER: the first bootstrap root */
	struct why detail;
};

static void open_authority(struct world *world, enum key_policy policy)
{
	const struct store_mark mark = {.epoch = world->authority.mark.epoch + 1, .incarnation = 77, .revision = 1};
	world->options.policy = policy;
	assert_int_equal(authority_open(&world->authority, &world->options, &world->detail), ERR_NONE);
	assert_int_equal(authority_begin_epoch(&world->authority, &mark, &world->detail), ERR_NONE);
}

static void made_init(struct bootstrap_made *made)
{
	*made = (struct bootstrap_made){BUF_INIT(4096), BUF_INIT(4096), BUF_INIT(4096)};
}

static void made_done(struct bootstrap_made *made)
{
	buf_done(&made->certificate);
	buf_done(&made->cross);
	buf_done(&made->sealed);
}

static int set_up(void **state)
{
	struct world *world = mem_new(struct world);
	snprintf(world->parent, sizeof world->parent, "/tmp/bootstrapXXXXXX");
	assert_non_null(mkdtemp(world->parent));
	snprintf(world->folder, sizeof world->folder, "%s/keys", world->parent);
	clock_fake_init(&world->clock, NOW_S * 1000LL);
	world->options = (struct authority_options){.folder = world->folder,
		.max_leaf_ttl_s = DAY_S,
		.intermediate_life_s = 7 * DAY_S,
		.root_life_s = 365 * DAY_S,
		.clock = &world->clock.clock};
	snprintf(world->options.trust_domain.name, sizeof world->options.trust_domain.name, "td");
	open_authority(world, KEYS_MAY_BE_MADE);
	world->key = private_key_generate();
	buf_init(&world->spki, 1024);
	buf_init(&world->first, 4096);
	made_init(&world->made);
	assert_int_equal(buf_append(&world->first, buf_span(&world->authority.bootstrap.certificate)), ERR_NONE);
	assert_int_equal(private_key_public(world->key, &world->spki), ERR_NONE);
	assert_int_equal(
		spiffe_id_parse(SPAN_LITERAL("spiffe://td/handfast/control"), &world->control, NULL), ERR_NONE);
	*state = world;
	return 0;
}

static int tear_down(void **state)
{
	struct world *world = *state;
	authority_done(&world->authority);
	private_key_unref(world->key);
	buf_done(&world->spki);
	buf_done(&world->first);
	made_done(&world->made);
	spiffe_id_done(&world->control);
	_cleanup_(mem_freep) char *command = mem_printf("rm -rf %s", world->parent);
	assert_int_equal(system(command), 0);
	mem_free(world);
	return 0;
}

static void prepare(struct world *world)
{
	made_done(&world->made);
	made_init(&world->made);
	assert_int_equal(authority_prepare_bootstrap(
				 &world->authority, world->authority.mark.epoch, &world->made, &world->detail),
		ERR_NONE);
}

static enum err use(struct world *world, struct span former)
{
	const struct bootstrap_request request = {.epoch = world->authority.mark.epoch,
		.certificate = buf_span(&world->made.certificate),
		.sealed = buf_span(&world->made.sealed),
		.cross = former.len == 0 ? former : buf_span(&world->made.cross),
		.former = former};
	return authority_use_bootstrap(&world->authority, &request, &world->detail);
}

/* What a sidecar with these pins makes of the server certificate that is signed now. */
static enum err verdict(struct world *world, const struct span *pinned, size_t num)
{
	_cleanup_(buf_done) struct buf leaf = BUF_INIT(4096);
	const struct leaf_request request = {
		.epoch = world->authority.mark.epoch, .spki = buf_span(&world->spki), .ttl_s = DAY_S};
	enum err err = authority_sign_control(&world->authority, &request, &leaf, &world->detail);
	if (err != ERR_NONE)
		return err;
	struct span chain[4] = {buf_span(&leaf)};
	size_t num_chain = 1;
	uint8_t pins[2][DIGEST_LEN];
	if (buf_len(&world->authority.cross) > 0)
		chain[num_chain++] = buf_span(&world->authority.cross);
	chain[num_chain++] = buf_span(&authority_bootstrap_of(&world->authority)->certificate);
	if (buf_len(&world->authority.former_bootstrap) > 0)
		chain[num_chain++] = buf_span(&world->authority.former_bootstrap);
	for (size_t i = 0; i < num; i++)
		digest_sha256(pinned[i], pins[i]);
	const struct verify_bootstrap_input input = {.chain = chain,
		.num_chain = num_chain,
		.pins = (const uint8_t(*)[32])pins,
		.num_pins = num,
		.expected = &world->control,
		.now_s = world->clock.wall_ms / 1000};
	return verify_bootstrap_chain(&input, &world->detail);
}

static enum err verdict_of(struct world *world, const struct buf *pinned)
{
	const struct span one = buf_span(pinned);
	return verdict(world, &one, 1);
}

static void finding_i4_a_sidecar_that_pins_either_bootstrap_root_accepts_the_server(void **state)
{
	struct world *world = *state;
	prepare(world);
	assert_int_equal(verdict_of(world, &world->first), ERR_NONE);
	assert_int_equal(verdict_of(world, &world->made.certificate), ERR_UNTRUSTED); /* it signs nothing yet */
	assert_int_equal(use(world, buf_span(&world->first)), ERR_NONE);
	assert_int_equal(verdict_of(world, &world->first), ERR_NONE);
	assert_int_equal(verdict_of(world, &world->made.certificate), ERR_NONE);
	const struct span both[] = {buf_span(&world->first), buf_span(&world->made.certificate)};
	assert_int_equal(verdict(world, both, 2), ERR_NONE);
}

static void finding_i4_a_retired_bootstrap_root_is_accepted_by_none(void **state)
{
	struct world *world = *state;
	prepare(world);
	assert_int_equal(use(world, (struct span){0}), ERR_NONE);
	assert_int_equal(verdict_of(world, &world->first), ERR_UNTRUSTED);
	assert_int_equal(verdict_of(world, &world->made.certificate), ERR_NONE);
}

/* A sidecar that was away for the whole rotation has until that day. */
static void finding_i4_the_former_one_ends_with_its_own_life_and_the_successor_does_not(void **state)
{
	struct world *world = *state;
	clock_fake_advance(&world->clock, (BOOTSTRAP_LIFE_S - 30 * DAY_S) * 1000);
	prepare(world);
	assert_int_equal(use(world, buf_span(&world->first)), ERR_NONE);
	assert_int_equal(verdict_of(world, &world->first), ERR_NONE);
	clock_fake_advance(&world->clock, 30 * DAY_S * 1000);
	assert_int_equal(verdict_of(world, &world->first), ERR_EXPIRED);
	const struct span both[] = {buf_span(&world->first), buf_span(&world->made.certificate)};
	assert_int_equal(verdict(world, both, 2), ERR_NONE);
}

static int64_t end_of(struct span der)
{
	int64_t from, to;
	assert_int_equal(certificate_validity(der, &from, &to), ERR_NONE);
	return to;
}

static void finding_i4_no_certificate_outlives_the_one_that_signed_it(void **state)
{
	struct world *world = *state;
	_cleanup_(buf_done) struct buf leaf = BUF_INIT(4096);
	clock_fake_advance(&world->clock, (BOOTSTRAP_LIFE_S - 3600) * 1000);
	prepare(world);
	assert_true(end_of(buf_span(&world->made.cross)) == end_of(buf_span(&world->first)));
	const struct leaf_request request = {
		.epoch = world->authority.mark.epoch, .spki = buf_span(&world->spki), .ttl_s = DAY_S};
	assert_int_equal(authority_sign_control(&world->authority, &request, &leaf, &world->detail), ERR_NONE);
	assert_true(end_of(buf_span(&leaf)) == end_of(buf_span(&world->first)));
}

static void finding_i4_a_start_after_the_first_one_has_expired_uses_the_successor(void **state)
{
	struct world *world = *state;
	prepare(world);
	clock_fake_advance(&world->clock, (BOOTSTRAP_LIFE_S - DAY_S) * 1000);
	authority_done(&world->authority);
	open_authority(world, KEYS_MUST_EXIST);
	assert_int_equal(use(world, (struct span){0}), ERR_NONE);
	/* Made a day later, so that it ends a day later too. */
	assert_int_equal(verdict_of(world, &world->made.certificate), ERR_NONE);
	clock_fake_advance(&world->clock, 2 * DAY_S * 1000);
	assert_int_equal(verdict_of(world, &world->made.certificate), ERR_EXPIRED);
}

static void finding_i4_a_successor_of_the_successor_is_sealed_for_the_first_one_too(void **state)
{
	struct world *world = *state;
	_cleanup_(buf_done) struct buf second = BUF_INIT(4096);
	prepare(world);
	assert_int_equal(use(world, buf_span(&world->first)), ERR_NONE);
	assert_int_equal(buf_append(&second, buf_span(&world->made.certificate)), ERR_NONE);
	prepare(world);
	authority_done(&world->authority); /* a control plane that has the key of the first one alone */
	open_authority(world, KEYS_MUST_EXIST);
	assert_int_equal(use(world, buf_span(&second)), ERR_NONE);
	assert_int_equal(verdict_of(world, &second), ERR_NONE);
	assert_int_equal(verdict_of(world, &world->made.certificate), ERR_NONE);
	assert_int_equal(verdict_of(world, &world->first), ERR_UNTRUSTED);
}

static void C44_what_does_not_belong_together_is_refused(void **state)
{
	struct world *world = *state;
	prepare(world);
	struct span cross = buf_span(&world->made.cross);
	const struct bootstrap_request request = {.epoch = world->authority.mark.epoch,
		.certificate = buf_span(&world->first), /* the key is another's */
		.sealed = buf_span(&world->made.sealed)};
	assert_int_equal(authority_use_bootstrap(&world->authority, &request, &world->detail), ERR_STATE_DAMAGED);
	assert_int_equal(use(world, cross), ERR_STATE_DAMAGED); /* did not sign it */
	assert_int_equal(verdict_of(world, &world->first), ERR_NONE);
	assert_int_equal(
		authority_prepare_bootstrap(&world->authority, 99, &world->made, &world->detail), ERR_CONFLICT);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(finding_i4_a_sidecar_that_pins_either_bootstrap_root_accepts_the_server),
		TEST(finding_i4_a_retired_bootstrap_root_is_accepted_by_none),
		TEST(finding_i4_the_former_one_ends_with_its_own_life_and_the_successor_does_not),
		TEST(finding_i4_no_certificate_outlives_the_one_that_signed_it),
		TEST(finding_i4_a_start_after_the_first_one_has_expired_uses_the_successor),
		TEST(finding_i4_a_successor_of_the_successor_is_sealed_for_the_first_one_too),
		TEST(C44_what_does_not_belong_together_is_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
