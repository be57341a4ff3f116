#include "control/serve/trust_private.h"

#include "base/core/check.h"
#include "base/core/log.h"
#include "base/core/mem.h"
#include "certs/digest.h"
#include "control/federate/partner_record.h"
#include "control/registry/revocations.h"
#include "control/registry/svid_holders.h"
#include "control/serve/jwt_keys.h"
#include "control/serve/own_list.h"
#include "control/store/record.h"

#define STATE_KEY   "trust/state"
#define RETRY_MS    5000
#define CONTENT_MAX (64u * 1024 * 1024)
#define GATHER_MS   500 /* lists of the mesh's own: a control plane makes all of its own at the same moment */

struct trust {
	struct trust_options options;
	struct trust_domain domain;
	struct bundle_set *bundles;
	struct epoch epoch;   /* counter 0: not durable yet */
	uint64_t roots_since; /* 0: the roots in force are not durable yet */
	uint64_t pins_since;  /* the same of the pins of bootstrap roots */
	struct store_watch bans, revocations, jwt_watch, partners, lists;
	struct loop_task refresh;
	struct loop_timer retry;  /* when the epoch could not be stored */
	struct loop_timer gather; /* runs after a change of the mesh's own lists */
	bool is_saving, is_stale;
};

struct stored { /* the last durable state */
	uint64_t counter, roots_since, pins_since;
	uint8_t roots[DIGEST_LEN], pins[DIGEST_LEN];
};

static void collect_ban(void *arg, struct span id, _unused_ int64_t since_s)
{
	struct buf *content = arg;
	if (buf_append(content, id) != ERR_NONE || buf_append(content, SPAN_LITERAL("\n")) != ERR_NONE)
		log_error("trust",
			"too many bans: a further one makes no new epoch; expected: %u bytes of banned "
			"identities at most; fix: lift bans that are no longer needed by `handfast unban`",
			(unsigned)CONTENT_MAX);
}

static void collect_serial(void *arg, const struct revocation *revocation)
{
	struct buf *content = arg;
	(void)!buf_append(content, revocation->serial); /* as for bans */
	(void)!buf_append(content, SPAN_LITERAL("\n"));
}

static enum err append_roots(const struct trust *trust, struct buf *out)
{
	const struct rotation_roots *roots = trust->options.roots;
	for (size_t i = 0; i < roots->num_all; i++) {
		if (i == roots->num_all - roots->num_retired)
			RETURN_IF_ERR(buf_append(out, SPAN_LITERAL("retired\n")));
		RETURN_IF_ERR(buf_append(out, roots->der[i]));
	}
	return ERR_NONE;
}

static void append_jwt_key(void *arg, const char *key, _unused_ const struct store_value *value)
{
	(void)!buf_append_str(arg, key); /* it has the key's hash; they are few */
}

/* What sidecars have of it; not its sequence. */
static void append_partner(void *arg, const struct partner_record *record)
{
	struct buf *content = arg; /* as for bans */
	(void)!buf_printf(content, "partner %s\n", record->domain.name);
	for (size_t i = 0; i < record->live.num_roots; i++)
		(void)!buf_append(content, record->live.roots[i]);
	(void)!buf_append_str(content, "retired\n");
	for (size_t i = 0; i < record->retired.num_roots; i++)
		(void)!buf_append(content, record->retired.roots[i]);
	(void)!buf_append(
		content, span_of(record->live.jwt_keys, record->live.num_jwt_keys * sizeof(record->live.jwt_keys[0])));
}

static void append_lists(const struct trust *trust, struct buf *out)
{
	struct span domain = span_of_str(trust->domain.name);
	for (size_t i = 0; i < bundle_set_num_crls(trust->bundles, domain); i++)
		CHECK(bundle_set_put_crl(trust->bundles, domain, i, out) == ERR_NONE);
}

/* Without pins the content is that of an earlier release, and the epoch stays. */
static void digest_content(const struct trust *trust, struct stored *out, uint8_t out_all[DIGEST_LEN])
{
	const struct bootstrap_pins *pins = trust->options.pins;
	struct span all_pins = span_of(pins->sha256[0], pins->num * DIGEST_LEN);
	_cleanup_(buf_done) struct buf content = BUF_INIT(CONTENT_MAX);
	CHECK(append_roots(trust, &content) == ERR_NONE);
	digest_sha256(buf_span(&content), out->roots);
	digest_sha256(all_pins, out->pins);
	CHECK(buf_append(&content, all_pins) == ERR_NONE);
	append_lists(trust, &content);
	svid_holders_list_bans(trust->options.store, collect_ban, &content);
	revocations_list(trust->options.store, collect_serial, &content);
	store_list(trust->options.store, JWT_KEYS_PREFIX, append_jwt_key, &content);
	partner_records_list(trust->options.store, append_partner, &content);
	digest_sha256(buf_span(&content), out_all);
}

