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

static void publish(struct identity_client *client, struct credentials *fresh)
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
	struct why why;
	state.epoch = trust->epoch;
	for (size_t i = 0; i < trust->num_pins; i++)
		bootstrap_pins_add(&client->pins, trust->pins[i]);
	state.num_pins = client->pins.num < STATE_PINS_MAX ? client->pins.num : STATE_PINS_MAX;
	memcpy(state.pins, client->pins.sha256, state.num_pins * DIGEST_LEN);
	if (consumed_token != NULL) {
		state.has_consumed_token = true;
		memcpy(state.consumed_token, consumed_token, DIGEST_LEN);
	}
	if (state_folder_put(client->options.state, &state, &why) != ERR_NONE)
		log_why(LOG_LEVEL_ERROR, COMPONENT, "cannot store the epoch and the pins of bootstrap roots", &why);
}

/* C13: within one incarnation of the control plane's store, the epoch never decreases. */
static enum err check_epoch(const struct identity_client *client, const struct trust *trust, struct why *why)
{
	const struct epoch *stored = &state_folder_get(client->options.state)->epoch;
	struct epoch newest = client->credentials != NULL ? credentials_epoch(client->credentials) : *stored;
	if (trust->epoch.incarnation != newest.incarnation || trust->epoch.counter >= newest.counter)
		return ERR_NONE;
	return why_set(why, ERR_CONFLICT, "an epoch that is not older than the one in use",
		"restore the newest store of the control plane, or run there: handfast-control restore",
		"the control plane's store is older than before: its epoch is %llu, the one in use is %llu",
		(unsigned long long)trust->epoch.counter, (unsigned long long)newest.counter);
}

struct retention {
	struct bundle_set *retained, *now;
	unsigned num;
	char first[200];
};

static void retain_ban(void *arg, const struct spiffe_id *id)
{
	struct retention *retention = arg;
	if (bundle_set_is_banned(retention->now, id))
		return; /* the control plane has the ban again and can lift it */
	if (retention->num++ == 0)
		(void)snprintf(retention->first, sizeof retention->first, "%s", id->text);
	bundle_set_ban_id(retention->retained, id);
	bundle_set_ban_id(retention->now, id);
}

/* A control plane that was restored from a backup begins a new incarnation and may lack bans that were made after the
 * backup. This sidecar retains such a ban until its process ends or the control plane has banned the identity itself.
 */
static void retain_bans(struct identity_client *client, const struct trust *trust)
{
	bool is_new = client->credentials != NULL &&
		      credentials_epoch(client->credentials).incarnation != trust->epoch.incarnation;
	struct bundle_set *before = client->retained_bans;
	struct retention retention = {.retained = bundle_set_new(), .now = trust->bundles};
	if (is_new)
		bundle_set_each_ban(credentials_bundles(client->credentials), retain_ban, &retention);
	else if (before != NULL)
		bundle_set_each_ban(before, retain_ban, &retention);
	bundle_set_unref(before);
	client->retained_bans = retention.retained;
	if (!is_new)
		return;
	log_notice(COMPONENT, "the control plane's store has a new incarnation");
	if (retention.num > 0)
		log_warning(COMPONENT,
			"%u identities are no longer banned by the control plane and stay refused here: %s%s; confirm "
			"on the control plane's host: handfast ban, then handfast unban for one that may connect again",
			retention.num, retention.first, retention.num > 1 ? " and others" : "");
}

static enum err check_domain(const struct identity_client *client, const struct svid *svid, struct why *why)
{
	if (spiffe_id_in_trust_domain(svid_id(svid), &client->options.trust_domain))
		return ERR_NONE;
	return why_set(why, ERR_WRONG_PEER, "an identity of this sidecar's trust domain",
		"compare trust_domain in the settings of the sidecar and of the control plane",
		"the control plane issued an SVID for %s", svid_id(svid)->text);
}

static void got_certificate(struct identity_client *client, const struct svid *svid)
{
	struct renew_now now = identity_now(client);
	renew_got_certificate(&client->renew, &now, svid_not_after_s(svid));
	log_notice(COMPONENT, "received an SVID for %s, valid for %lld s", svid_id(svid)->text,
		(long long)(svid_not_after_s(svid) - now.trusted_s));
}

enum err identity_use_svid(struct identity_client *client, struct svid *svid, struct private_key *key, struct why *why)
{
	struct credentials *fresh;
	CHECK(client->credentials != NULL);
	if (!spiffe_id_eq(svid_id(svid), credentials_id(client->credentials)))
		return why_set(why, ERR_WRONG_PEER, "a renewed SVID for the same identity",
			"inspect the control plane's log", "the control plane renewed the SVID for %s",
			svid_id(svid)->text);
	RETURN_IF_ERR(credentials_new(svid, key, credentials_bundles(client->credentials),
		credentials_epoch(client->credentials), identity_now(client).trusted_s, &fresh, why));
	got_certificate(client, svid);
	publish(client, fresh);
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
	store_state(client, &answer->trust, client->data.has_token ? client->data.token_hash : NULL);
	got_certificate(client, answer->svid);
	publish(client, fresh);
	return ERR_NONE;
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
	/* The same epoch, as after each reconnect: a new snapshot would replace every tunnel. */
	if (epoch_eq(&trust->epoch, &now_in_use))
		return ERR_NONE;
	retain_bans(client, trust);
	RETURN_IF_ERR(credentials_new(credentials_svid(client->credentials), credentials_key(client->credentials),
		trust->bundles, trust->epoch, identity_now(client).trusted_s, &fresh, why));
	store_state(client, trust, NULL);
	publish(client, fresh);
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
