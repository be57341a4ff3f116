#include "control/store/store_records.h"
#include "base/core/log.h"
#include "base/core/mem.h"
#include "base/core/random.h"
#include "control/store/record.h"
#include "control/store/store_records_private.h"

#define INCARNATION_KEY "store/incarnation"
#define FIRST_SYNC_MS   30000

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
	records->seen = (struct mirror){0};
	records->begin_version = records->watched;
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
	if (record.version > records->watched)
		records->watched = record.version;
	if (event == KUBE_DELETED) {
		records_take_removal(records, record.key, record.version);
		mirror_remove(&records->removed, record.key);
		return;
	}
	mirror_put(&records->seen, record.key, SPAN_LITERAL(""), record.version);
	records_take_put(records, &record);
}

/* What the complete state lacks was removed by another replica while no watch ran. A newer change of this process
 * stays: its event follows. */
static void on_synced(void *arg)
{
	struct records_store *records = arg;
	const struct mirror *mirror = &records->store.mirror;
	size_t at = 0;
	while (at < mirror->num_entries) {
		const struct mirror_entry *entry = &mirror->entries[at];
		if (entry->version > records->begin_version || mirror_find(&records->seen, entry->key) != NULL) {
			at++;
			continue;
		}
		_cleanup_(mem_freep) char *key = mem_strdup(entry->key);
		store_apply(&records->store, key, span_of(NULL, 0), entry->version);
		at = mirror_lower_bound(mirror, key); /* a watch of the store may have changed others */
	}
	mirror_done(&records->seen);
	records->seen = (struct mirror){0};
	mirror_done(&records->removed);
	records->removed = (struct mirror){0};
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
	mem_free(records->path);
	store_done(store);
	mem_free(records);
}

static const struct store_engine records_engine = {
	.swap = records_swap, .incarnation = records_incarnation, .close = records_close};

/* --- the start --- */

struct first {
	struct records_store *records;
	struct loop_timer deadline;
	enum err err;
};

static void on_deadline(struct loop_timer *timer)
{
	loop_stop(container_of(timer, struct first, deadline)->records->store.loop);
}

static void on_made(void *arg, enum err err, _unused_ uint64_t version)
{
	struct first *first = arg;
	first->err = err;
	loop_stop(first->records->store.loop);
}

static bool read_incarnation(struct records_store *records)
{
	struct store_value value;
	return store_get(&records->store, INCARNATION_KEY, &value) &&
	       record_hex(value.bytes, "incarnation", (uint8_t *)&records->incarnation, sizeof records->incarnation) &&
	       records->incarnation != 0;
}

/* Of two replicas that start at the same time one makes it; the other finds it. */
static enum err make_incarnation(struct records_store *records, struct first *first)
{
	_cleanup_(buf_done) struct buf record = BUF_INIT(256);
	uint64_t incarnation = random_u64() | 1;
	RETURN_IF_ERR(record_put_hex(&record, "incarnation", span_of(&incarnation, sizeof incarnation)));
	store_swap(&records->store, INCARNATION_KEY, 0, buf_span(&record), on_made, first);
	loop_run(records->store.loop);
	return first->err == ERR_CONFLICT ? ERR_NONE : first->err;
}

static enum err fill(struct records_store *records, struct first *first, struct why *why)
{
	loop_run(records->store.loop);
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
	enum err err = make_incarnation(records, first);
	if (err != ERR_NONE)
		return store_explain(&records->store, err, why);
	if (read_incarnation(records))
		return ERR_NONE;
	return why_set(why, ERR_STATE_DAMAGED, "a record of the store's incarnation",
		"restore the records from a backup; nothing was overwritten", "the record %s cannot be read",
		INCARNATION_KEY);
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
	struct first first = {.records = records};
	records->watch = kube_watch_start(client, &options, &observer);
	loop_timer_start(loop, &first.deadline, FIRST_SYNC_MS, on_deadline);
	enum err err = fill(records, &first, why);
	loop_timer_stop(&first.deadline);
	RETURN_IF_ERR(err);
	*out = TAKE_PTR(store);
	return ERR_NONE;
}
