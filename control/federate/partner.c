#include "control/federate/partner.h"

#include "base/core/check.h"
#include "base/core/log.h"
#include "base/core/mem.h"
#include "base/core/random.h"
#include "base/net/fd.h"
#include "certs/verify.h"
#include "control/report/control_metrics.h"
#include <inttypes.h>
#include <stdio.h>

#define SYSTEM_CA "/etc/ssl/certs/ca-certificates.crt"

struct partner_saving {          /* the store answers also when the partner is gone */
	struct partner *partner; /* NULL: it is */
};

enum { FETCH_MS = 8000, /* an operator's command waits for it */ FIRST_RETRY_MS = 1000, CA_BYTES_MAX = 1024 * 1024 };

static int64_t now_s(const struct partner *partner)
{
	const struct clock *clock = loop_clock(partner->loop);
	return clock->wall_ms(clock) / 1000;
}

/* --- who the endpoint is --- */

static enum err load(void *arg, struct web_roots **out_roots, struct web_identity **out_identity, struct why *why)
{
	const struct partner *partner = arg;
	_cleanup_(buf_done) struct buf pem = BUF_INIT(CA_BYTES_MAX);
	(void)out_identity; /* nothing is presented */
	if (partner->settings.is_spiffe)
		return ERR_NONE;
	RETURN_IF_ERR(
		fd_read_file(partner->settings.ca != NULL ? partner->settings.ca : SYSTEM_CA, CA_BYTES_MAX, &pem, why));
	return web_roots_parse(buf_span(&pem), out_roots, why);
}

/* https_spiffe: the partner's own bundle, of which the endpoint is the source, and exactly its SPIFFE ID. */
static enum err verify(void *arg, const struct span *chain, size_t num_chain, struct why *why)
{
	const struct partner *partner = arg;
	_cleanup_(svid_unrefp) struct svid *svid = NULL;
	const struct verify_input input = {.chain = chain,
		.num_chain = num_chain,
		.bundles = partner->anchors,
		.role = VERIFY_SERVER,
		.now_s = now_s(partner),
		.expected = &partner->settings.endpoint_id,
		.may_be_reserved = true};
	return verify_chain(&input, &svid, why);
}

static enum err make_anchors(struct partner *partner, struct why *why)
{
	_cleanup_(bundle_unrefp) struct bundle *bundle = NULL;
	_cleanup_(bundle_set_unrefp) struct bundle_set *set = bundle_set_new();
	if (!partner->has_record || partner->record.live.num_roots == 0)
		return why_set(why, ERR_NO_BUNDLE, "a first bundle of the partner, by which its endpoint is known",
			"set bundle_file, or run `handfast federation import`",
			"there is no root of %s yet, and the profile is https_spiffe", partner->settings.domain.name);
	RETURN_IF_ERR(partner_record_bundle(&partner->record, &bundle, why));
	RETURN_IF_ERR(bundle_set_add(set, bundle, why));
	bundle_set_unref(partner->anchors);
	partner->anchors = TAKE_PTR(set);
	return ERR_NONE;
}

/* --- the end of a fetch or a command --- */

/* Of an import the end is that of its saving, whatever is fetched meanwhile. */
static void report_fetch(struct partner *partner, const struct why *why)
{
	if (!partner->imports)
		partner_report(partner, why->err, why);
}

void partner_report(struct partner *partner, enum err err, const struct why *why)
{
	partner->imports = false;
	federation_done_fn *on_done = partner->on_done;
	partner->on_done = NULL;
	if (on_done != NULL)
		on_done(partner->done_arg, err, why);
}

static void succeed(struct partner *partner)
{
	static const struct why none = {0};
	if (partner->trouble.err != ERR_NONE)
		log_notice("federate", "the bundle of %s is up to date again", partner->settings.domain.name);
	partner->trouble = none;
}

