#include "control/store/etcd/store_etcd.h"
#include "base/core/check.h"
#include "base/core/hex.h"
#include "base/core/log.h"
#include "base/core/mem.h"
#include "base/core/random.h"
#include "control/store/etcd/store_etcd_private.h"
#include "control/store/record.h"
#include <inttypes.h>

#define KEY_MAX (ETCD_PREFIX_MAX + STORE_KEY_MAX + 1)

/* --- the link --- */

static void on_up(void *arg)
{
	struct etcd_store *etcd = arg;
	etcd_follow_start(etcd);
	etcd_send_changes(etcd);
}

static void on_down(void *arg, const struct why *why)
{
	struct etcd_store *etcd = arg;
	etcd->detail = *why;
	etcd_follow_stop(etcd);
	etcd_changes_lost(etcd);
	if (etcd->is_opening && why->err == ERR_DENIED) {
		loop_stop(etcd->store.loop); /* a start ends at once with what an operator has to mend */
		return;
	}
	if (etcd->is_opening || (etcd->is_down && (etcd->is_denied || why->err != ERR_DENIED)))
		return;
	if (why->err == ERR_EXPIRED)
		log_notice("store", "%s: another one is asked for", why->got);
	else
		log_why(LOG_LEVEL_WARNING, "store", "this member of etcd is left", why);
	etcd->is_down = true;
	etcd->is_denied |= why->err == ERR_DENIED;
}

static const struct etcd_link_events link_events = {on_up, on_down};

/* --- the engine --- */

static uint64_t etcd_incarnation(const struct store *store)
{
	return etcd_of(store)->incarnation;
}

static uint64_t etcd_silent_ms(const struct store *store, struct why *out_why)
{
	const struct etcd_store *etcd = etcd_of(store);
	(void)why_set(out_why, ERR_TIMEOUT, "an answer of etcd's majority each second",
		"check etcd and the network to it: `etcdctl endpoint status --cluster`", "no member of etcd answers");
	if (etcd->detail.err != ERR_NONE)
		*out_why = etcd->detail;
	if (etcd->replaced.err != ERR_NONE)
		*out_why = etcd->replaced;
	return loop_now_ms(store->loop) - etcd->answered_ms;
}

static void etcd_close(struct store *store)
{
	struct etcd_store *etcd = etcd_of(store);
	store_watch_stop(&etcd->watch_of_incarnation);
	etcd_drop_changes(etcd);
	etcd_follow_stop(etcd);
	if (etcd->link != NULL)
		etcd_link_free(etcd->link);
	mirror_done(&etcd->removed);
	mirror_done(&etcd->seen);
	buf_done(&etcd->next_key);
	mem_free((void *)(uintptr_t)etcd->prefix.ptr);
	mem_free((void *)(uintptr_t)etcd->end.ptr);
	store_done(store);
	mem_free(etcd);
}

/* --- the start --- */

/* ERR_NOT_FOUND: no control plane has used this prefix yet. */
static enum err read_incarnation(struct etcd_store *etcd, struct why *why)
{
	struct store_value value;
	uint64_t cluster = 0;
	if (!store_get(&etcd->store, STORE_INCARNATION_KEY, &value))
		return ERR_NOT_FOUND;
	if (!record_hex(value.bytes, "incarnation", (uint8_t *)&etcd->incarnation, sizeof etcd->incarnation) ||
		!record_hex(value.bytes, "cluster", (uint8_t *)&cluster, sizeof cluster) || etcd->incarnation == 0)
		return why_set(why, ERR_STATE_DAMAGED, "a record of the store's incarnation",
			"restore etcd from a backup; nothing was overwritten", "the record %s cannot be read",
			STORE_INCARNATION_KEY);
	if (cluster != etcd->cluster && !etcd->options.takes_any)
		return why_set(why, ERR_STATE_DAMAGED, "the etcd cluster that these records were written in",
			"if the records were restored into a new cluster: `handfast-control restore`; else correct "
			"store.etcd.endpoints",
			"the records are of cluster %" PRIx64 ", and this is cluster %" PRIx64, cluster, etcd->cluster);
	etcd->incarnation_version = value.version;
	return ERR_NONE;
}