/* Bans apply to new connections at once, even while the epoch is being stored. */
static enum err remake_bundles(struct trust *trust, struct why *why)
{
	struct bundle_set *fresh;
	RETURN_IF_ERR(trust_make_bundles(&trust->options, &fresh, why));
	bundle_set_unref(trust->bundles);
	trust->bundles = fresh;
	return ERR_NONE;
}

static void post_refresh(struct trust *trust);

static void on_retry(struct loop_timer *timer)
{
	post_refresh(container_of(timer, struct trust, retry));
}

static void on_saved(void *arg, enum err err, uint64_t version)
{
	struct trust *trust = arg;
	(void)version;
	CHECK(trust->is_saving); /* one change of the epoch at a time */
	trust->is_saving = false;
	if (err == ERR_NONE || err == ERR_CONFLICT || trust->is_stale) {
		post_refresh(trust);
		return;
	}
	struct why why = {0};
	store_explain(trust->options.store, err, &why);
	log_why(LOG_LEVEL_ERROR, "trust", "the epoch could not be stored; trying again", &why);
	loop_timer_start(trust->options.loop, &trust->retry, RETRY_MS, on_retry);
}

static void save(struct trust *trust, const struct stored *next, const uint8_t digest[DIGEST_LEN], uint64_t version)
{
	_cleanup_(buf_done) struct buf record = BUF_INIT(1024);
	CHECK(!trust->is_saving && next->counter > 0 && next->roots_since > 0);
	CHECK(record_put_number(&record, "counter", (int64_t)next->counter) == ERR_NONE);
	CHECK(record_put_hex(&record, "content", span_of(digest, DIGEST_LEN)) == ERR_NONE);
	CHECK(record_put_hex(&record, "roots", span_of(next->roots, DIGEST_LEN)) == ERR_NONE);
	CHECK(record_put_number(&record, "roots_since", (int64_t)next->roots_since) == ERR_NONE);
	CHECK(record_put_hex(&record, "pins", span_of(next->pins, DIGEST_LEN)) == ERR_NONE);
	CHECK(record_put_number(&record, "pins_since", (int64_t)next->pins_since) == ERR_NONE);
	trust->is_saving = true;
	trust->is_stale = false;
	store_swap(trust->options.store, STATE_KEY, version, buf_span(&record), on_saved, trust);
}

static void adopt(struct trust *trust, const struct stored *stored)
{
	trust->roots_since = stored->roots_since;
	trust->pins_since = stored->pins_since;
	if (trust->epoch.counter == stored->counter)
		return;
	trust->epoch.counter = stored->counter;
	trust->options.on_change(trust->options.arg);
}

/* A record of release 0.1 has no counter of its roots, and none of its pins. */
static void read_stored(
	const struct trust *trust, struct stored *out, uint8_t out_content[DIGEST_LEN], uint64_t *version)
{
	struct store_value value = {0};
	*out = (struct stored){0};
	memset(out_content, 0, DIGEST_LEN);
	bool is_there = store_get(trust->options.store, STATE_KEY, &value);
	*version = is_there ? value.version : 0;
	if (!is_there)
		return;
	out->counter = (uint64_t)record_number(value.bytes, "counter", 0);
	if (record_hex(value.bytes, "roots", out->roots, DIGEST_LEN))
		out->roots_since = (uint64_t)record_number(value.bytes, "roots_since", 0);
	if (record_hex(value.bytes, "pins", out->pins, DIGEST_LEN))
		out->pins_since = (uint64_t)record_number(value.bytes, "pins_since", 0);
	if (!record_hex(value.bytes, "content", out_content, DIGEST_LEN))
		memset(out_content, 0, DIGEST_LEN);
}

static void refresh(struct loop_task *task)
{
	struct trust *trust = container_of(task, struct trust, refresh);
	struct stored stored, next;
	uint8_t now[DIGEST_LEN], then[DIGEST_LEN];
	uint64_t version;
	digest_content(trust, &next, now);
	read_stored(trust, &stored, then, &version);
	bool has_roots = stored.roots_since > 0 && memcmp(stored.roots, next.roots, DIGEST_LEN) == 0;
	next.counter = stored.counter + 1;
	next.roots_since = has_roots ? stored.roots_since : next.counter;
	bool has_pins = trust->options.pins->num == 0 ||
			(stored.pins_since > 0 && memcmp(stored.pins, next.pins, DIGEST_LEN) == 0);
	next.pins_since = has_pins && stored.pins_since > 0 ? stored.pins_since : next.counter;
	if (stored.counter > 0 && has_roots && has_pins && memcmp(now, then, DIGEST_LEN) == 0)
		adopt(trust, &stored);
	else if (trust->is_saving)
		trust->is_stale = true;
	else
		save(trust, &next, now, version);
}