static void fail(struct partner *partner, const struct why *why)
{
	bool is_new = partner->trouble.err != why->err || strcmp(partner->trouble.got, why->got) != 0;
	partner->num_failed++;
	metric_add(partner->metrics, CONTROL_FEDERATION_FAILED, 1);
	partner->trouble = *why;
	if (is_new) {
		char what[400];
		(void)snprintf(what, sizeof(what), "no new bundle of %s; the one before stays in use",
			partner->settings.domain.name);
		log_why(LOG_LEVEL_WARNING, "federate", what, why);
	}
}

/* --- when --- */

uint32_t partner_refresh_s(const struct partner *partner)
{
	uint32_t hint = partner->record.live.refresh_hint_s;
	if (hint == 0)
		hint = FEDERATION_HINT_DEFAULT_S;
	if (hint > FEDERATION_HINT_MAX_S)
		hint = FEDERATION_HINT_MAX_S;
	return hint < partner->hint_min_s ? partner->hint_min_s : hint;
}

static void fetch(struct partner *partner);

void partner_on_next(struct loop_timer *timer)
{
	fetch(container_of(timer, struct partner, next));
}

/* Not all partners, and not all control planes, at the same moment. */
static void plan(struct partner *partner)
{
	uint32_t interval_ms = partner_refresh_s(partner) * (1000 / FEDERATION_FETCHES_PER_HINT);
	uint32_t delay_ms = interval_ms - random_u32() % (interval_ms / 5 + 1);
	if (!partner->has_record) {
		partner->first.max_ms = interval_ms;
		delay_ms = FIRST_RETRY_MS / 2 + backoff_next_ms(&partner->first, random_u32());
	}
	loop_timer_start(partner->loop, &partner->next, delay_ms, partner_on_next);
}

/* --- the store --- */

void partner_record_changed(struct partner *partner)
{
	struct store_value value = {0};
	struct partner_record record = {0};
	char key[STORE_KEY_MAX];
	partner_record_key(&partner->settings.domain, key);
	bool is_there = store_get(partner->store, key, &value);
	bool is_whole = is_there && partner_record_parse(key, value.bytes, &record) == ERR_NONE;
	partner_record_done(&partner->record);
	partner->record = record;
	partner->has_record = is_whole;
	partner->version = is_there ? value.version : 0;
}

static void on_saved(void *arg, enum err err, _unused_ uint64_t version)
{
	struct partner_saving *saving = arg;
	struct partner *partner = saving->partner;
	struct why why = {0};
	mem_free(saving);
	if (partner == NULL)
		return;
	partner->saving = NULL;
	bool is_lost =
		err == ERR_CONFLICT && partner->imports; /* a fetch is content with what another one has fetched */
	if (is_lost) {
		partner_record_changed(partner);
		(void)why_set(&why, err, "one change of a partner's bundle at a time", "repeat the command",
			"another control plane has stored another bundle of %s", partner->settings.domain.name);
	} else if (err == ERR_NONE || err == ERR_CONFLICT) {
		partner_record_changed(partner);
		succeed(partner);
	} else {
		(void)store_explain(partner->store, err, &why);
		fail(partner, &why);
	}
	if (!loop_task_is_posted(&partner->finish)) /* else the command's own answer is on its way */
		partner_report(partner, why.err, &why);
	if (partner->get != NULL || loop_timer_is_armed(&partner->next))
		return;
	if (partner->has_record) /* the first bundle of all */
		fetch(partner);
	else
		plan(partner);
}

static void log_change(const struct partner *partner, const struct partner_record *next)
{
	log_notice("audit",
		"the bundle of the partner %s has changed: %zu roots, %zu keys of JWT-SVIDs, sequence %" PRIu64 "%s",
		partner->settings.domain.name, next->live.num_roots, next->live.num_jwt_keys, next->live.sequence,
		next->live.num_roots == 0 ? "; without a root nothing of it is trusted" : "");
}