static enum err make_incarnation(struct etcd_store *etcd, uint64_t expected, struct why *why)
{
	_cleanup_(buf_done) struct buf record = BUF_INIT(256);
	uint64_t incarnation = random_u64() | 1;
	RETURN_IF_ERR(record_put_hex(&record, "incarnation", span_of(&incarnation, sizeof incarnation)));
	RETURN_IF_ERR(record_put_hex(&record, "cluster", span_of(&etcd->cluster, sizeof etcd->cluster)));
	return store_swap_now(&etcd->store, STORE_INCARNATION_KEY, expected, buf_span(&record), why);
}

void etcd_note_replaced(struct etcd_store *etcd)
{
	if (etcd->replaced.err != ERR_NONE)
		return;
	(void)why_set(&etcd->replaced, ERR_IO, "the incarnation that this control plane has begun with",
		"restart this control plane", "the store in etcd has another incarnation");
	log_why(LOG_LEVEL_ERROR, "store", "no change is stored any more", &etcd->replaced);
}

/* An operator has confirmed a restored etcd while this process ran: its signer must judge that first. */
static void on_incarnation(struct store_watch *watch, const char *key, const struct store_value *value)
{
	struct etcd_store *etcd = container_of(watch, struct etcd_store, watch_of_incarnation);
	uint64_t incarnation = 0;
	(void)key;
	if (value != NULL)
		(void)record_hex(value->bytes, "incarnation", (uint8_t *)&incarnation, sizeof incarnation);
	if (incarnation != etcd->incarnation)
		etcd_note_replaced(etcd);
}

static void follow_incarnation(struct etcd_store *etcd)
{
	store_watch_start(&etcd->store, &etcd->watch_of_incarnation, STORE_INCARNATION_KEY, on_incarnation);
}

static enum err etcd_begin_incarnation(struct store *store, struct why *why)
{
	struct etcd_store *etcd = etcd_of(store);
	struct store_value value = {0};
	(void)store_get(store, STORE_INCARNATION_KEY, &value);
	store_watch_stop(&etcd->watch_of_incarnation);
	etcd->incarnation_version = 0;
	RETURN_IF_ERR(make_incarnation(etcd, value.version, why));
	follow_incarnation(etcd);
	return read_incarnation(etcd, why);
}

static const struct store_engine etcd_engine = {.swap = etcd_swap,
	.incarnation = etcd_incarnation,
	.begin_incarnation = etcd_begin_incarnation,
	.commit = store_swap_now,
	.silent_ms = etcd_silent_ms,
	.close = etcd_close};

static enum err fill(struct etcd_store *etcd, struct why *why)
{
	store_run_first_sync(&etcd->store);
	etcd->is_opening = false;
	if (!etcd->is_synced && etcd->detail.err != ERR_NONE) {
		*why = etcd->detail;
		return why->err;
	}
	if (!etcd->is_synced)
		return why_set(why, ERR_UNAVAILABLE, "an answer of etcd within 30 s",
			"check store.etcd.endpoints, and the network to them", "the records could not be read");
	etcd->detail = (struct why){0};
	etcd->answered_ms = loop_now_ms(etcd->store.loop);
	enum err err = read_incarnation(etcd, why);
	if (err != ERR_NOT_FOUND)
		return err;
	/* Of two control planes that start at the same time one makes it; the other finds it. */
	err = make_incarnation(etcd, 0, why);
	return err != ERR_NONE && err != ERR_CONFLICT ? err : read_incarnation(etcd, why);
}

enum err store_open_etcd(const struct store_etcd_options *options, struct store **out, struct why *why)
{
	struct etcd_store *etcd = mem_new(struct etcd_store);
	_cleanup_(store_closep) struct store *store = &etcd->store;
	size_t prefix_len = strlen(options->prefix);
	CHECK(prefix_len > 0 && prefix_len <= ETCD_PREFIX_MAX);
	store_init(store, &etcd_engine, options->loop);
	etcd->options = *options;
	etcd->is_opening = true;
	etcd->options.prefix = mem_strdup(options->prefix);
	etcd->prefix = span_of_str(etcd->options.prefix);
	uint8_t *end = mem_alloc(prefix_len);
	etcd_prefix_end(etcd->prefix, end);
	etcd->end = span_of(end, prefix_len);
	buf_init(&etcd->next_key, KEY_MAX);
	etcd->link = etcd_link_new(options->loop, options->members, &link_events, etcd);
	RETURN_IF_ERR(fill(etcd, why));
	follow_incarnation(etcd);
	*out = TAKE_PTR(store);
	return ERR_NONE;
}
