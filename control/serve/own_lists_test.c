/* The revocation lists of the mesh's own authorities, by the real signer, in the trust state. */
#include "control/serve/own_lists.h"

#include "control/issue/revocation_list.h"
#include "control/issue/signer.h"
#include "control/registry/revocations.h"
#include "control/serve/serve_private.h"
#include "control/serve/test_client.h"
#include "proto/handfast/v1/enrollment.pb-c.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
/* cmocka requires the headers above */
#include <cmocka.h>

struct seen {
	size_t num;
	uint64_t number; /* the greatest */
	uint8_t content[DIGEST_LEN];
	char key[OWN_LIST_KEY_MAX];
};

static void add_seen(void *arg, const struct own_list *list, _unused_ uint64_t version)
{
	struct seen *seen = arg;
	seen->num++;
	if (list->number > seen->number)
		seen->number = list->number;
	memcpy(seen->content, list->content, DIGEST_LEN);
	own_list_key(list->authority, seen->key);
}

static struct seen look(const struct world *world)
{
	struct seen seen = {0};
	own_lists_each(world->store, add_seen, &seen);
	return seen;
}

static size_t num_trusted(const struct world *world)
{
	return bundle_set_num_crls(trust_bundles(world->trust), SPAN_LITERAL("td"));
}

static void on_authorities(void *arg, enum err err, const struct issued *issued, _unused_ const struct why *why)
{
	struct serve *serve = arg;
	assert_int_equal(err, ERR_NONE);
	serve->options.num_authorities = serve->num_authorities = issued->num_chain;
	for (size_t i = 0; i < issued->num_chain; i++) {
		buf_init(&serve->authorities[i].der, 8192);
		assert_int_equal(buf_append(&serve->authorities[i].der, issued->chain[i]), ERR_NONE);
		serve->authorities[i].not_after_s = INT64_MAX / 2000;
	}
}

/* As control_start.c passes them. */
static int set_up(void **state)
{
	assert_int_equal(world_set_up(state), 0);
	struct world *world = *state;
	(void)issuer_poll(world->issuer, on_authorities, world->serve);
	return 0;
}
#define LISTS_TEST(name) cmocka_unit_test_setup_teardown(name, set_up, world_tear_down)

static void wait_for_lists(struct world *world, size_t num)
{
	while (look(world).num != num || num_trusted(world) != num)
		loop_run_once(world->loop, true);
}

static void withdraw(struct world *world, struct span serial)
{
	const struct revocation revocation = {serial, 1700000000, INT64_MAX / 2000};
	assert_int_equal(revocations_put(world->store, &revocation, NULL, NULL), ERR_NONE);
}

static void every_authority_of_the_signer_has_a_list_in_the_trust_state(void **state)
{
	struct world *world = *state;
	struct revocation_lists lists;
	wait_for_lists(world, 2);
	bundle_set_lists(trust_bundles(world->trust), serve_now_ms(world->serve) / 1000, &lists);
	assert_int_equal(lists.num, 2);
	assert_int_equal(lists.num_stale, 0);
	assert_int_equal(lists.num_skipped, 0);
}

static void a_revoked_certificate_is_in_the_next_lists(void **state)
{
	static const uint8_t serial[16] = {0x42, 1};
	struct world *world = *state;
	wait_for_lists(world, 2);
	struct seen before = look(world);
	struct epoch epoch = trust_epoch(world->trust);
	uint64_t began_ms = loop_now_ms(world->loop);
	withdraw(world, span_of(serial, sizeof serial));
	struct seen now = before;
	while (memcmp(now.content, before.content, DIGEST_LEN) == 0 || now.number < before.number + 2) {
		loop_run_once(world->loop, true);
		now = look(world);
	}
	assert_int_equal(now.num, 2);
	assert_true(trust_epoch(world->trust).counter > epoch.counter);
	/* not while sidecars are busy with the revocation itself */
	assert_in_range(loop_now_ms(world->loop) - began_ms, 3000, 30000);
}

/* Else its leaves would pass a check of leaves alone. */
static void D43_an_authority_that_is_revoked_has_no_list(void **state)
{
	struct world *world = *state;
	uint8_t serial[CERTIFICATE_SERIAL_MAX];
	size_t len;
	wait_for_lists(world, 2);
	assert_int_equal(certificate_serial(buf_span(&world->serve->authorities[SERVE_INTERMEDIATE].der), serial, &len),
		ERR_NONE);
	withdraw(world, span_of(serial, len));
	wait_for_lists(world, 1);
}

static void put_foreign(struct world *world, uint8_t number)
{
	struct own_list list = {.serial = {0x40}, .serial_len = 1, .number = number, .der = BUF_INIT(64)};
	_cleanup_(buf_done) struct buf record = BUF_INIT(OWN_LIST_RECORD_MAX);
	char key[OWN_LIST_KEY_MAX];
	list.authority[0] = number;
	list.made_s = serve_now_ms(world->serve) / 1000;
	list.ends_s = list.made_s + 86400;
	own_list_key(list.authority, key);
	assert_int_equal(buf_append(&list.der, SPAN_LITERAL("not a list")), ERR_NONE);
	assert_int_equal(own_list_encode(&list, &record), ERR_NONE);
	store_swap(world->store, key, 0, buf_span(&record), NULL, NULL);
	own_list_done(&list);
}

