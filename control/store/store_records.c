#include "control/store/store_records.h"
#include "base/core/log.h"
#include "base/core/mem.h"
#include "base/core/random.h"
#include "control/store/record.h"
#include "control/store/store_records_private.h"

/* --- from the watch, and from answers --- */

void records_take_put(struct records_store *records, const struct record_object *record)
{
	const struct mirror_entry *known = mirror_find(&records->store.mirror, record->key);
	const struct mirror_entry *gone = mirror_find(&records->removed, record->key);
	if ((known == NULL || known->version < record->version) && (gone == NULL || gone->version < record->version))
		store_apply(&records->store, record->key, record->value, record->version);
}

void records_take_removal(struct records_store *records, const char *key, uint64_t version)
{
	const struct mirror_entry *known = mirror_find(&records->store.mirror, key);
	if (known != NULL && known->version <= version)
		store_apply(&records->store, key, span_of(NULL, 0), known->version);
}

static void on_begin(void *arg)
{
	struct records_store *records = arg;
	mirror_done(&records->seen);
	mirror_done(&records->own);
	records->is_reading = true;
}

static void on_object(void *arg, enum kube_event event, const json_t *object)
{
	struct records_store *records = arg;
	struct record_object record;
	struct why why = {0};
	if (record_object_parse(object, &record, &why) != ERR_NONE) {
		log_why(LOG_LEVEL_WARNING, "store", "a record is ignored", &why);
		return;
	}
	if (!records->is_reading && record.version > records->watched)
		records->watched = record.version;
	if (event == KUBE_PUT) {
		if (records->is_reading)
			mirror_put(&records->seen, record.key, record.value, record.version);
		records_take_put(records, &record);
		return;
	}
	mirror_remove(&records->seen, record.key);
	records_take_removal(records, record.key, record.version);
	if (records_is_changing(records, record.key)) /* its answer may be older, and still to come */
		mirror_put(&records->removed, record.key, SPAN_LITERAL(""), record.version);
	else
		mirror_remove(&records->removed, record.key);
}

/* What the state does not have yet: its event follows. A restored API server has forgotten what it had before, and
 * of high versions only those that this process made meanwhile are its own. */
static bool is_newer_than_state(const struct records_store *records, const struct mirror_entry *entry)
{
	bool is_own = mirror_find(&records->own, entry->key) != NULL;
	return entry->version > records->watched && (is_own || !records->is_restored);
}

/* This process removed what the state still has: the event follows. */
static bool was_removed(const struct records_store *records, const struct mirror_entry *seen)
{
	const struct mirror_entry *gone = mirror_find(&records->removed, seen->key);
	bool is_own = mirror_find(&records->own, seen->key) != NULL;
	return gone != NULL && gone->version >= seen->version && (is_own || !records->is_restored);
}

/* A restored API server gives a version a second time. */
static bool is_same(const struct mirror_entry *a, const struct mirror_entry *b)
{
	return a->version == b->version && span_eq(span_of(a->bytes, a->len), span_of(b->bytes, b->len));
}

/* The state has another value, or none, and that holds, even with a lower version: the API server was restored, or
 * another replica removed the key while no watch ran. */
static void drop_what_differs(struct records_store *records)
{
	const struct mirror *mirror = &records->store.mirror;
	for (size_t at = 0; at < mirror->num_entries;) {
		const struct mirror_entry *entry = &mirror->entries[at];
		const struct mirror_entry *seen = mirror_find(&records->seen, entry->key);
		bool holds = is_newer_than_state(records, entry) || (seen != NULL && is_same(seen, entry));
		_cleanup_(mem_freep) char *key = mem_strdup(entry->key);
		if (!holds)
			store_apply(&records->store, key, span_of(NULL, 0), entry->version);
		at = mirror_lower_bound(mirror, key) + (holds ? 1 : 0); /* a watch of the store may change others */
	}
}

static void add_what_is_missing(struct records_store *records)
{
	for (size_t i = 0; i < records->seen.num_entries; i++) {
		const struct mirror_entry *seen = &records->seen.entries[i];
		if (mirror_find(&records->store.mirror, seen->key) == NULL && !was_removed(records, seen))
			store_apply(&records->store, seen->key, span_of(seen->bytes, seen->len), seen->version);
	}
}

