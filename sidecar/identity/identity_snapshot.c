#include "sidecar/identity/identity_client_private.h"

#include "base/core/log.h"
#include <stdio.h>

#define COMPONENT "identity"

static void say_step(struct identity_client *client, enum trusted_step step, int64_t by_s)
{
	struct renew_now now = identity_now(client);
	switch (step) {
	case TRUSTED_SAME:
	case TRUSTED_STILL_DOUBTED:
		return;
	case TRUSTED_JUMPED:
		log_warning(COMPONENT, "the control plane's clock is %lld s from what it said before; believed",
			(long long)by_s);
		return;
	case TRUSTED_DOUBTED:
		log_warning(COMPONENT,
			"the control plane's clock is %lld s from what it said before: believed only once it has said "
			"so for %d s; compare the clocks of both hosts with a third one",
			(long long)by_s, TRUSTED_TIME_DOUBT_MS / 1000);
		/* The answer to a renewal is the next time that it says. Spread: all sidecars hear the same. */
		renew_in(&client->renew, &now, TRUSTED_TIME_DOUBT_MS, TRUSTED_TIME_DOUBT_MS / 2);
		return;
	}
}

void identity_hear_time(struct identity_client *client, int64_t server_time_ms, bool may_jump)
{
	const struct clock *clock = loop_clock(client->options.loop);
	if (server_time_ms <= 0)
		return;
	int64_t before_s = trusted_time_now_s(&client->time, clock);
	enum trusted_step step = trusted_time_update(&client->time, clock, server_time_ms, may_jump);
	say_step(client, step, server_time_ms / 1000 - before_s);
	client->options.on_time(client->options.arg, &client->time);
}

static void publish(struct identity_client *client, struct credentials *fresh)
{
	struct credentials *before = client->credentials;
	client->credentials = fresh;
	client->is_published = true;
	client->options.on_credentials(client->options.arg, fresh);
	credentials_unref(before);
}

/* What must survive a restart: the newest epoch, and where the control plane's next bootstrap root is announced. A full
 * disk must not cost the identity that is in hand: told, not fatal. */
static void remember(struct identity_client *client, const struct trust *trust, const uint8_t *consumed_token)
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
		log_why(LOG_LEVEL_ERROR, COMPONENT, "what was learnt cannot be stored", &why);
}

/* C13: within one incarnation of the control plane's store trust only moves on. */
static enum err check_epoch(const struct identity_client *client, const struct trust *trust, struct why *why)
{
	const struct epoch *stored = &state_folder_get(client->options.state)->epoch;
	struct epoch newest = client->credentials != NULL ? credentials_epoch(client->credentials) : *stored;
	if (trust->epoch.incarnation != newest.incarnation || trust->epoch.counter >= newest.counter)
		return ERR_NONE;
	return why_set(why, ERR_CONFLICT, "an epoch that does not go back",
		"the control plane's store went back: put back the newest one, or begin anew there: handfast-control "
		"restore",
		"epoch %llu after epoch %llu", (unsigned long long)trust->epoch.counter,
		(unsigned long long)newest.counter);
}

struct keeping {
	struct bundle_set *kept, *now;
	unsigned num;
	char first[200];
};

static void keep_ban(void *arg, const struct spiffe_id *id)
{
	struct keeping *keeping = arg;
	if (bundle_set_is_banned(keeping->now, id))
		return; /* the control plane's own again: it can lift it */
	if (keeping->num++ == 0)
		(void)snprintf(keeping->first, sizeof keeping->first, "%s", id->text);
	bundle_set_ban_id(keeping->kept, id);
	bundle_set_ban_id(keeping->now, id);
}

/* A control plane that was restored from a backup begins a new incarnation, and may lack bans that were made since.
 * Whom it does not name stays banned here, for as long as this process lives or until it has named him itself. */
