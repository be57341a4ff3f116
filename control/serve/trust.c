#include "control/serve/trust.h"
#include "base/core/check.h"
#include "base/core/log.h"
#include "base/core/mem.h"
#include "certs/digest.h"
#include "control/registry/svid_holders.h"
#include "control/store/record.h"

#define STATE_KEY   "trust/state"
#define RETRY_MS    5000
#define CONTENT_MAX (64u * 1024 * 1024)

struct trust {
	struct trust_options options;
	struct trust_domain domain;
	struct buf root;
	struct bundle_set *bundles;
	struct epoch epoch; /* counter 0: not durable yet */
	struct store_watch watch;
	struct loop_task refresh;
	struct loop_timer retry; /* when the epoch could not be stored */
	bool is_saving, is_stale;
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

static void digest_content(const struct trust *trust, uint8_t out[DIGEST_LEN])
{
	_cleanup_(buf_done) struct buf content = BUF_INIT(CONTENT_MAX);
	if (buf_append(&content, buf_span(&trust->root)) == ERR_NONE)
		svid_holders_list_bans(trust->options.store, collect_ban, &content);
	digest_sha256(buf_span(&content), out);
}

static void add_ban(void *arg, struct span text, _unused_ int64_t since_s)
{
	_cleanup_(spiffe_id_done) struct spiffe_id id = {0};
	if (spiffe_id_parse(text, &id, NULL) == ERR_NONE)
		bundle_set_ban_id(arg, &id);
}

static enum err make_bundles(const struct trust *trust, struct bundle_set **out, struct why *why)
{
	struct span root = buf_span(&trust->root);
	_cleanup_(bundle_unrefp) struct bundle *bundle = NULL;
	_cleanup_(bundle_set_unrefp) struct bundle_set *set = bundle_set_new();
	RETURN_IF_ERR(bundle_new(&trust->domain, &root, 1, &bundle, why));
	RETURN_IF_ERR(bundle_set_add(set, bundle, why));
	svid_holders_list_bans(trust->options.store, add_ban, set);
	*out = TAKE_PTR(set);
	return ERR_NONE;
}

/* Bans apply to new connections at once, even while the epoch is being stored. */
static enum err remake_bundles(struct trust *trust, struct why *why)
{
	struct bundle_set *fresh;
	RETURN_IF_ERR(make_bundles(trust, &fresh, why));
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

static void save(struct trust *trust, uint64_t counter, const uint8_t digest[DIGEST_LEN], uint64_t version)
{
	_cleanup_(buf_done) struct buf record = BUF_INIT(1024);
	CHECK(!trust->is_saving && counter > 0);
	CHECK(record_put_number(&record, "counter", (int64_t)counter) == ERR_NONE);
	CHECK(record_put_hex(&record, "content", span_of(digest, DIGEST_LEN)) == ERR_NONE);
	trust->is_saving = true;
	trust->is_stale = false;
	store_swap(trust->options.store, STATE_KEY, version, buf_span(&record), on_saved, trust);
}

static void adopt(struct trust *trust, uint64_t counter)
{
	if (trust->epoch.counter == counter)
		return;
	trust->epoch.counter = counter;
	trust->options.on_change(trust->options.arg);
}

static void refresh(struct loop_task *task)
{
	struct trust *trust = container_of(task, struct trust, refresh);
	struct store_value stored = {0};
	uint8_t now[DIGEST_LEN], then[DIGEST_LEN];
	digest_content(trust, now);
	bool is_there = store_get(trust->options.store, STATE_KEY, &stored);
	uint64_t counter = is_there ? (uint64_t)record_number(stored.bytes, "counter", 0) : 0;
	if (is_there && record_hex(stored.bytes, "content", then, DIGEST_LEN) && memcmp(now, then, DIGEST_LEN) == 0)
		adopt(trust, counter);
	else if (trust->is_saving)
		trust->is_stale = true;
	else
		save(trust, counter + 1, now, stored.version);
}

static void post_refresh(struct trust *trust)
{
	loop_task_post(trust->options.loop, &trust->refresh, refresh);
}

static void on_ban(struct store_watch *watch, _unused_ const char *key, _unused_ const struct store_value *value)
{
	struct trust *trust = container_of(watch, struct trust, watch);
	struct why why = {0};
	if (remake_bundles(trust, &why) != ERR_NONE)
		log_why(LOG_LEVEL_ERROR, "trust", "the bundle cannot be made", &why);
	post_refresh(trust);
}

DEFINE_CLEANUP(struct trust *, trust_free)

enum err trust_new(const struct trust_options *options, struct trust **out, struct why *why)
{
	_cleanup_(trust_freep) struct trust *trust = mem_new(struct trust);
	trust->options = *options;
	trust->domain = *options->domain;
	trust->epoch.incarnation = store_incarnation(options->store);
	buf_init(&trust->root, 4096);
	trust->bundles = bundle_set_new();
	RETURN_IF_ERR(buf_append(&trust->root, options->root));
	RETURN_IF_ERR(remake_bundles(trust, why));
	store_watch_start(options->store, &trust->watch, SVID_HOLDERS_BAN_PREFIX, on_ban);
	post_refresh(trust);
	*out = TAKE_PTR(trust);
	return ERR_NONE;
}

void trust_free(struct trust *trust)
{
	store_watch_stop(&trust->watch);
	loop_task_cancel(&trust->refresh);
	loop_timer_stop(&trust->retry);
	bundle_set_unref(trust->bundles);
	buf_done(&trust->root);
	mem_free(trust);
}

bool trust_is_ready(const struct trust *trust)
{
	return trust->epoch.counter != 0;
}

struct epoch trust_epoch(const struct trust *trust)
{
	return trust->epoch;
}

const struct bundle_set *trust_bundles(const struct trust *trust)
{
	return trust->bundles;
}

struct span trust_root(const struct trust *trust)
{
	return buf_span(&trust->root);
}

struct store *trust_store(const struct trust *trust)
{
	return trust->options.store;
}

const struct trust_domain *trust_domain_of(const struct trust *trust)
{
	return &trust->domain;
}
