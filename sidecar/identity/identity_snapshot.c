#include "base/core/check.h"
#include "sidecar/identity/identity_client_private.h"

#include "base/core/log.h"
#include <stdio.h>

#define COMPONENT "identity"

static void report_step(struct identity_client *client, enum trusted_step step, int64_t by_s)
{
	struct renew_now now = identity_now(client);
	switch (step) {
	case TRUSTED_SAME:
	case TRUSTED_STILL_DOUBTED:
		return;
	case TRUSTED_JUMPED:
		log_warning(COMPONENT,
			"the control plane's clock differs by %lld s from the time that it reported before; accepted",
			(long long)by_s);
		return;
	case TRUSTED_DOUBTED:
		log_warning(COMPONENT,
			"the control plane's clock differs by %lld s from the time that it reported before: accepted "
			"only after it has reported so for %d s; compare the clocks of both hosts with a third one",
			(long long)by_s, TRUSTED_TIME_DOUBT_MS / 1000);
		/* The answer to a renewal carries the next time. Spread, because all sidecars receive the same time. */
		renew_in(&client->renew, &now, TRUSTED_TIME_DOUBT_MS, TRUSTED_TIME_DOUBT_MS / 2);
		return;
	}
}

void identity_receive_time(struct identity_client *client, int64_t server_time_ms, bool may_jump)
{
	const struct clock *clock = loop_clock(client->options.loop);
	if (server_time_ms <= 0)
		return;
	int64_t before_s = trusted_time_now_s(&client->time, clock);
	enum trusted_step step = trusted_time_update(&client->time, clock, server_time_ms, may_jump);
	report_step(client, step, server_time_ms / 1000 - before_s);
	client->options.on_time(client->options.arg, &client->time);
}

void identity_publish(struct identity_client *client, struct credentials *fresh)
{
	struct credentials *before = client->credentials;
	CHECK(fresh != NULL && fresh != before);
	client->credentials = fresh;
	client->is_published = true;
	client->options.on_credentials(client->options.arg, fresh);
	credentials_unref(before);
}

/* Stores what must survive a restart: the newest epoch, and the pins of the control plane's next bootstrap roots. A
 * full disk is logged and not fatal, since the identity is valid all the same. */
static void store_state(struct identity_client *client, const struct trust *trust, const uint8_t *consumed_token)
{
	struct enrolled_state state = *state_folder_get(client->options.state);
	state.epoch = trust->epoch;
	/* Those in force go first: where not all fit, a former one is forgotten, never one that is confirmed. */
	const struct bootstrap_pins before = client->pins;
	client->pins.num = 0;
	for (size_t i = 0; i < trust->num_pins; i++)
		bootstrap_pins_add(&client->pins, trust->pins[i]);
	for (size_t i = 0; i < before.num; i++)
		bootstrap_pins_add(&client->pins, before.sha256[i]);
	state.num_pins = client->pins.num < STATE_PINS_MAX ? client->pins.num : STATE_PINS_MAX;
	memcpy(state.pins, client->pins.sha256, state.num_pins * DIGEST_LEN);
	if (consumed_token != NULL) {
		state.has_consumed_token = true;
		memcpy(state.consumed_token, consumed_token, DIGEST_LEN);
	}
	if (client->is_unstored && client->unstored.has_consumed_token && consumed_token == NULL) {
		state.has_consumed_token = true;
		memcpy(state.consumed_token, client->unstored.consumed_token, DIGEST_LEN);
	}
	client->is_unstored = state_folder_put(client->options.state, &state, &client->unstored_detail) != ERR_NONE;
	client->unstored = state;
	if (client->is_unstored)
		log_why(LOG_LEVEL_ERROR, COMPONENT, "cannot store the epoch and the pins of bootstrap roots",
			&client->unstored_detail);
}

bool identity_may_confirm(struct identity_client *client, const struct trust *trust)
{
	client->is_unconfirmed = client->is_unstored && trust->num_pins > 0;
	return !client->is_unconfirmed;
}

