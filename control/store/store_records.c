#include "control/store/store_records.h"
#include "base/core/check.h"
#include "base/core/hex.h"
#include "base/core/log.h"
#include "base/core/mem.h"
#include "base/core/random.h"
#include "base/kube/kube_watch.h"
#include "control/store/record.h"
#include "control/store/record_object.h"
#include "control/store/store_private.h"

#define INCARNATION_KEY "store/incarnation"
#define FIRST_SYNC_MS   30000
#define REQUEST_MS      5000
#define TRIES_MAX       3
#define OBJECT_MAX      (8u * STORE_VALUE_MAX) /* bytes of one object as JSON: escapes, managedFields */
#define WRITER_LEN      33

struct records_store {
	struct store store;
	struct kube_client *client;
	const char *namespace_name;
	char *path; /* of the collection */
	struct kube_watch *watch;
	struct list pending;
	struct mirror removed;  /* keys that this process removed, with their last version: no older event counts */
	struct mirror seen;     /* keys of the state that is being read */
	uint64_t begin_version; /* the newest version that the watch had delivered when that state began */
	uint64_t watched;       /* the newest version that the watch has delivered */
	uint64_t incarnation;
	bool is_synced, is_opening; /* opening: the loop runs until the first state is there */
	struct why detail;          /* of the watch's trouble */
};

/* One change until its answer. */
struct pending {
	struct list_link link;
	struct records_store *records;
	struct store_change *change;
	struct kube_request *request;
	char writer[WRITER_LEN];
	struct buf body;
	struct loop_task refuse; /* a change that no record can hold */
	unsigned num_tries;
	bool may_have_happened; /* a try has had no answer */
	struct why detail;
};

static struct records_store *records_of(const struct store *store)
{
	return container_of((struct store *)(uintptr_t)store, struct records_store, store);
}

static char *object_path(const struct records_store *records, const char *key)
{
	char name[RECORD_NAME_LEN];
	record_object_name(key, name);
	return mem_printf("%s/%s", records->path, name);
}

/* --- from the watch, and from answers --- */

/* A version that is newer than what is known becomes visible. */
static void take_put(struct records_store *records, const struct record_object *record)
{
	const struct mirror_entry *known = mirror_find(&records->store.mirror, record->key);
	const struct mirror_entry *gone = mirror_find(&records->removed, record->key);
	if ((known == NULL || known->version < record->version) && (gone == NULL || gone->version < record->version))
		store_apply(&records->store, record->key, record->value, record->version);
}

/* Every version up to this one is gone. */
static void take_removal(struct records_store *records, const char *key, uint64_t version)
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
		take_removal(records, record.key, record.version);
		mirror_remove(&records->removed, record.key);
		return;
	}
	mirror_put(&records->seen, record.key, SPAN_LITERAL(""), record.version);
	take_put(records, &record);
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

/* --- one change --- */

static void pending_free(struct pending *pending)
{
	if (pending->request != NULL)
		kube_request_cancel(pending->request);
	loop_task_cancel(&pending->refuse);
	list_remove(&pending->link);
	buf_done(&pending->body);
	store_change_free(pending->change);
	mem_free(pending);
}

static void finish(struct pending *pending, enum err err, uint64_t version)
{
	struct records_store *records = pending->records;
	struct store_change *change = pending->change;
	struct why trouble = err == ERR_IO ? pending->detail : (struct why){0};
	CHECK(err == ERR_NONE || err == ERR_CONFLICT || err == ERR_IO);
	CHECK(err != ERR_NONE || version != 0);
	store_set_trouble(&records->store, &trouble, err == ERR_IO);
	change->err = err;
	change->version = version;
	const struct mirror_entry *known = mirror_find(&records->store.mirror, change->key);
	if (err == ERR_NONE && change->value.ptr == NULL)
		mirror_put(&records->removed, change->key, SPAN_LITERAL(""), version);
	if (err == ERR_NONE && known != NULL && known->version > version) {
		/* The watch was faster, with an even newer version: that one counts. */
		if (change->on_done != NULL)
			change->on_done(change->arg, err, version);
	} else
		store_settle(&records->store, change);
	pending_free(pending);
}

static void send_change(struct pending *pending);
static void fetch_present(struct pending *pending);

/* Without an answer, or with one that settles nothing: what is stored now decides. */
static void try_again(struct pending *pending)
{
	pending->may_have_happened = true;
	if (pending->num_tries < TRIES_MAX)
		fetch_present(pending);
	else
		finish(pending, ERR_IO, 0);
}

static enum err parse_answer(
	const struct kube_response *response, json_t **out_object, struct record_object *out, struct why *why)
{
	*out_object = json_loadb((const char *)response->body.ptr, response->body.len, JSON_REJECT_DUPLICATES, NULL);
	return record_object_parse(*out_object, out, why);
}

static void note_status(struct pending *pending, unsigned status)
{
	why_set(&pending->detail, ERR_IO, "an API server that stores the record",
		"check the role of the control plane's service account, and the API server's log",
		"the API server answered %u to a change of a record", status);
}

