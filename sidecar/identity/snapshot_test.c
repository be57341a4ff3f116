/* Which credentials and trust states are accepted, and which are refused while the last valid ones stay in use (abuse
 * cases C13, C14). */
#include "base/core/cleanup.h"
#include "sidecar/identity/test_identity.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka.h needs the four headers above before it */
#include <cmocka.h>
#include <stdio.h>

static struct trust trust_of(struct test_mesh *mesh, uint64_t incarnation, uint64_t counter)
{
	return (struct trust){.epoch = {incarnation, counter}, .bundles = bundle_set_ref(test_mesh_bundles(mesh))};
}

/* As an answer to Attest. */
static enum err enroll(struct world *world, struct test_mesh *mesh, const char *id, uint64_t counter)
{
	_cleanup_(credentials_unrefp) struct credentials *made = test_mesh_credentials(mesh, id);
	_cleanup_(attest_answer_done) struct attest_answer answer = {.svid = svid_ref(credentials_svid(made)),
		.trust = trust_of(mesh, 7, counter),
		.server_time_ms = TEST_NOW_S * 1000};
	struct why why;
	return identity_use_answer(&world->client, &answer, credentials_key(made), &why);
}

static enum err push(struct world *world, struct test_mesh *mesh, uint64_t incarnation, uint64_t counter)
{
	_cleanup_(trust_done) struct trust trust = trust_of(mesh, incarnation, counter);
	struct why why;
	return identity_use_trust(&world->client, &trust, &why);
}

static void publishes_the_credentials_of_an_attestation(void **state)
{
	struct world *world = *state;
	assert_int_equal(enroll(world, world->mesh, OWN, 3), ERR_NONE);
	assert_int_equal(world->num_published, 1);
	assert_true(spiffe_id_eq(credentials_id(world->last), svid_id(credentials_svid(world->last))));
	assert_int_equal(state_folder_get(world->client.options.state)->epoch.counter, 3);
	assert_true(world->client.renew.has_certificate);
}

/* With a root that ends in ten minutes, of a chain that ends in an hour. */
static void renews_before_the_root_ends(void **state)
{
	struct world *world = *state;
	_cleanup_(bundle_set_unrefp) struct bundle_set *bundles =
		test_mesh_bundles_until(world->mesh, TEST_NOW_S + 600);
	_cleanup_(credentials_unrefp) struct credentials *made = test_mesh_credentials(world->mesh, OWN);
	_cleanup_(attest_answer_done) struct attest_answer answer = {.svid = svid_ref(credentials_svid(made)),
		.trust = {.epoch = {7, 3}, .bundles = bundle_set_ref(bundles)},
		.server_time_ms = TEST_NOW_S * 1000};
	struct why why;
	assert_int_equal(identity_use_answer(&world->client, &answer, credentials_key(made), &why), ERR_NONE);
	assert_int_equal(world->client.renew.not_after_s, TEST_NOW_S + 600);
	assert_true(
		world->client.renew.due_boot_ms < loop_clock(world->loop)->boot_ms(loop_clock(world->loop)) + 600000);
}

static void renews_before_the_root_ends_that_a_later_trust_has(void **state)
{
	struct world *world = *state;
	_cleanup_(trust_done) struct trust trust = {
		.epoch = {7, 4}, .bundles = test_mesh_bundles_until(world->mesh, TEST_NOW_S + 600)};
	struct why why;
	assert_int_equal(enroll(world, world->mesh, OWN, 3), ERR_NONE);
	uint64_t before = world->client.renew.due_boot_ms;
	assert_int_equal(push(world, world->mesh, 7, 3), ERR_NONE);
	assert_int_equal(world->client.renew.due_boot_ms, before);
	assert_int_equal(identity_use_trust(&world->client, &trust, &why), ERR_NONE);
	assert_true(
		world->client.renew.due_boot_ms < loop_clock(world->loop)->boot_ms(loop_clock(world->loop)) + 600000);
}