/* A control plane that starts again and again, each time with another intermediate. */
static void D43_lists_do_not_grow_without_bound_and_it_is_reported(void **state)
{
	struct world *world = *state;
	struct why why = {0};
	wait_for_lists(world, 2);
	struct seen own = look(world);
	struct store_value value;
	for (uint8_t i = 0; i < OWN_LISTS_MAX - 1; i++)
		put_foreign(world, i + 1);
	while (look(world).num < OWN_LISTS_MAX + 1)
		loop_run_once(world->loop, true);
	assert_int_equal(num_trusted(world), 2); /* what is no list is left out */
	assert_false(own_lists_trouble(&world->serve->own_lists, &why));
	assert_true(store_get(world->store, own.key, &value));
	store_swap(world->store, own.key, value.version, (struct span){0}, NULL, NULL);
	while (!own_lists_trouble(&world->serve->own_lists, &why))
		loop_run_once(world->loop, true);
	assert_non_null(strstr(why.got, "intermediate"));
	assert_int_equal(look(world).num, OWN_LISTS_MAX);
}

static void D43_more_serials_than_fit_are_reported(void **state)
{
	struct world *world = *state;
	struct why why = {0};
	uint8_t serial[16] = {0x43};
	wait_for_lists(world, 2);
	for (unsigned i = 0; i < REVOCATION_LIST_ENTRIES_MAX + 3; i++) {
		serial[14] = (uint8_t)(i >> 8);
		serial[15] = (uint8_t)i;
		withdraw(world, span_of(serial, sizeof serial));
	}
	while (!own_lists_trouble(&world->serve->own_lists, &why))
		loop_run_once(world->loop, true);
	assert_non_null(strstr(why.got, "sidecars alone"));
	assert_int_equal(look(world).num, 2);
}

/* Of the last message: its trust state's, or that of the renewal in it. */
static size_t num_sent(struct world *world)
{
	_cleanup_(pb_arena_freep) struct pb_arena *arena = NULL;
	const Handfast__V1__IdentityDown *down = world_read_answer(world, &arena);
	bool is_renewal = down->kind_case == HANDFAST__V1__IDENTITY_DOWN__KIND_RENEWED;
	const Handfast__V1__TrustState *state = is_renewal ? down->renewed->trust : down->trust;
	assert_non_null(state);
	assert_true(state->epoch->counter <= trust_epoch(world->trust).counter);
	assert_int_equal(state->n_bundles, 1);
	return state->bundles[0]->n_crls;
}

static size_t num_after_renewal(struct world *world, struct rpc_call *stream)
{
	world_replace_key(&world->leaf_key);
	assert_true(world_renew(world, stream));
	return num_sent(world);
}

/* Its verifier demands a list of every authority once it has any, and refuses what a new intermediate has issued. Its
 * hello has no feature. */
static void release_0_1_gets_no_lists(void **state)
{
	struct world *world = *state;
	world_enroll(world);
	world_connect(world);
	struct rpc_call *old = world_open_stream(world);
	world_wait_for_messages(world, 1);
	wait_for_lists(world, 2);
	unsigned num = world->num_messages;
	withdraw(world, span_of("\x44", 1));
	world_wait_for_messages(world, num + 1);
	assert_int_equal(num_sent(world), 0);
	assert_int_equal(num_after_renewal(world, old), 0);
	rpc_call_cancel(old); /* what is sent to it is not to be taken for the first message of the next one */
	struct rpc_call *new = world_call(world, "/handfast.v1.Identity/Stream",
		SPAN_LITERAL("\x0a\x0f\x08\x01\x12\x0b"
			     "claim-proof"));
	world_wait_for_messages(world, 1);
	assert_int_equal(num_sent(world), 2);
	assert_int_equal(num_after_renewal(world, new), 2);
}

static void release_0_1_gets_no_lists_when_it_attests(void **state)
{
	struct world *world = *state;
	wait_for_lists(world, 2);
	for (int i = 0; i < 2; i++) {
		_cleanup_(pb_arena_freep) struct pb_arena *arena = NULL;
		ProtobufCMessage *unpacked;
		world->proves_claims = i == 1;
		world_make_token(world);
		world_connect(world);
		world_attest(world, true);
		assert_int_equal(world->status, RPC_OK);
		assert_int_equal(pb_unpack(&handfast__v1__attest_response__descriptor, buf_span(&world->answer), &arena,
					 &unpacked, NULL),
			ERR_NONE);
		const Handfast__V1__AttestResponse *answer = (const Handfast__V1__AttestResponse *)unpacked;
		assert_int_equal(answer->trust->bundles[0]->n_crls, i == 1 ? 2 : 0);
		world_replace_key(&world->leaf_key);
	}
}

int main(int argc, char **argv)
{
	if (argc > 1 && strcmp(argv[1], SIGNER_COMMAND) == 0)
		return signer_main(argc, argv);
	const struct CMUnitTest tests[] = {
		LISTS_TEST(every_authority_of_the_signer_has_a_list_in_the_trust_state),
		LISTS_TEST(a_revoked_certificate_is_in_the_next_lists),
		LISTS_TEST(D43_an_authority_that_is_revoked_has_no_list),
		LISTS_TEST(D43_lists_do_not_grow_without_bound_and_it_is_reported),
		LISTS_TEST(D43_more_serials_than_fit_are_reported),
		LISTS_TEST(release_0_1_gets_no_lists),
		LISTS_TEST(release_0_1_gets_no_lists_when_it_attests),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
