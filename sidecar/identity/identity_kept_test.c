/* What of the identity of before a restart is used in an outage, and what never is (decision 074; abuse cases C13,
 * C23). */
#include "base/core/cleanup.h"
#include "base/pb/unpack.h"
#include "proto/handfast/v1/types.pb-c.h"
#include "sidecar/identity/test_identity.h"
#include "sidecar/identity/trust_parse.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka.h needs the four headers above before it */
#include <cmocka.h>

#define SERIAL SPAN_LITERAL("\x01\x02\x03")
#define THIEF  "spiffe://cluster.local/ns/shop/sa/thief"

static void restart(struct world *world)
{
	world_end(world);
	world_begin(world, DOMAIN, true);
}

/* As it is received, with an optional ban and a revocation. */
static void trust_make(
	struct test_mesh *mesh, struct epoch epoch, const char *banned, struct span revoked, struct trust *out)
{
	Handfast__V1__TrustState message = HANDFAST__V1__TRUST_STATE__INIT;
	Handfast__V1__Epoch in_message = HANDFAST__V1__EPOCH__INIT;
	Handfast__V1__Bundle bundle = HANDFAST__V1__BUNDLE__INIT, *bundles[] = {&bundle};
	ProtobufCBinaryData root = pb_bytes(bundle_root(test_mesh_bundle(mesh), 0)), ban, serial = pb_bytes(revoked);
	struct trust_domain domain;
	assert_int_equal(trust_domain_parse(SPAN_LITERAL(DOMAIN), &domain, NULL), ERR_NONE);
	in_message.incarnation = epoch.incarnation;
	in_message.counter = epoch.counter;
	message.epoch = &in_message;
	bundle.trust_domain = pb_bytes(SPAN_LITERAL(DOMAIN));
	bundle.roots = &root;
	bundle.n_roots = 1;
	message.bundles = bundles;
	message.n_bundles = 1;
	if (banned != NULL) {
		ban = pb_bytes(span_of_str(banned));
		message.banned_ids = &ban;
		message.n_banned_ids = 1;
	}
	if (revoked.len > 0) {
		message.revoked_serials = &serial;
		message.n_revoked_serials = 1;
	}
	assert_int_equal(trust_parse(&message, &domain, out), ERR_NONE);
}

static enum err enroll(struct world *world, struct epoch epoch)
{
	_cleanup_(credentials_unrefp) struct credentials *made = test_mesh_credentials(world->mesh, OWN);
	_cleanup_(attest_answer_done) struct attest_answer answer = {
		.svid = svid_ref(credentials_svid(made)), .server_time_ms = world->clock.wall_ms};
	struct why why;
	trust_make(world->mesh, epoch, NULL, (struct span){0}, &answer.trust);
	return identity_use_answer(&world->client, &answer, credentials_key(made), &why);
}

static enum err push_with(struct world *world, struct epoch epoch, const char *banned, struct span revoked)
{
	_cleanup_(trust_done) struct trust trust = {0};
	struct why why;
	trust_make(world->mesh, epoch, banned, revoked, &trust);
	return identity_use_trust(&world->client, &trust, &why);
}

static enum err push(struct world *world, struct epoch epoch, const char *banned)
{
	return push_with(world, epoch, banned, banned != NULL ? SERIAL : (struct span){0});
}

/* A second later what is due is written. */
static void tick(struct world *world)
{
	clock_fake_advance(&world->clock, 1000);
	identity_kept_poll(&world->client);
}

static bool revokes(const struct world *world)
{
	return world->last != NULL && bundle_set_is_revoked(credentials_bundles(world->last), SERIAL);
}