static void c13_refuses_an_older_epoch_within_one_incarnation(void **state)
{
	struct world *world = *state;
	assert_int_equal(enroll(world, world->mesh, OWN, 3), ERR_NONE);
	struct credentials *good = world->last;
	assert_int_equal(push(world, world->mesh, 7, 2), ERR_CONFLICT);
	assert_ptr_equal(world->client.credentials, good);
	assert_int_equal(push(world, world->mesh, 7, 4), ERR_NONE);
	assert_int_equal(push(world, world->mesh, 8, 1), ERR_NONE); /* a new incarnation restarts the counter */
}

/* Decision 071: the control plane waits for the confirmation before the next bootstrap root signs. */
static void finding_i4_a_pin_that_is_not_on_the_disk_is_not_confirmed(void **state)
{
	struct world *world = *state;
	struct identity_client *client = &world->client;
	char away[64];
	struct why why;
	(void)snprintf(away, sizeof away, "%s-away", world->folder);
	assert_int_equal(enroll(world, world->mesh, OWN, 3), ERR_NONE);
	client->state = IDENTITY_TRUSTED;
	assert_int_equal(rename(world->folder, away), 0);
	_cleanup_(trust_done) struct trust trust = trust_of(world->mesh, 7, 4);
	trust.num_pins = 1;
	trust.pins[0][0] = 9;
	assert_int_equal(identity_use_trust(client, &trust, &why), ERR_NONE); /* in use all the same */
	assert_false(identity_may_confirm(client, &trust));
	assert_false(identity_store_again(client));
	assert_int_equal(rename(away, world->folder), 0);
	assert_true(identity_store_again(client));
	assert_true(identity_may_confirm(client, &trust));
	assert_int_equal(state_folder_get(client->options.state)->num_pins, 1);
	assert_false(identity_store_again(client)); /* once */
	client->state = IDENTITY_WAITING;
}

/* The confirmation covers those of the trust state, so they have the room; former ones have what is left. */
static void the_pins_of_the_trust_state_are_stored_before_former_ones(void **state)
{
	struct world *world = *state;
	struct identity_client *client = &world->client;
	struct why why;
	uint8_t former[DIGEST_LEN] = {0};
	assert_int_equal(enroll(world, world->mesh, OWN, 3), ERR_NONE);
	for (uint8_t i = 0; i < STATE_PINS_MAX + 2; i++) {
		former[0] = (uint8_t)(100 + i);
		bootstrap_pins_add(&client->pins, former);
	}
	assert_int_equal(client->pins.num, STATE_PINS_MAX + 2);
	_cleanup_(trust_done) struct trust trust = trust_of(world->mesh, 7, 4);
	for (uint8_t i = 0; i < STATE_PINS_MAX - 1; i++)
		trust.pins[trust.num_pins++][0] = (uint8_t)(1 + i);
	assert_int_equal(identity_use_trust(client, &trust, &why), ERR_NONE);
	assert_true(identity_may_confirm(client, &trust));
	const struct enrolled_state *stored = state_folder_get(client->options.state);
	assert_int_equal(stored->num_pins, STATE_PINS_MAX);
	for (size_t i = 0; i < STATE_PINS_MAX - 1; i++)
		assert_int_equal(stored->pins[i][0], 1 + i);
	assert_int_equal(stored->pins[STATE_PINS_MAX - 1][0], 100);
}

static enum err push_with_ban(struct world *world, uint64_t incarnation, uint64_t counter, const char *banned)
{
	_cleanup_(trust_done) struct trust trust = {.epoch = {incarnation, counter}, .bundles = bundle_set_new()};
	_cleanup_(spiffe_id_done) struct spiffe_id id = {0};
	struct why why;
	struct bundle *own =
		(struct bundle *)(uintptr_t)bundle_set_find(test_mesh_bundles(world->mesh), SPAN_LITERAL(DOMAIN));
	assert_int_equal(bundle_set_add(trust.bundles, own, &why), ERR_NONE);
	if (banned != NULL) {
		assert_int_equal(spiffe_id_parse(span_of_str(banned), &id, NULL), ERR_NONE);
		bundle_set_ban_id(trust.bundles, &id);
	}
	return identity_use_trust(&world->client, &trust, &why);
}