static void post_refresh(struct trust *trust)
{
	loop_task_post(trust->options.loop, &trust->refresh, refresh);
}

void trust_content_changed(struct trust *trust)
{
	struct why why = {0};
	loop_timer_stop(&trust->gather);
	if (remake_bundles(trust, &why) != ERR_NONE)
		log_why(LOG_LEVEL_ERROR, "trust", "the bundle cannot be made", &why);
	post_refresh(trust);
}

static void on_ban(struct store_watch *watch, _unused_ const char *key, _unused_ const struct store_value *value)
{
	trust_content_changed(container_of(watch, struct trust, bans));
}

static void on_revocation(struct store_watch *watch, _unused_ const char *key, _unused_ const struct store_value *value)
{
	trust_content_changed(container_of(watch, struct trust, revocations));
}

static void on_jwt_key(struct store_watch *watch, _unused_ const char *key, _unused_ const struct store_value *value)
{
	trust_content_changed(container_of(watch, struct trust, jwt_watch));
}

static void on_gathered(struct loop_timer *timer)
{
	trust_content_changed(container_of(timer, struct trust, gather));
}

/* Each epoch is sent to every sidecar, which then judges its connections again; and no sidecar waits for a list. */
static void on_list(struct store_watch *watch, _unused_ const char *key, _unused_ const struct store_value *value)
{
	struct trust *trust = container_of(watch, struct trust, lists);
	if (!loop_timer_is_armed(&trust->gather))
		loop_timer_start(trust->options.loop, &trust->gather, GATHER_MS, on_gathered);
}

static void on_partner(struct store_watch *watch, _unused_ const char *key, _unused_ const struct store_value *value)
{
	trust_content_changed(container_of(watch, struct trust, partners));
}

void trust_roots_changed(struct trust *trust)
{
	trust->roots_since = 0;
	trust_content_changed(trust);
}

void trust_pins_changed(struct trust *trust)
{
	trust->pins_since = 0;
	post_refresh(trust);
}

DEFINE_CLEANUP(struct trust *, trust_free)

enum err trust_new(const struct trust_options *options, struct trust **out, struct why *why)
{
	_cleanup_(trust_freep) struct trust *trust = mem_new(struct trust);
	trust->options = *options;
	trust->domain = *options->domain;
	trust->options.domain = &trust->domain;
	trust->epoch.incarnation = store_incarnation(options->store);
	trust->bundles = bundle_set_new();
	RETURN_IF_ERR(remake_bundles(trust, why));
	store_watch_start(options->store, &trust->bans, SVID_HOLDERS_BAN_PREFIX, on_ban);
	store_watch_start(options->store, &trust->revocations, REVOCATIONS_PREFIX, on_revocation);
	store_watch_start(options->store, &trust->jwt_watch, JWT_KEYS_PREFIX, on_jwt_key);
	store_watch_start(options->store, &trust->partners, PARTNER_RECORDS_PREFIX, on_partner);
	store_watch_start(options->store, &trust->lists, OWN_LIST_PREFIX, on_list);
	post_refresh(trust);
	*out = TAKE_PTR(trust);
	return ERR_NONE;
}

void trust_free(struct trust *trust)
{
	store_watch_stop(&trust->bans);
	store_watch_stop(&trust->revocations);
	store_watch_stop(&trust->jwt_watch);
	store_watch_stop(&trust->partners);
	store_watch_stop(&trust->lists);
	loop_task_cancel(&trust->refresh);
	loop_timer_stop(&trust->retry);
	loop_timer_stop(&trust->gather);
	bundle_set_unref(trust->bundles);
	mem_free(trust);
}

bool trust_is_ready(const struct trust *trust)
{
	return trust->epoch.counter != 0;
}

bool trust_is_stored(const struct trust *trust)
{
	return trust_is_ready(trust) && !trust->is_saving && !loop_task_is_posted(&trust->refresh) &&
	       !loop_timer_is_armed(&trust->retry);
}

struct epoch trust_epoch(const struct trust *trust)
{
	return trust->epoch;
}

struct bundle_set *trust_bundles(const struct trust *trust)
{
	return trust->bundles;
}

const struct rotation_roots *trust_roots(const struct trust *trust)
{
	return trust->options.roots;
}

uint64_t trust_roots_since(const struct trust *trust)
{
	return trust->roots_since;
}

const struct bootstrap_pins *trust_pins(const struct trust *trust)
{
	return trust->options.pins;
}

uint64_t trust_pins_since(const struct trust *trust)
{
	return trust->pins_since;
}

struct store *trust_store(const struct trust *trust)
{
	return trust->options.store;
}

const struct trust_domain *trust_domain_of(const struct trust *trust)
{
	return &trust->domain;
}