/* Events of before such a removal may still come. */
static void forget_older_removals(struct records_store *records)
{
	for (size_t i = records->removed.num_entries; i > 0; i--) {
		const struct mirror_entry *entry = &records->removed.entries[i - 1];
		_cleanup_(mem_freep) char *key = mem_strdup(entry->key);
		if (!is_newer_than_state(records, entry))
			mirror_remove(&records->removed, key);
	}
}

static void note_version(struct records_store *records)
{
	uint64_t version = 0;
	if (!record_object_version(kube_watch_version(records->watch), &version))
		log_warning("store", "the API server's version of the records is not a number");
	records->is_restored = version < records->watched;
	records->watched = version;
}

static void on_synced(void *arg)
{
	struct records_store *records = arg;
	records->is_reading = false;
	note_version(records);
	drop_what_differs(records);
	add_what_is_missing(records);
	forget_older_removals(records);
	mirror_done(&records->seen);
	mirror_done(&records->own);
	records->is_synced = true;
	if (records->is_opening)
		loop_stop(records->store.loop);
}

static void on_trouble(void *arg, const struct why *why)
{
	struct records_store *records = arg;
	records->detail = why == NULL ? (struct why){0} : *why;
	if (why != NULL)
		log_why(LOG_LEVEL_WARNING, "store", "the records are not followed", why);
}

/* --- the engine --- */

static uint64_t records_incarnation(const struct store *store)
{
	return records_of(store)->incarnation;
}

static void records_close(struct store *store)
{
	struct records_store *records = records_of(store);
	if (records->watch != NULL)
		kube_watch_stop(records->watch);
	records_drop_changes(records);
	mirror_done(&records->removed);
	mirror_done(&records->seen);
	mirror_done(&records->own);
	mem_free(records->path);
	store_done(store);
	mem_free(records);
}

static const struct store_engine records_engine = {
	.swap = records_swap, .incarnation = records_incarnation, .close = records_close};

/* --- the start --- */

static bool read_incarnation(struct records_store *records)
{
	struct store_value value;
	return store_get(&records->store, STORE_INCARNATION_KEY, &value) &&
	       record_hex(value.bytes, "incarnation", (uint8_t *)&records->incarnation, sizeof records->incarnation) &&
	       records->incarnation != 0;
}

/* Of two replicas that start at the same time one makes it; the other finds it. */
static enum err make_incarnation(struct records_store *records, struct why *why)
{
	_cleanup_(buf_done) struct buf record = BUF_INIT(256);
	uint64_t incarnation = random_u64() | 1;
	RETURN_IF_ERR(record_put_hex(&record, "incarnation", span_of(&incarnation, sizeof incarnation)));
	enum err err = store_swap_now(&records->store, STORE_INCARNATION_KEY, 0, buf_span(&record), why);
	return err == ERR_CONFLICT ? ERR_NONE : err;
}

static enum err fill(struct records_store *records, struct why *why)
{
	store_run_first_sync(&records->store);
	records->is_opening = false;
	if (!records->is_synced && records->detail.err != ERR_NONE) {
		*why = records->detail;
		return why->err;
	}
	if (!records->is_synced)
		return why_set(why, ERR_UNAVAILABLE, "an answer of the API server within 30 s",
			"check that the pod reaches the API server", "the records could not be read");
	if (read_incarnation(records))
		return ERR_NONE;
	RETURN_IF_ERR(make_incarnation(records, why));
	if (read_incarnation(records))
		return ERR_NONE;
	return why_set(why, ERR_STATE_DAMAGED, "a record of the store's incarnation",
		"restore the records from a backup; nothing was overwritten", "the record %s cannot be read",
		STORE_INCARNATION_KEY);
}

enum err store_open_records(
	struct loop *loop, struct kube_client *client, const char *namespace_name, struct store **out, struct why *why)
{
	struct records_store *records = mem_new(struct records_store);
	_cleanup_(store_closep) struct store *store = &records->store;
	store_init(store, &records_engine, loop);
	records->is_opening = true;
	records->client = client;
	records->namespace_name = namespace_name;
	records->path = mem_printf("/apis/" RECORD_API_VERSION "/namespaces/%s/records", namespace_name);
	const struct kube_watch_options options = {.path = records->path};
	const struct kube_watch_observer observer = {on_begin, on_object, on_synced, on_trouble, records};
	records->watch = kube_watch_start(client, &options, &observer);
	RETURN_IF_ERR(fill(records, why));
	*out = TAKE_PTR(store);
	return ERR_NONE;
}