static void keep_bans(struct identity_client *client, const struct trust *trust)
{
	bool is_new = client->credentials != NULL &&
		      credentials_epoch(client->credentials).incarnation != trust->epoch.incarnation;
	struct bundle_set *before = client->kept_bans;
	struct keeping keeping = {.kept = bundle_set_new(), .now = trust->bundles};
	if (is_new)
		bundle_set_each_ban(credentials_bundles(client->credentials), keep_ban, &keeping);
	else if (before != NULL)
		bundle_set_each_ban(before, keep_ban, &keeping);
	bundle_set_unref(before);
	client->kept_bans = keeping.kept;
	if (!is_new)
		return;
	log_notice(COMPONENT, "the control plane's store is a new incarnation");
	if (keeping.num > 0)
		log_warning(COMPONENT,
			"%u identities that were banned are not any more, and stay refused here: %s%s; decide there: "
			"handfast ban, then handfast unban if one may come back",
			keeping.num, keeping.first, keeping.num > 1 ? " and others" : "");
}

static enum err check_domain(const struct identity_client *client, const struct svid *svid, struct why *why)
{
	if (spiffe_id_in_trust_domain(svid_id(svid), &client->options.trust_domain))
		return ERR_NONE;
	return why_set(why, ERR_WRONG_PEER, "an identity of our own trust domain",
		"compare trust_domain in the settings of sidecar and control plane", "%s", svid_id(svid)->text);
}

static void got_certificate(struct identity_client *client, const struct svid *svid)
{
	struct renew_now now = identity_now(client);
	renew_got_certificate(&client->renew, &now, svid_not_after_s(svid));
	log_notice(COMPONENT, "%s is ours for %lld s", svid_id(svid)->text,
		(long long)(svid_not_after_s(svid) - now.trusted_s));
}

enum err identity_use_svid(struct identity_client *client, struct svid *svid, struct private_key *key, struct why *why)
{
	struct credentials *fresh;
	if (!spiffe_id_eq(svid_id(svid), credentials_id(client->credentials)))
		return why_set(why, ERR_WRONG_PEER, "our own identity renewed", "look at the control plane's log", "%s",
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
	/* The server is proven, so its clock is believed before its certificates are judged: ours may be years off. But
	 * while what we have is valid, a jump has to last: the server may refuse us for its own wrong clock. */
	identity_hear_time(client, answer->server_time_ms, !client->is_published);
	RETURN_IF_ERR(check_domain(client, answer->svid, why));
	RETURN_IF_ERR(check_epoch(client, &answer->trust, why));
	keep_bans(client, &answer->trust);
	RETURN_IF_ERR(credentials_new(answer->svid, key, answer->trust.bundles, answer->trust.epoch,
		identity_now(client).trusted_s, &fresh, why));
	remember(client, &answer->trust, client->held.has_token ? client->held.token_hash : NULL);
	got_certificate(client, answer->svid);
	publish(client, fresh);
	return ERR_NONE;
}

enum err identity_use_trust(struct identity_client *client, struct trust *trust, struct why *why)
{
	struct credentials *fresh;
	struct epoch now_in_use = credentials_epoch(client->credentials);
	if (trust->bundles == NULL) {
		*why = trust->why;
		return trust->why.err;
	}
	RETURN_IF_ERR(check_epoch(client, trust, why));
	/* The same again, as at each reconnect: a new snapshot would make every tunnel anew. */
	if (epoch_eq(&trust->epoch, &now_in_use))
		return ERR_NONE;
	keep_bans(client, trust);
	RETURN_IF_ERR(credentials_new(credentials_svid(client->credentials), credentials_key(client->credentials),
		trust->bundles, trust->epoch, identity_now(client).trusted_s, &fresh, why));
	remember(client, trust, NULL);
	publish(client, fresh);
	return ERR_NONE;
}

/* The clock was set forward and back again: what we have is as good as before. */
static void publish_again(struct identity_client *client)
{
	log_notice(COMPONENT, "%s is valid again by the clock", credentials_id(client->credentials)->text);
	client->is_published = true;
	client->options.on_credentials(client->options.arg, client->credentials);
	if (client->other != NULL && client->has_trust)
		address_claim_start(client->other, control_link_family(client->link), client->credentials);
}

void identity_judge_expiry(struct identity_client *client)
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
	log_error(COMPONENT, "%s has expired: no new tunnel and no new stream until it is renewed",
		credentials_id(client->credentials)->text);
	client->options.on_credentials(client->options.arg, NULL);
}