static enum err save(struct partner *partner, struct jwks_bundle *fresh, struct why *why)
{
	_cleanup_(buf_done) struct buf value = BUF_INIT(STORE_VALUE_MAX);
	_cleanup_(partner_record_done) struct partner_record next = {0};
	char key[STORE_KEY_MAX];
	struct store_value stored = {0};
	partner_record_key(&partner->settings.domain, key);
	if (store_get(partner->store, key, &stored))
		(void)!partner_record_parse(key, stored.bytes, &next); /* a damaged one is replaced */
	next.domain = partner->settings.domain;
	next.changed_s = now_s(partner);
	partner_record_update(&next, fresh);
	if (partner_record_encode(&next, &value) != ERR_NONE)
		return why_set(why, ERR_LIMIT, "a bundle that fits into a record of the store (64 KiB)",
			"ask the partner's operator to publish fewer or smaller roots", "the bundle of %s is larger",
			partner->settings.domain.name);
	log_change(partner, &next);
	partner->saving = mem_new(struct partner_saving);
	partner->saving->partner = partner;
	store_swap(partner->store, key, partner->version, buf_span(&value), on_saved, partner->saving);
	return ERR_NONE;
}

/* --- judging --- */

static enum err check_sequence(const struct partner *partner, const struct jwks_bundle *fresh, struct why *why)
{
	const struct jwks_bundle *known = &partner->record.live;
	if (!partner->has_record || !known->has_sequence || fresh->sequence >= known->sequence ||
		partner_record_has_same_content(&partner->record, fresh))
		return ERR_NONE;
	return why_set(why, ERR_CONFLICT, "a bundle that is not older than the one in use",
		"if the partner has started over: `handfast federation refresh --any-sequence`",
		"the bundle of %s has the sequence %" PRIu64 " after %" PRIu64, partner->settings.domain.name,
		fresh->sequence, known->sequence);
}

static enum err judge(const struct partner *partner, struct jwks_bundle *fresh, struct why *why)
{
	_cleanup_(bundle_unrefp) struct bundle *bundle = NULL;
	struct partner_record probe = {.domain = partner->settings.domain, .live = *fresh}; /* borrows */
	return partner_record_bundle(&probe, &bundle, why);
}

enum err partner_take(struct partner *partner, struct span jwks, bool any_sequence, struct why *why)
{
	_cleanup_(jwks_bundle_done) struct jwks_bundle fresh = {0};
	RETURN_IF_ERR(jwks_bundle_parse(jwks, &fresh, why));
	RETURN_IF_ERR(judge(partner, &fresh, why));
	if (!any_sequence)
		RETURN_IF_ERR(check_sequence(partner, &fresh, why));
	bool is_same = partner->has_record && partner_record_has_same_content(&partner->record, &fresh);
	if (is_same && fresh.sequence <= partner->record.live.sequence && !any_sequence) {
		succeed(partner);
		return ERR_NONE;
	}
	if (partner->saving != NULL)
		return why_set(why, ERR_UNAVAILABLE, "one change at a time", "try again",
			"another bundle of %s is being stored", partner->settings.domain.name);
	return save(partner, &fresh, why);
}

/* --- fetching --- */

static void on_fetched(void *arg, enum err err, struct span body, const struct why *why)
{
	struct partner *partner = arg;
	struct why own = {0};
	bool any_sequence = partner->takes_any_sequence;
	partner->num_fetched++;
	partner->takes_any_sequence = false;
	metric_add(partner->metrics, CONTROL_FEDERATION_FETCHED, 1);
	if (err == ERR_NONE) {
		err = partner_take(partner, body, any_sequence, &own);
		why = &own;
	}
	if (err != ERR_NONE)
		fail(partner, why);
	else
		partner->success_s = now_s(partner);
	if (partner->saving == NULL || err != ERR_NONE)
		report_fetch(partner, why);
	https_get_free(TAKE_PTR(partner->get));
	plan(partner);
}