static void an_outage_brings_the_identity_of_before_the_restart_back(void **state)
{
	struct world *world = *state;
	assert_int_equal(enroll(world, (struct epoch){7, 3}), ERR_NONE);
	tick(world);
	assert_int_equal(push(world, (struct epoch){7, 4}, THIEF), ERR_NONE);
	tick(world);
	restart(world);
	assert_null(world->last); /* not before it is needed */
	identity_kept_use(&world->client);
	identity_kept_use(&world->client);
	assert_int_equal(world->num_published, 1);
	assert_int_equal(world->num_outages, 2);
	assert_string_equal(credentials_id(world->last)->text, OWN);
	assert_int_equal(credentials_epoch(world->last).counter, 4);
	assert_true(world_bans(world, THIEF));
	assert_string_equal(identity_client_kept_id(&world->client)->text, OWN);
	assert_true(world->client.renew.has_certificate);
	assert_int_equal(push(world, (struct epoch){7, 3}, NULL), ERR_CONFLICT);
	assert_int_equal(push(world, (struct epoch){7, 5}, NULL), ERR_NONE);
	assert_null(identity_client_kept_id(&world->client));
}

/* The file was removed with the ban, and the second until it is written again is not over. */
static void a_sidecar_that_ends_at_once_keeps_the_newest_identity(void **state)
{
	struct world *world = *state;
	assert_int_equal(enroll(world, (struct epoch){7, 3}), ERR_NONE);
	assert_int_equal(push(world, (struct epoch){7, 4}, THIEF), ERR_NONE);
	identity_kept_flush(&world->client);
	restart(world);
	identity_kept_use(&world->client);
	assert_int_equal(world->num_published, 1);
	assert_int_equal(credentials_epoch(world->last).counter, 4);
	assert_true(world_bans(world, THIEF));
}

static void use_after_restart(struct world *world, unsigned num_published)
{
	identity_kept_flush(&world->client);
	restart(world);
	identity_kept_use(&world->client);
	assert_int_equal(world->num_published, num_published);
}

static void c28_a_ban_of_the_own_identity_holds_after_a_restart(void **state)
{
	struct world *world = *state;
	assert_int_equal(enroll(world, (struct epoch){7, 3}), ERR_NONE);
	tick(world);
	assert_int_equal(push(world, (struct epoch){7, 4}, OWN), ERR_REVOKED);
	assert_true(identity_is_banned(&world->client));
	tick(world);
	use_after_restart(world, 0);
	assert_null(identity_client_kept_id(&world->client));
}

static void c28_a_ban_that_is_lifted_leaves_the_identity_for_a_restart(void **state)
{
	struct world *world = *state;
	assert_int_equal(enroll(world, (struct epoch){7, 3}), ERR_NONE);
	assert_int_equal(push(world, (struct epoch){7, 4}, OWN), ERR_REVOKED);
	assert_int_equal(push(world, (struct epoch){7, 5}, NULL), ERR_NONE);
	assert_false(identity_is_banned(&world->client));
	use_after_restart(world, 1);
	assert_int_equal(credentials_epoch(world->last).counter, 5);
}

static void note_refusal(struct world *world, const char *expected)
{
	struct why why;
	(void)why_set(&why, ERR_DENIED, expected, "none", "refused");
	identity_note_refusal(&world->client, &why);
}

/* It was away when it was banned, and the process that is refused is the one after the restart. */
static void c28_nothing_is_used_after_a_refusal_for_a_ban(void **state)
{
	struct world *world = *state;
	assert_int_equal(enroll(world, (struct epoch){7, 3}), ERR_NONE);
	tick(world);
	restart(world);
	note_refusal(world, ATTEST_BANNED_EXPECTED);
	note_refusal(world, "a control plane that answers");
	assert_true(identity_is_banned(&world->client));
	identity_kept_use(&world->client); /* an outage */
	assert_int_equal(world->num_published, 0);
	use_after_restart(world, 0);
}

/* Decision 030. The control plane is restored from a backup meanwhile, and the own ban is lifted. */
static void c28_the_bans_of_others_stay_after_a_refusal_for_a_ban(void **state)
{
	struct world *world = *state;
	assert_int_equal(enroll(world, (struct epoch){7, 3}), ERR_NONE);
	assert_int_equal(push(world, (struct epoch){7, 4}, THIEF), ERR_NONE);
	identity_kept_flush(&world->client);
	restart(world);
	note_refusal(world, ATTEST_BANNED_EXPECTED);
	assert_int_equal(enroll(world, (struct epoch){8, 1}), ERR_NONE);
	assert_true(world_bans(world, THIEF));
	assert_false(identity_is_banned(&world->client));
}

