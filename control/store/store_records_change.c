/* One change on its way to the API server, until its answer is certain. */
#include "base/core/check.h"
#include "base/core/hex.h"
#include "base/core/mem.h"
#include "base/core/random.h"
#include "control/store/store_records_private.h"

#define REQUEST_MS 5000
#define TRIES_MAX  3
#define OBJECT_MAX (8u * STORE_VALUE_MAX) /* bytes of one object as JSON: escapes, managedFields */
#define WRITER_LEN 33

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

static char *object_path(const struct records_store *records, const char *key)
{
	char name[RECORD_NAME_LEN];
	record_object_name(key, name);
	return mem_printf("%s/%s", records->path, name);
}

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

static bool is_outdated(const struct records_store *records, const char *key, uint64_t version)
{
	const struct mirror_entry *known = mirror_find(&records->store.mirror, key);
	const struct mirror_entry *gone = mirror_find(&records->removed, key);
	return (known != NULL && known->version > version) || (gone != NULL && gone->version > version);
}

/* What this process did, for events and states that are older. */
static void note_own(struct records_store *records, const struct store_change *change)
{
	if (records->is_reading)
		mirror_put(&records->own, change->key, SPAN_LITERAL(""), change->version);
	if (change->value.ptr == NULL)
		mirror_put(&records->removed, change->key, SPAN_LITERAL(""), change->version);
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
	if (err == ERR_NONE && is_outdated(records, change->key, version)) {
		/* The watch was faster, with what came after this change: that counts. */
		if (change->on_done != NULL)
			change->on_done(change->arg, err, version);
	} else {
		if (err == ERR_NONE)
			note_own(records, change);
		store_settle(&records->store, change);
	}
	pending_free(pending);
}

bool records_is_changing(const struct records_store *records, const char *key)
{
	LIST_EACH(&records->pending, struct pending, pending, link)
		if (strcmp(pending->change->key, key) == 0)
			return true;
	return false;
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
			records_take_removal(pending->records, change->key, UINT64_MAX);
			finish(pending, ERR_CONFLICT, 0);
		}
		return;
	}
	if (!is_removal && strcmp(present->writer, pending->writer) == 0)
		finish(pending, ERR_NONE, present->version);
	else if (present->version == change->expected)
		send_change(pending);
	else {
		records_take_put(pending->records, present);
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

void records_swap(struct store *store, struct store_change *change)
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

void records_drop_changes(struct records_store *records)
{
	LIST_EACH_REMOVABLE(&records->pending, struct pending, pending, link)
		pending_free(pending);
}