bool identity_store_again(struct identity_client *client)
{
	struct why why;
	if (!client->is_unstored || state_folder_put(client->options.state, &client->unstored, &why) != ERR_NONE)
		return false;
	client->is_unstored = false;
	log_notice(COMPONENT, "the epoch and the pins of bootstrap roots are stored now");
	bool may_confirm = client->is_unconfirmed && client->state == IDENTITY_TRUSTED;
	client->is_unconfirmed = false;
	return may_confirm;
}

/* C13: within one incarnation of the control plane's store, the epoch never decreases. */
static enum err check_epoch(const struct identity_client *client, const struct trust *trust, struct why *why)
{
	const struct epoch *stored = &state_folder_get(client->options.state)->epoch;
	struct epoch newest = client->credentials != NULL ? credentials_epoch(client->credentials) : *stored;
	if (trust->epoch.incarnation != newest.incarnation || trust->epoch.counter >= newest.counter)
		return ERR_NONE;
	return why_set(why, ERR_CONFLICT, "an epoch that is not older than the one in use",
		"restore the newest store of the control plane, or run there: `handfast-control restore`",
		"the control plane's store is older than before: its epoch is %llu, the one in use is %llu",
		(unsigned long long)trust->epoch.counter, (unsigned long long)newest.counter);
}

struct retention {
	struct bundle_set *retained, *now;
};

static void count_ban(void *arg, const struct spiffe_id *id)
{
	struct retained_bans *counts = arg;
	if (counts->num_ids++ == 0)
		(void)snprintf(counts->first, sizeof counts->first, "%s", id->text);
}

static void count_serial(void *arg, _unused_ struct span serial)
{
	struct retained_bans *counts = arg;
	counts->num_serials++;
}

void identity_set_retained(struct identity_client *client, struct bundle_set *retained)
{
	client->retained_bans = retained;
	client->retained_counts = (struct retained_bans){0};
	if (retained == NULL)
		return;
	bundle_set_each_ban(retained, count_ban, &client->retained_counts);
	bundle_set_each_revoked(retained, count_serial, &client->retained_counts);
}

static void retain_ban(void *arg, const struct spiffe_id *id)
{
	struct retention *retention = arg;
	if (bundle_set_is_banned(retention->now, id))
		return; /* the control plane has the ban again and can lift it */
	bundle_set_ban_id(retention->retained, id);
	bundle_set_ban_id(retention->now, id);
}

static void retain_serial(void *arg, struct span serial)
{
	struct retention *retention = arg;
	if (bundle_set_is_revoked(retention->now, serial))
		return;
	CHECK(bundle_set_revoke(retention->retained, serial) == ERR_NONE &&
		bundle_set_revoke(retention->now, serial) == ERR_NONE);
}

static void retain_from(struct bundle_set *before, struct retention *retention)
{
	bundle_set_each_ban(before, retain_ban, retention);
	bundle_set_each_revoked(before, retain_serial, retention);
}

/* The trust in use, or the one of before the restart. */
struct former {
	struct bundle_set *bundles; /* NULL: none */
	uint64_t incarnation;
};

static struct former former_of(const struct identity_client *client)
{
	if (client->credentials != NULL)
		return (struct former){
			credentials_bundles(client->credentials), credentials_epoch(client->credentials).incarnation};
	return (struct former){client->earlier.trust.bundles, client->earlier.trust.epoch.incarnation};
}

/* A control plane that was restored from a backup begins a new incarnation and may lack bans and revocations that were
 * made after the backup. This sidecar retains such a ban until the control plane has banned the identity itself, and
 * such a serial likewise. */