/* The backup is from before the ban. */
static void finding_i7_a_ban_that_a_restored_control_plane_lacks_is_retained(void **state)
{
	static const char thief[] = "spiffe://cluster.local/ns/shop/sa/thief";
	struct world *world = *state;
	assert_int_equal(enroll(world, world->mesh, OWN, 3), ERR_NONE);
	assert_int_equal(push_with_ban(world, 7, 4, thief), ERR_NONE);
	assert_int_equal(push_with_ban(world, 8, 1, NULL), ERR_NONE); /* the new incarnation is accepted */
	assert_true(world_bans(world, thief));
	assert_int_equal(push_with_ban(world, 8, 2, "spiffe://cluster.local/ns/shop/sa/other"), ERR_NONE);
	assert_true(world_bans(world, thief));
	assert_int_equal(world->client.retained_counts.num_ids, 1);
	assert_string_equal(world->client.retained_counts.first, thief);
	assert_int_equal(push_with_ban(world, 8, 3, thief), ERR_NONE); /* the control plane has the ban again ... */
	assert_true(world_bans(world, thief));
	assert_int_equal(world->client.retained_counts.num_ids, 0);
	assert_int_equal(push_with_ban(world, 8, 4, NULL), ERR_NONE); /* ... and lifts it */
	assert_false(world_bans(world, thief));
}

static void c13_stores_the_newest_epoch_across_a_restart(void **state)
{
	struct world *world = *state;
	assert_int_equal(enroll(world, world->mesh, OWN, 3), ERR_NONE);
	credentials_unref(world->client.credentials);
	world->client.credentials = NULL;
	assert_int_equal(enroll(world, world->mesh, OWN, 2), ERR_CONFLICT);
	assert_int_equal(enroll(world, world->mesh, OWN, 3), ERR_NONE);
}

static void the_same_epoch_creates_no_new_snapshot(void **state)
{
	struct world *world = *state;
	assert_int_equal(enroll(world, world->mesh, OWN, 3), ERR_NONE);
	assert_int_equal(push(world, world->mesh, 7, 3), ERR_NONE);
	assert_int_equal(world->num_published, 1);
}

static void c14_refuses_a_trust_state_that_would_invalidate_the_own_identity(void **state)
{
	struct world *world = *state;
	_cleanup_(test_mesh_freep) struct test_mesh *stranger = test_mesh_new(DOMAIN, TEST_NOW_S);
	assert_int_equal(enroll(world, world->mesh, OWN, 3), ERR_NONE);
	struct credentials *good = world->last;
	assert_int_equal(push(world, stranger, 7, 4), ERR_UNTRUSTED);
	assert_ptr_equal(world->client.credentials, good);
	assert_int_equal(credentials_epoch(good).counter, 3);
	struct trust unusable = {.epoch = {7, 4}, .detail = {.err = ERR_MALFORMED}};
	struct why why;
	assert_int_equal(identity_use_trust(&world->client, &unusable, &why), ERR_MALFORMED);
	assert_ptr_equal(world->client.credentials, good);
}

static enum err renew_with_trust(struct world *world, struct test_mesh *mesh, const char *id, uint64_t counter)
{
	_cleanup_(credentials_unrefp) struct credentials *made = test_mesh_credentials(mesh, id);
	_cleanup_(trust_done) struct trust trust = trust_of(mesh, 7, counter);
	struct why why;
	return identity_use_both(&world->client, credentials_svid(made), &trust, credentials_key(made), &why);
}