static enum err take_first_bundle(struct partner *partner, struct why *why)
{
	_cleanup_(buf_done) struct buf text = BUF_INIT(JWKS_TEXT_MAX);
	RETURN_IF_ERR(fd_read_file(partner->settings.bundle_file, JWKS_TEXT_MAX, &text, why));
	return partner_take(partner, buf_span(&text), true, why);
}

/* The file may come after the setting. On success the end of its saving fetches. */
static bool lacks_first_bundle(const struct partner *partner)
{
	return partner->settings.is_spiffe && partner->settings.bundle_file != NULL && !partner->has_record &&
	       partner->saving == NULL;
}

static void fetch(struct partner *partner)
{
	struct why why = {0};
	if (partner->get != NULL)
		return;
	loop_timer_stop(&partner->next);
	bool takes_first = lacks_first_bundle(partner);
	if (takes_first && take_first_bundle(partner, &why) == ERR_NONE)
		return;
	if (takes_first || (partner->settings.is_spiffe && make_anchors(partner, &why) != ERR_NONE)) {
		fail(partner, &why);
		report_fetch(partner, &why);
		plan(partner);
		return;
	}
	const struct https_get_options options = {.loop = partner->loop,
		.peer = &partner->peer,
		.path = partner->settings.path,
		.timeout_ms = FETCH_MS,
		.body_max = JWKS_TEXT_MAX};
	partner->get = https_get_start(&options, on_fetched, partner);
}

/* --- its life --- */

struct partner *partner_new(struct loop *loop, struct store *store, struct metric_shard *metrics, uint32_t hint_min_s,
	const struct name_servers *name_servers, const struct config_partner *settings)
{
	struct partner *partner = mem_new(struct partner);
	partner->loop = loop;
	partner->store = store;
	partner->hint_min_s = hint_min_s;
	partner->metrics = metrics;
	config_partner_copy(settings, &partner->settings);
	partner->peer = (struct web_peer){.host = partner->settings.host,
		.port = partner->settings.port,
		.name_servers = name_servers,
		.load = load,
		.verify = partner->settings.is_spiffe ? verify : NULL,
		.arg = partner,
		.texts = {"a bundle endpoint that listens", "check the partner's url, and the network to it",
			"an address of the bundle endpoint", "check the partner's url, and the DNS"}};
	backoff_init(&partner->first, FIRST_RETRY_MS, FIRST_RETRY_MS);
	partner_record_changed(partner);
	struct why why = {0};
	if (!partner->has_record && settings->bundle_file != NULL && take_first_bundle(partner, &why) != ERR_NONE)
		fail(partner, &why);
	if (partner->saving == NULL)
		loop_timer_start(loop, &partner->next, 0, partner_on_next);
	return partner;
}

void partner_free(struct partner *partner)
{
	static const struct why gone = {.err = ERR_CLOSED, .got = "the partner was removed"};
	partner_report(partner, ERR_CLOSED, &gone);
	if (partner->saving != NULL)
		partner->saving->partner = NULL;
	loop_task_cancel(&partner->finish);
	loop_timer_stop(&partner->next);
	https_get_free(partner->get);
	bundle_set_unref(partner->anchors);
	partner_record_done(&partner->record);
	config_partner_done(&partner->settings);
	mem_free(partner);
}

static bool same_text(const char *a, const char *b)
{
	return a == b || (a != NULL && b != NULL && strcmp(a, b) == 0);
}

bool partner_has_settings(const struct partner *partner, const struct config_partner *settings)
{
	const struct config_partner *own = &partner->settings;
	return strcmp(own->domain.name, settings->domain.name) == 0 && same_text(own->host, settings->host) &&
	       own->port == settings->port && same_text(own->path, settings->path) &&
	       own->is_spiffe == settings->is_spiffe && same_text(own->bundle_file, settings->bundle_file) &&
	       same_text(own->ca, settings->ca) &&
	       (!own->is_spiffe || spiffe_id_eq(&own->endpoint_id, &settings->endpoint_id));
}