static void c28_a_refusal_for_another_reason_is_no_ban(void **state)
{
	struct world *world = *state;
	assert_int_equal(enroll(world, (struct epoch){7, 3}), ERR_NONE);
	tick(world);
	restart(world);
	note_refusal(world, "a control plane that answers");
	assert_false(identity_is_banned(&world->client));
	use_after_restart(world, 1);
}

static void c28_a_certificate_that_was_withdrawn_is_not_used_after_a_restart(void **state)
{
	struct world *world = *state;
	assert_int_equal(enroll(world, (struct epoch){7, 3}), ERR_NONE);
	tick(world);
	const struct span own = svid_serial(credentials_svid(world->client.credentials));
	assert_int_equal(push_with(world, (struct epoch){7, 4}, NULL, own), ERR_REVOKED);
	assert_false(identity_is_banned(&world->client));
	use_after_restart(world, 0);
}

static void the_expired_one_is_not_used_whatever_the_wall_clock_has(void **state)
{
	struct world *world = *state;
	assert_int_equal(enroll(world, (struct epoch){7, 3}), ERR_NONE);
	tick(world);
	world->clock.boot_ms += 7200 * 1000; /* the wall clock was set back meanwhile */
	restart(world);
	identity_kept_use(&world->client);
	assert_int_equal(world->num_published, 0);
	assert_null(identity_client_kept_id(&world->client));
}

/* The machine was started again: only the wall clock has the time. */
static void after_a_reboot_a_clock_that_is_behind_is_not_believed(void **state)
{
	struct world *world = *state;
	assert_int_equal(enroll(world, (struct epoch){7, 3}), ERR_NONE);
	tick(world);
	world->clock.boot_ms = 1000;
	world->clock.wall_ms -= 60 * 1000;
	restart(world);
	identity_kept_use(&world->client);
	assert_int_equal(world->num_published, 0);
	world->clock.wall_ms += 120 * 1000;
	restart(world);
	identity_kept_use(&world->client);
	assert_int_equal(world->num_published, 1);
}

/* The file with the ban was not written: the epoch alone shows that there is a newer trust state. */
static void c28_a_kept_identity_behind_the_newest_epoch_is_refused(void **state)
{
	struct world *world = *state;
	assert_int_equal(enroll(world, (struct epoch){7, 3}), ERR_NONE);
	tick(world);
	struct enrolled_state newer = *state_folder_get(world->client.options.state);
	newer.epoch.counter = 4;
	assert_int_equal(state_folder_put(world->client.options.state, &newer, NULL), ERR_NONE);
	restart(world);
	identity_kept_use(&world->client);
	assert_int_equal(world->num_published, 0);
	newer.epoch = (struct epoch){8, 1};
	assert_int_equal(state_folder_put(world->client.options.state, &newer, NULL), ERR_NONE);
	restart(world);
	identity_kept_use(&world->client);
	assert_int_equal(world->num_published, 0);
}

/* A crash between the two files: the kept one is the newer. */
static void a_kept_identity_ahead_of_the_stored_epoch_is_used(void **state)
{
	struct world *world = *state;
	assert_int_equal(enroll(world, (struct epoch){7, 3}), ERR_NONE);
	struct enrolled_state before = *state_folder_get(world->client.options.state);
	clock_fake_advance(&world->clock, 1000);
	assert_int_equal(push(world, (struct epoch){8, 1}, NULL), ERR_NONE);
	assert_int_equal(state_folder_put(world->client.options.state, &before, NULL), ERR_NONE);
	restart(world);
	identity_kept_use(&world->client);
	assert_int_equal(world->num_published, 1);
	assert_int_equal(credentials_epoch(world->last).incarnation, 8);
}