/* The old root is withdrawn while the stream stands. */
static void finding_i4_a_certificate_and_the_trust_state_are_taken_over_together(void **state)
{
	struct world *world = *state;
	_cleanup_(test_mesh_freep) struct test_mesh *next = test_mesh_new(DOMAIN, TEST_NOW_S);
	assert_int_equal(enroll(world, world->mesh, OWN, 3), ERR_NONE);
	assert_int_equal(push(world, next, 7, 4), ERR_UNTRUSTED);
	assert_int_equal(renew_with_trust(world, next, "spiffe://cluster.local/ns/shop/sa/other", 4), ERR_WRONG_PEER);
	assert_int_equal(renew_with_trust(world, next, OWN, 2), ERR_CONFLICT);
	assert_int_equal(world->num_published, 1);
	assert_int_equal(renew_with_trust(world, next, OWN, 4), ERR_NONE);
	assert_int_equal(world->num_published, 2);
	assert_int_equal(credentials_epoch(world->last).counter, 4);
	assert_int_equal(push(world, next, 7, 4), ERR_NONE); /* the same one */
	assert_int_equal(world->num_published, 2);
}

static void c14_refuses_a_leaf_of_another_domain_identity_or_key(void **state)
{
	struct world *world = *state;
	struct why why;
	_cleanup_(test_mesh_freep) struct test_mesh *other = test_mesh_new("other.test", TEST_NOW_S);
	assert_int_equal(enroll(world, other, "spiffe://other.test/a", 1), ERR_WRONG_PEER);
	assert_int_equal(world->num_published, 0);
	assert_int_equal(enroll(world, world->mesh, OWN, 3), ERR_NONE);
	_cleanup_(credentials_unrefp) struct credentials *foreign =
		test_mesh_credentials(world->mesh, "spiffe://cluster.local/ns/shop/sa/other");
	assert_int_equal(identity_use_svid(&world->client, credentials_svid(foreign), credentials_key(foreign), &why),
		ERR_WRONG_PEER);
	_cleanup_(credentials_unrefp) struct credentials *same = test_mesh_credentials(world->mesh, OWN);
	assert_int_equal(identity_use_svid(&world->client, credentials_svid(same), credentials_key(foreign), &why),
		ERR_KEY_MISMATCH);
	assert_int_equal(world->num_published, 1);
	assert_int_equal(
		identity_use_svid(&world->client, credentials_svid(same), credentials_key(same), &why), ERR_NONE);
	assert_int_equal(world->num_published, 2);
}

static void withdraws_an_expired_identity_once(void **state)
{
	struct world *world = *state;
	assert_int_equal(enroll(world, world->mesh, OWN, 3), ERR_NONE);
	identity_check_expiry(&world->client);
	assert_int_equal(world->num_withdrawn, 0);
	clock_fake_advance(&world->clock, 3700 * 1000);
	identity_check_expiry(&world->client);
	identity_check_expiry(&world->client);
	assert_int_equal(world->num_withdrawn, 1);
	assert_null(world->last);
}

static void finding_i9_a_clock_that_was_ahead_for_a_moment_does_not_end_the_identity(void **state)
{
	struct world *world = *state;
	assert_int_equal(enroll(world, world->mesh, OWN, 3), ERR_NONE);
	world->clock.wall_ms += 86400 * 1000; /* this host's clock */
	identity_check_expiry(&world->client);
	assert_null(world->last);
	world->clock.wall_ms -= 86400 * 1000;
	identity_check_expiry(&world->client);
	identity_check_expiry(&world->client);
	assert_non_null(world->last);
	assert_int_equal(world->num_published, 2);
	identity_receive_time(&world->client, (TEST_NOW_S + 86400) * 1000, false); /* the control plane's clock */
	identity_check_expiry(&world->client);
	assert_non_null(world->last);
	/* and the renewal comes soon */
	assert_true(world->client.renew.due_boot_ms <= world->clock.boot_ms + 90000);
}

