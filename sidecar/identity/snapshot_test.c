/* Which credentials and trust states are accepted, and which are refused while the last valid ones stay in use (abuse
 * cases C13, C14). */
#include "base/core/cleanup.h"
#include "base/core/mem.h"
#include "certs/test_mesh.h"
#include "sidecar/identity/identity_client_private.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka.h needs the four headers above before it */
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define DOMAIN "cluster.local"
#define OWN    "spiffe://cluster.local/ns/shop/sa/cart"

struct world {
	struct clock_fake clock;
	struct loop *loop;
	char folder[32];
	struct identity_client client;
	struct test_mesh *mesh;
	unsigned num_published, num_withdrawn;
	struct credentials *last; /* borrowed from the client */
};

static void on_credentials(void *arg, struct credentials *credentials)
{
	struct world *world = arg;
	world->num_published += credentials != NULL;
	world->num_withdrawn += credentials == NULL;
	world->last = credentials;
}

static void on_time(_unused_ void *arg, _unused_ const struct trusted_time *time)
{
}

static int setup(void **state)
{
	struct world *world = mem_new(struct world);
	clock_fake_init(&world->clock, TEST_NOW_S * 1000);
	world->loop = loop_new(&world->clock.clock);
	(void)snprintf(world->folder, sizeof(world->folder), "/tmp/hf-snapshot-XXXXXX");
	assert_non_null(mkdtemp(world->folder));
	struct identity_options *options = &world->client.options;
	*options = (struct identity_options){
		.loop = world->loop, .on_credentials = on_credentials, .on_time = on_time, .arg = world};
	assert_int_equal(trust_domain_parse(SPAN_LITERAL(DOMAIN), &options->trust_domain, NULL), ERR_NONE);
	assert_int_equal(state_folder_open(world->folder, &options->state, NULL), ERR_NONE);
	renew_init(&world->client.renew);
	world->mesh = test_mesh_new(DOMAIN, TEST_NOW_S);
	*state = world;
	return 0;
}

static int teardown(void **state)
{
	struct world *world = *state;
	char path[64];
	credentials_unref(world->client.credentials);
	bundle_set_unref(world->client.retained_bans);
	state_folder_free(world->client.options.state);
	test_mesh_free(world->mesh);
	loop_free(world->loop);
	(void)snprintf(path, sizeof(path), "%s/attestation.key", world->folder);
	unlink(path);
	(void)snprintf(path, sizeof(path), "%s/enrolled", world->folder);
	unlink(path);
	rmdir(world->folder);
	mem_free(world);
	return 0;
}

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

static bool bans(const struct world *world, const char *text)
{
	_cleanup_(spiffe_id_done) struct spiffe_id id = {0};
	assert_int_equal(spiffe_id_parse(span_of_str(text), &id, NULL), ERR_NONE);
	return bundle_set_is_banned(credentials_bundles(world->last), &id);
}

/* The backup is from before the ban. */
static void finding_i7_a_ban_that_a_restored_control_plane_lacks_is_retained(void **state)
{
	static const char thief[] = "spiffe://cluster.local/ns/shop/sa/thief";
	struct world *world = *state;
	assert_int_equal(enroll(world, world->mesh, OWN, 3), ERR_NONE);
	assert_int_equal(push_with_ban(world, 7, 4, thief), ERR_NONE);
	assert_int_equal(push_with_ban(world, 8, 1, NULL), ERR_NONE); /* the new incarnation is accepted */
	assert_true(bans(world, thief));
	assert_int_equal(push_with_ban(world, 8, 2, "spiffe://cluster.local/ns/shop/sa/other"), ERR_NONE);
	assert_true(bans(world, thief));
	assert_int_equal(push_with_ban(world, 8, 3, thief), ERR_NONE); /* the control plane has the ban again ... */
	assert_true(bans(world, thief));
	assert_int_equal(push_with_ban(world, 8, 4, NULL), ERR_NONE); /* ... and lifts it */
	assert_false(bans(world, thief));
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
		cmocka_unit_test_setup_teardown(publishes_the_credentials_of_an_attestation, setup, teardown),
		cmocka_unit_test_setup_teardown(c13_refuses_an_older_epoch_within_one_incarnation, setup, teardown),
		cmocka_unit_test_setup_teardown(
			finding_i7_a_ban_that_a_restored_control_plane_lacks_is_retained, setup, teardown),
		cmocka_unit_test_setup_teardown(c13_stores_the_newest_epoch_across_a_restart, setup, teardown),
		cmocka_unit_test_setup_teardown(the_same_epoch_creates_no_new_snapshot, setup, teardown),
		cmocka_unit_test_setup_teardown(
			c14_refuses_a_trust_state_that_would_invalidate_the_own_identity, setup, teardown),
		cmocka_unit_test_setup_teardown(c14_refuses_a_leaf_of_another_domain_identity_or_key, setup, teardown),
		cmocka_unit_test_setup_teardown(
			finding_i9_a_clock_that_was_ahead_for_a_moment_does_not_end_the_identity, setup, teardown),
		cmocka_unit_test_setup_teardown(
			finding_i9_an_identity_of_a_wrong_time_is_replaced_when_the_time_is_right_again, setup,
			teardown),
		cmocka_unit_test_setup_teardown(
			finding_i9_an_answer_from_a_wrong_clock_does_not_replace_a_valid_identity, setup, teardown),
		cmocka_unit_test_setup_teardown(withdraws_an_expired_identity_once, setup, teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