/* The present object is known now: it is this change's own work, or another's, or the change may be sent again. */
static void judge_present(struct pending *pending, const struct record_object *present)
{
	struct store_change *change = pending->change;
	bool is_removal = change->value.ptr == NULL;
	if (present == NULL) {
		if (change->expected == 0)
			send_change(pending);
		else if (is_removal && pending->may_have_happened)
			finish(pending, ERR_NONE, change->expected); /* a try without an answer has removed it */
		else {
			take_removal(pending->records, change->key, UINT64_MAX);
			finish(pending, ERR_CONFLICT, 0);
		}
		return;
	}
	if (!is_removal && strcmp(present->writer, pending->writer) == 0)
		finish(pending, ERR_NONE, present->version);
	else if (present->version == change->expected)
		send_change(pending);
	else {
		take_put(pending->records, present);
		finish(pending, ERR_CONFLICT, 0);
	}
}

static void on_present(void *arg, enum err err, const struct kube_response *response, const struct why *why)
{
	struct pending *pending = arg;
	struct record_object present;
	json_t *object = NULL;
	pending->request = NULL;
	if (err != ERR_NONE) {
		pending->detail = *why;
		finish(pending, ERR_IO, 0);
	} else if (response->status == 404)
		judge_present(pending, NULL);
	else if (response->status == 200 && parse_answer(response, &object, &present, &pending->detail) == ERR_NONE)
		judge_present(pending, &present);
	else {
		if (response->status != 200)
			note_status(pending, response->status);
		finish(pending, ERR_IO, 0);
	}
	json_decref(object);
}

static void fetch_present(struct pending *pending)
{
	_cleanup_(mem_freep) char *path = object_path(pending->records, pending->change->key);
	const struct kube_request_options options = {
		.method = "GET", .path = path, .timeout_ms = REQUEST_MS, .response_max = OBJECT_MAX};
	CHECK(pending->request == NULL);
	pending->request = kube_request_start(pending->records->client, &options, on_present, pending);
}

static void on_changed(void *arg, enum err err, const struct kube_response *response, const struct why *why)
{
	struct pending *pending = arg;
	struct record_object stored;
	json_t *object = NULL;
	pending->request = NULL;
	if (err != ERR_NONE) {
		pending->detail = *why;
		try_again(pending);
	} else if (response->status == 200 && pending->change->value.ptr == NULL)
		finish(pending, ERR_NONE, pending->change->expected);
	else if ((response->status == 200 || response->status == 201) &&
		 parse_answer(response, &object, &stored, &pending->detail) == ERR_NONE)
		finish(pending, ERR_NONE, stored.version);
	else if (response->status == 404 || response->status == 409)
		fetch_present(pending);
	else {
		note_status(pending, response->status);
		if (response->status >= 500 || response->status == 429)
			try_again(pending);
		else
			finish(pending, ERR_IO, 0);
	}
	json_decref(object);
}

static void send_change(struct pending *pending)
{
	struct records_store *records = pending->records;
	const struct store_change *change = pending->change;
	_cleanup_(mem_freep) char *path =
		change->expected == 0 ? mem_strdup(records->path) : object_path(records, change->key);
	const struct kube_request_options options = {.method = change->expected == 0       ? "POST"
							       : change->value.ptr == NULL ? "DELETE"
											   : "PUT",
		.path = path,
		.body = buf_span(&pending->body),
		.timeout_ms = REQUEST_MS,
		.response_max = OBJECT_MAX};
	CHECK(pending->request == NULL);
	pending->num_tries++;
	pending->request = kube_request_start(records->client, &options, on_changed, pending);
}

static enum err encode_change(struct pending *pending)
{
	const struct store_change *change = pending->change;
	if (change->value.ptr == NULL)
		return record_object_encode_delete(change->expected, &pending->body);
	const struct record_object_spec spec = {.namespace_name = pending->records->namespace_name,
		.key = change->key,
		.writer = pending->writer,
		.value = change->value,
		.expected = change->expected};
	return record_object_encode(&spec, &pending->body);
}

static void refuse(struct loop_task *task)
{
	struct pending *pending = container_of(task, struct pending, refuse);
	why_set(&pending->detail, ERR_IO, "a value of UTF-8 text", "report this as a defect",
		"the record of %.100s cannot be written as JSON", pending->change->key);
	finish(pending, ERR_IO, 0);
}

static void records_swap(struct store *store, struct store_change *change)
{
	struct records_store *records = records_of(store);
	struct pending *pending = mem_new(struct pending);
	uint8_t mark[(WRITER_LEN - 1) / 2];
	random_bytes(mark, sizeof mark);
	hex_format(span_of(mark, sizeof mark), pending->writer);
	pending->records = records;
	pending->change = change;
	buf_init(&pending->body, OBJECT_MAX);
	list_push_back(&records->pending, &pending->link);
	if (encode_change(pending) == ERR_NONE)
		send_change(pending);
	else
		loop_task_post(store->loop, &pending->refuse, refuse);
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
	LIST_EACH_REMOVABLE(&records->pending, struct pending, pending, link)
		pending_free(pending);
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