static void finding_i9_an_identity_of_a_wrong_time_is_replaced_when_the_time_is_right_again(void **state)
{
	struct world *world = *state;
	assert_int_equal(enroll(world, world->mesh, OWN, 3), ERR_NONE);
	identity_receive_time(&world->client, (TEST_NOW_S + 86400) * 1000, false);
	clock_fake_advance(&world->clock, 70 * 1000);
	identity_receive_time(&world->client, (TEST_NOW_S + 86400 + 70) * 1000, false); /* it still reports that time */
	identity_check_expiry(&world->client);
	assert_null(world->last);
	/* no identity is published that a jump could end: the correct time is accepted at once */
	identity_receive_time(&world->client, (TEST_NOW_S + 70) * 1000, !world->client.is_published);
	identity_check_expiry(&world->client);
	assert_non_null(world->last);
}

/* The control plane's clock is a day ahead: it considers the SVID expired, and the sidecar must attest again. */
static void finding_i9_an_answer_from_a_wrong_clock_does_not_replace_a_valid_identity(void **state)
{
	struct world *world = *state;
	assert_int_equal(enroll(world, world->mesh, OWN, 3), ERR_NONE);
	_cleanup_(test_mesh_freep) struct test_mesh *ahead = test_mesh_new(DOMAIN, TEST_NOW_S + 86400);
	_cleanup_(credentials_unrefp) struct credentials *made = test_mesh_credentials(ahead, OWN);
	_cleanup_(attest_answer_done) struct attest_answer answer = {.svid = svid_ref(credentials_svid(made)),
		.trust = trust_of(ahead, 7, 4),
		.server_time_ms = (TEST_NOW_S + 86400) * 1000};
	struct why why;
	struct credentials *good = world->last;
	assert_int_equal(identity_use_answer(&world->client, &answer, credentials_key(made), &why), ERR_NOT_YET_VALID);
	identity_check_expiry(&world->client);
	assert_ptr_equal(world->last, good);
	/* without a valid identity the server's time is accepted */
	clock_fake_advance(&world->clock, 3700 * 1000);
	identity_check_expiry(&world->client);
	assert_null(world->last);
	assert_int_equal(identity_use_answer(&world->client, &answer, credentials_key(made), &why), ERR_NONE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		WORLD_TEST(publishes_the_credentials_of_an_attestation),
		WORLD_TEST(renews_before_the_root_ends),
		WORLD_TEST(renews_before_the_root_ends_that_a_later_trust_has),
		WORLD_TEST(finding_i4_a_pin_that_is_not_on_the_disk_is_not_confirmed),
		WORLD_TEST(the_pins_of_the_trust_state_are_stored_before_former_ones),
		WORLD_TEST(c13_refuses_an_older_epoch_within_one_incarnation),
		WORLD_TEST(finding_i7_a_ban_that_a_restored_control_plane_lacks_is_retained),
		WORLD_TEST(c13_stores_the_newest_epoch_across_a_restart),
		WORLD_TEST(the_same_epoch_creates_no_new_snapshot),
		WORLD_TEST(c14_refuses_a_trust_state_that_would_invalidate_the_own_identity),
		WORLD_TEST(finding_i4_a_certificate_and_the_trust_state_are_taken_over_together),
		WORLD_TEST(c14_refuses_a_leaf_of_another_domain_identity_or_key),
		WORLD_TEST(finding_i9_a_clock_that_was_ahead_for_a_moment_does_not_end_the_identity),
		WORLD_TEST(finding_i9_an_identity_of_a_wrong_time_is_replaced_when_the_time_is_right_again),
		WORLD_TEST(finding_i9_an_answer_from_a_wrong_clock_does_not_replace_a_valid_identity),
		WORLD_TEST(withdraws_an_expired_identity_once),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