/* Within a second of the last write: removed until it is written anew. */
static void c28_a_second_change_within_a_second_leaves_no_older_file(void **state)
{
	struct world *world = *state;
	assert_int_equal(enroll(world, (struct epoch){7, 3}), ERR_NONE);
	assert_int_equal(push(world, (struct epoch){7, 4}, THIEF), ERR_NONE);
	restart(world);
	identity_kept_use(&world->client);
	assert_int_equal(world->num_published, 0);
}

static void finding_i7_a_ban_is_retained_across_a_restart_and_a_restore(void **state)
{
	struct world *world = *state;
	assert_int_equal(enroll(world, (struct epoch){7, 3}), ERR_NONE);
	clock_fake_advance(&world->clock, 1000);
	assert_int_equal(push(world, (struct epoch){7, 4}, THIEF), ERR_NONE);
	assert_true(revokes(world));
	restart(world); /* the control plane is restored while this sidecar is down */
	assert_int_equal(enroll(world, (struct epoch){9, 1}), ERR_NONE);
	assert_true(world_bans(world, THIEF) && revokes(world));
	tick(world);
	restart(world); /* and the ban is still known to this sidecar alone */
	assert_int_equal(enroll(world, (struct epoch){9, 2}), ERR_NONE);
	assert_true(world_bans(world, THIEF) && revokes(world));
}

static void another_trust_domain_is_refused(void **state)
{
	struct world *world = *state;
	assert_int_equal(enroll(world, (struct epoch){7, 3}), ERR_NONE);
	world_end(world);
	world_begin(world, "other.test", true);
	identity_kept_use(&world->client);
	assert_int_equal(world->num_published, 0);
}

static void without_keep_svid_there_is_no_key_and_the_rest_counts(void **state)
{
	struct world *world = *state;
	_cleanup_(buf_wipe) struct buf key = BUF_INIT(1024), content = BUF_INIT(1u << 20);
	world_end(world);
	world_begin(world, DOMAIN, false);
	assert_int_equal(enroll(world, (struct epoch){7, 3}), ERR_NONE);
	assert_int_equal(private_key_encode(credentials_key(world->last), &key), ERR_NONE);
	assert_int_equal(state_folder_kept(world->client.options.state, KEPT_IDENTITY, &content, NULL), ERR_NONE);
	assert_null(memmem(buf_span(&content).ptr, buf_len(&content), buf_span(&key).ptr, buf_len(&key)));
	restart(world);
	identity_kept_use(&world->client);
	assert_int_equal(world->num_published, 0);
	assert_string_equal(identity_client_kept_id(&world->client)->text, OWN);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		WORLD_TEST(an_outage_brings_the_identity_of_before_the_restart_back),
		WORLD_TEST(c28_a_ban_of_the_own_identity_holds_after_a_restart),
		WORLD_TEST(c28_a_ban_that_is_lifted_leaves_the_identity_for_a_restart),
		WORLD_TEST(c28_nothing_is_used_after_a_refusal_for_a_ban),
		WORLD_TEST(c28_the_bans_of_others_stay_after_a_refusal_for_a_ban),
		WORLD_TEST(c28_a_refusal_for_another_reason_is_no_ban),
		WORLD_TEST(c28_a_certificate_that_was_withdrawn_is_not_used_after_a_restart),
		WORLD_TEST(a_sidecar_that_ends_at_once_keeps_the_newest_identity),
		WORLD_TEST(the_expired_one_is_not_used_whatever_the_wall_clock_has),
		WORLD_TEST(after_a_reboot_a_clock_that_is_behind_is_not_believed),
		WORLD_TEST(c28_a_kept_identity_behind_the_newest_epoch_is_refused),
		WORLD_TEST(a_kept_identity_ahead_of_the_stored_epoch_is_used),
		WORLD_TEST(c28_a_second_change_within_a_second_leaves_no_older_file),
		WORLD_TEST(finding_i7_a_ban_is_retained_across_a_restart_and_a_restore),
		WORLD_TEST(another_trust_domain_is_refused),
		WORLD_TEST(without_keep_svid_there_is_no_key_and_the_rest_counts),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