static void retain_bans(struct identity_client *client, const struct trust *trust)
{
	const struct former former = former_of(client);
	bool is_new = former.bundles != NULL && former.incarnation != trust->epoch.incarnation;
	struct bundle_set *before = client->retained_bans;
	struct retention retention = {.retained = bundle_set_new(), .now = trust->bundles};
	if (is_new)
		retain_from(former.bundles, &retention);
	else if (before != NULL)
		retain_from(before, &retention);
	bundle_set_unref(before);
	identity_set_retained(client, retention.retained);
	const struct retained_bans *counts = &client->retained_counts;
	if (!is_new)
		return;
	log_notice(COMPONENT, "the control plane's store has a new incarnation");
	if (counts->num_serials > 0)
		log_warning(COMPONENT,
			"%u certificates are no longer revoked by the control plane and stay refused here; confirm on "
			"the control plane's host: `handfast revoke`",
			counts->num_serials);
	if (counts->num_ids > 0)
		log_warning(COMPONENT,
			"%u identities are no longer banned by the control plane and stay refused here: %s%s; confirm "
			"on the control plane's host: `handfast ban`, then `handfast unban` for one that may connect "
			"again",
			counts->num_ids, counts->first, counts->num_ids > 1 ? " and others" : "");
}

static enum err check_domain(const struct identity_client *client, const struct svid *svid, struct why *why)
{
	if (spiffe_id_in_trust_domain(svid_id(svid), &client->options.trust_domain))
		return ERR_NONE;
	return why_set(why, ERR_WRONG_PEER, "an identity of this sidecar's trust domain",
		"compare trust_domain in the settings of the sidecar and of the control plane",
		"the control plane issued an SVID for %s", svid_id(svid)->text);
}

static void got_certificate(struct identity_client *client, const struct credentials *fresh)
{
	struct renew_now now = identity_now(client);
	client->is_withdrawn = client->is_banned = false;
	renew_got_certificate(&client->renew, &now, credentials_until_s(fresh));
	log_notice(COMPONENT, "received an SVID for %s, valid for %lld s", credentials_id(fresh)->text,
		(long long)(credentials_until_s(fresh) - now.trusted_s));
}

static enum err check_same_id(const struct identity_client *client, const struct svid *svid, struct why *why)
{
	CHECK(client->credentials != NULL);
	if (spiffe_id_eq(svid_id(svid), credentials_id(client->credentials)))
		return ERR_NONE;
	return why_set(why, ERR_WRONG_PEER, "a renewed SVID for the same identity", "inspect the control plane's log",
		"the control plane renewed the SVID for %s", svid_id(svid)->text);
}

enum err identity_use_both(struct identity_client *client, struct svid *svid, struct trust *trust,
	struct private_key *key, struct why *why)
{
	struct credentials *fresh;
	RETURN_IF_ERR(check_same_id(client, svid, why));
	if (trust->bundles == NULL) {
		*why = trust->detail;
		return trust->detail.err;
	}
	RETURN_IF_ERR(check_epoch(client, trust, why));
	retain_bans(client, trust);
	RETURN_IF_ERR(
		credentials_new(svid, key, trust->bundles, trust->epoch, identity_now(client).trusted_s, &fresh, why));
	identity_keep(client, fresh, trust);
	store_state(client, trust, NULL);
	got_certificate(client, fresh);
	identity_publish(client, fresh);
	return ERR_NONE;
}

enum err identity_use_svid(struct identity_client *client, struct svid *svid, struct private_key *key, struct why *why)
{
	struct credentials *fresh;
	RETURN_IF_ERR(check_same_id(client, svid, why));
	RETURN_IF_ERR(credentials_new(svid, key, credentials_bundles(client->credentials),
		credentials_epoch(client->credentials), identity_now(client).trusted_s, &fresh, why));
	identity_keep(client, fresh, NULL);
	got_certificate(client, fresh);
	identity_publish(client, fresh);
	return ERR_NONE;
}

enum err identity_use_answer(
	struct identity_client *client, struct attest_answer *answer, struct private_key *key, struct why *why)
{
	struct credentials *fresh;
	/* The server is verified, so its time is used before its certificates are checked: this host's clock may be
	 * years off. While the current identity is valid, a jump must persist: the server's clock may be wrong. */
	identity_receive_time(client, answer->server_time_ms, !client->is_published);
	RETURN_IF_ERR(check_domain(client, answer->svid, why));
	RETURN_IF_ERR(check_epoch(client, &answer->trust, why));
	retain_bans(client, &answer->trust);
	RETURN_IF_ERR(credentials_new(answer->svid, key, answer->trust.bundles, answer->trust.epoch,
		identity_now(client).trusted_s, &fresh, why));
	identity_keep(client, fresh, &answer->trust);
	store_state(client, &answer->trust, client->data.has_token ? client->data.token_hash : NULL);
	got_certificate(client, fresh);
	identity_publish(client, fresh);
	return ERR_NONE;
}

/* A root in the place of another one may end before half of the certificate's life. */
static void renew_before_end(struct identity_client *client, const struct credentials *fresh)
{
	const struct renew_now now = identity_now(client);
	struct renew sooner = client->renew;
	if (credentials_until_s(fresh) >= client->renew.not_after_s)
		return;
	renew_got_certificate(&sooner, &now, credentials_until_s(fresh));
	if (sooner.due_boot_ms < client->renew.due_boot_ms)
		client->renew = sooner;
}

bool identity_is_withdrawn(enum err err)
{
	return err == ERR_UNTRUSTED || err == ERR_REVOKED;
}

/* The trust state refuses the own certificate. It is not used, but what it withdraws is not used after a restart
 * either, when no control plane may be there to refuse it (abuse case C28). */
static enum err trust_refused(
	struct identity_client *client, const struct trust *trust, enum err refused, struct why *why)
{
	if (!identity_is_withdrawn(refused))
		return refused;
	identity_kept_withdraw(client);
	if (!client->is_banned)
		return refused;
	store_state(client, trust, NULL); /* a file of before that is put back is behind this epoch */
	return why_set(why, ERR_REVOKED, ATTEST_BANNED_EXPECTED,
		"find out why it was banned; if it may come back: `handfast unban`, at the control plane",
		"%s is banned", credentials_id(client->credentials)->text);
}

enum err identity_use_trust(struct identity_client *client, struct trust *trust, struct why *why)
{
	struct credentials *fresh;
	CHECK(client->credentials != NULL);
	struct epoch now_in_use = credentials_epoch(client->credentials);
	if (trust->bundles == NULL) {
		*why = trust->detail;
		return trust->detail.err;
	}
	RETURN_IF_ERR(check_epoch(client, trust, why));
	client->is_banned = bundle_set_is_banned(trust->bundles, credentials_id(client->credentials));
	/* The same epoch, as after each reconnect: for a new snapshot every chain would be verified again. */
	if (epoch_eq(&trust->epoch, &now_in_use))
		return ERR_NONE;
	retain_bans(client, trust);
	enum err err = credentials_new(credentials_svid(client->credentials), credentials_key(client->credentials),
		trust->bundles, trust->epoch, identity_now(client).trusted_s, &fresh, why);
	if (err != ERR_NONE)
		return trust_refused(client, trust, err, why);
	identity_keep(client, fresh, trust);
	store_state(client, trust, NULL);
	renew_before_end(client, fresh);
	identity_publish(client, fresh);
	return ERR_NONE;
}

/* The clock was set forward and back again: the credentials are valid as before. */
static void publish_again(struct identity_client *client)
{
	log_notice(COMPONENT, "the SVID of %s is valid again after a change of the clock",
		credentials_id(client->credentials)->text);
	client->is_published = true;
	client->options.on_credentials(client->options.arg, client->credentials);
	if (client->other != NULL && client->state == IDENTITY_TRUSTED)
		address_claim_start(client->other, control_link_family(client->link), client->credentials);
}

void identity_check_expiry(struct identity_client *client)
{
	bool is_valid = client->credentials != NULL &&
			credentials_are_valid(client->credentials, identity_now(client).trusted_s);
	if (is_valid && !client->is_published)
		publish_again(client);
	if (is_valid || !client->is_published)
		return;
	client->is_published = false;
	if (client->other != NULL)
		address_claim_stop(client->other);
	log_error(COMPONENT, "the SVID of %s has expired: no new tunnel and no new stream until it is renewed",
		credentials_id(client->credentials)->text);
	client->options.on_credentials(client->options.arg, NULL);
}
