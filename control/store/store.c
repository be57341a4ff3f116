#include "control/store/store.h"
#include "base/core/check.h"
#include "base/core/log.h"
#include "base/core/mem.h"
#include "control/store/database.h"
#include "control/store/mirror.h"
#include <pthread.h>
#include <sys/stat.h>
#include <unistd.h>

struct swap {
	struct swap *next;
	struct database_change change; /* key and value point to memory of the swap */
	store_done_fn *on_done;
	void *arg;
};

struct batch { /* swaps of one commit, on their way back to the loop */
	struct loop_message message;
	struct store *store;
	struct swap *first;
	struct why trouble; /* err ERR_NONE: they are durable, or conflicts */
};

struct store {
	struct loop *loop;
	struct database *database; /* the thread's, once it runs */
	struct mirror mirror;      /* the loop's */
	struct list watches;
	struct store_watch *next_watch; /* the next watch to call: a callback may stop its own watch or others */
	pthread_t thread;
	pthread_mutex_t mutex;
	pthread_cond_t wake;
	struct swap *first, **last; /* under the mutex: swaps that wait for the next commit */
	bool stopping;              /* under the mutex */
	unsigned num_batches;       /* under the mutex: on their way back */
	uint64_t revision;          /* of the mirror */
	struct why trouble;         /* of the last commit */
	unsigned num_refused;       /* changes, since the trouble began */
	bool is_started, is_closed;
};

static void swap_free(struct swap *swap)
{
	mem_free((void *)(uintptr_t)swap->change.key);
	mem_free((void *)(uintptr_t)swap->change.value.ptr);
	mem_free(swap);
}

static void call_watches(struct store *store, const char *key)
{
	const struct mirror_entry *entry = mirror_find(&store->mirror, key);
	struct store_value value = {.bytes = entry == NULL ? span_of(NULL, 0) : span_of(entry->bytes, entry->len),
		.version = entry == NULL ? 0 : entry->version};
	for (struct store_watch *watch = LIST_FIRST(&store->watches, struct store_watch, link); watch != NULL;
		watch = store->next_watch) {
		store->next_watch = LIST_NEXT(&store->watches, watch, link);
		if (strncmp(key, watch->prefix, strlen(watch->prefix)) == 0)
			watch->on_change(watch, key, entry == NULL ? NULL : &value);
	}
}

/* On the loop: committed changes become visible, then the callbacks run. */
static void settle(struct store *store, struct swap *swap)
{
	const struct database_change *change = &swap->change;
	if (store->is_closed)
		return;
	if (change->err == ERR_NONE) {
		if (change->version > store->revision)
			store->revision = change->version;
		if (change->value.ptr == NULL)
			mirror_remove(&store->mirror, change->key);
		else
			mirror_put(&store->mirror, change->key, change->value, change->version);
		call_watches(store, change->key);
	}
	if (swap->on_done != NULL)
		swap->on_done(swap->arg, change->err, change->version);
}

static void store_free(struct store *store)
{
	CHECK(store->num_batches == 0);
	while (store->first != NULL) { /* of a store that was never started */
		struct swap *swap = store->first;
		store->first = swap->next;
		swap_free(swap);
	}
	mirror_done(&store->mirror);
	if (store->database != NULL)
		database_close(store->database);
	CHECK(pthread_mutex_destroy(&store->mutex) == 0);
	CHECK(pthread_cond_destroy(&store->wake) == 0);
	mem_free(store);
}
DEFINE_CLEANUP(struct store *, store_free)

/* A closed store is freed with its last batch. */
static void forget_batch(struct store *store)
{
	CHECK(pthread_mutex_lock(&store->mutex) == 0);
	CHECK(store->num_batches > 0);
	bool is_last = --store->num_batches == 0 && store->is_closed;
	CHECK(pthread_mutex_unlock(&store->mutex) == 0);
	if (is_last)
		store_free(store);
}

/* Logged at the start and the end: a full disk fails many commits. */
static void judge_disk(struct store *store, const struct batch *batch)
{
	bool was_well = store->trouble.err == ERR_NONE;
	store->trouble = batch->trouble;
	if (batch->trouble.err != ERR_NONE) {
		for (const struct swap *swap = batch->first; swap != NULL; swap = swap->next)
			store->num_refused++;
		if (was_well)
			log_why(LOG_LEVEL_ERROR, "store", "changes cannot be stored", &batch->trouble);
	} else if (!was_well) {
		log_notice("store", "changes are stored again; %u failed", store->num_refused);
		store->num_refused = 0;
	}
}

static void batch_deliver(struct loop_message *message)
{
	struct batch *batch = container_of(message, struct batch, message);
	struct store *store = batch->store;
	judge_disk(store, batch);
	while (batch->first != NULL) {
		struct swap *swap = batch->first;
		batch->first = swap->next;
		settle(store, swap);
		swap_free(swap);
	}
	mem_free(batch);
	forget_batch(store);
}

#define BATCH_MAX 256 /* swaps per commit: bounds how long the first of them waits */

/* Waits for swaps; NULL when there are none and the store closes. */
static struct swap *take_work(struct store *store)
{
	CHECK(pthread_mutex_lock(&store->mutex) == 0);
	while (store->first == NULL && !store->stopping)
		CHECK(pthread_cond_wait(&store->wake, &store->mutex) == 0);
	struct swap *first = store->first, **cut = &first;
	for (size_t i = 0; i < BATCH_MAX && *cut != NULL; i++)
		cut = &(*cut)->next;
	store->first = *cut;
	if (store->first == NULL)
		store->last = &store->first;
	*cut = NULL;
	if (first != NULL)
		store->num_batches++;
	CHECK(pthread_mutex_unlock(&store->mutex) == 0);
	return first;
}

static void commit(struct store *store, struct batch *batch)
{
	struct database_change *changes[BATCH_MAX];
	size_t num = 0;
	for (struct swap *swap = batch->first; swap != NULL; swap = swap->next) {
		CHECK(num < BATCH_MAX);
		changes[num++] = &swap->change;
	}
	if (database_commit(store->database, changes, num, &batch->trouble) == ERR_NONE)
		batch->trouble.err = ERR_NONE;
}

static void *thread_main(void *arg)
{
	struct store *store = arg;
	for (struct swap *first = take_work(store); first != NULL; first = take_work(store)) {
		struct batch *batch = mem_new(struct batch);
		batch->store = store;
		batch->first = first;
		commit(store, batch);
		loop_post(store->loop, &batch->message, batch_deliver);
	}
	return NULL;
}

static void mirror_row(void *arg, const char *key, struct span value, uint64_t version)
{
	struct store *store = arg;
	mirror_put(&store->mirror, key, value, version);
}

enum err store_start(struct store *store, struct why *why)
{
	CHECK(!store->is_started);
	if (pthread_create(&store->thread, NULL, thread_main, store) != 0)
		return why_set(why, ERR_SYSTEM, "a thread for the store", "raise the process limit",
			"the thread of the store cannot be started");
	store->is_started = true;
	return ERR_NONE;
}

enum err store_load(struct loop *loop, const char *path, struct store **out, struct why *why)
{
	_cleanup_(store_freep) struct store *store = mem_new(struct store);
	store->loop = loop;
	store->last = &store->first;
	CHECK(pthread_mutex_init(&store->mutex, NULL) == 0);
	CHECK(pthread_cond_init(&store->wake, NULL) == 0);
	RETURN_IF_ERR(database_open(path, &store->database, why));
	RETURN_IF_ERR(database_read_all(store->database, mirror_row, store, why));
	store->revision = database_revision(store->database);
	*out = TAKE_PTR(store);
	return ERR_NONE;
}

enum err store_open(struct loop *loop, const char *path, struct store **out, struct why *why)
{
	_cleanup_(store_closep) struct store *store = NULL;
	RETURN_IF_ERR(store_load(loop, path, &store, why));
	RETURN_IF_ERR(store_start(store, why));
	*out = TAKE_PTR(store);
	return ERR_NONE;
}

enum err store_begin_incarnation(struct store *store, struct why *why)
{
	CHECK(!store->is_started);
	return database_begin_incarnation(store->database, why);
}

struct merging {
	struct store *store;
	const char *prefix;
	size_t num;
	enum err err;
	struct why detail;
};

static void merge_row(void *arg, const char *key, struct span value, _unused_ uint64_t version)
{
	struct merging *merging = arg;
	struct database_change change = {.key = key, .value = value}, *changes[] = {&change};
	if (merging->err != ERR_NONE || strncmp(key, merging->prefix, strlen(merging->prefix)) != 0 ||
		mirror_find(&merging->store->mirror, key) != NULL)
		return;
	merging->err = database_commit(merging->store->database, changes, 1, &merging->detail);
	if (merging->err != ERR_NONE)
		return;
	mirror_put(&merging->store->mirror, key, value, change.version);
	merging->store->revision = change.version;
	merging->num++;
}

enum err store_merge(struct store *store, const char *path, const char *prefix, size_t *out_num, struct why *why)
{
	_cleanup_(database_closep) struct database *other = NULL;
	struct merging merging = {.store = store, .prefix = prefix};
	struct stat found;
	CHECK(!store->is_started);
	if (stat(path, &found) != 0)
		return why_set(why, ERR_NOT_FOUND, "a store to read from", "name the newer state folder",
			"cannot open %s: %m", path);
	if (S_ISREG(found.st_mode) && found.st_size == 0) /* a failed copy, which would look like a new store */
		return why_set(why, ERR_STATE_DAMAGED, "a store to read from", "name another copy",
			"%s is empty; nothing was read or overwritten", path);
	RETURN_IF_ERR(database_open(path, &other, why));
	RETURN_IF_ERR(database_read_all(other, merge_row, &merging, why));
	if (merging.err != ERR_NONE)
		return why_set(why, merging.err, "room for the records that are taken over", "check the disk",
			"cannot store them: %s", err_text(merging.err));
	*out_num = merging.num;
	return ERR_NONE;
}

enum err store_drop(
	struct store *store, const char *prefix, store_is_over_fn *is_over, size_t *out_num, struct why *why)
{
	struct mirror *mirror = &store->mirror;
	size_t at = mirror_lower_bound(mirror, prefix), num = 0;
	CHECK(!store->is_started);
	while (at < mirror->num_entries && strncmp(mirror->entries[at].key, prefix, strlen(prefix)) == 0) {
		const struct mirror_entry *entry = &mirror->entries[at];
		struct database_change change = {.key = entry->key, .expected = entry->version}, *changes[] = {&change};
		if (!is_over(span_of(entry->bytes, entry->len))) {
			at++;
			continue;
		}
		RETURN_IF_ERR(database_commit(store->database, changes, 1, why));
		store->revision = change.version;
		mirror_remove(mirror, entry->key);
		num++;
	}
	*out_num = num;
	return ERR_NONE;
}

void store_close(struct store *store)
{
	CHECK(!store->is_closed);
	CHECK(pthread_mutex_lock(&store->mutex) == 0);
	store->stopping = true;
	CHECK(pthread_cond_signal(&store->wake) == 0);
	CHECK(pthread_mutex_unlock(&store->mutex) == 0);
	if (store->is_started)
		CHECK(pthread_join(store->thread, NULL) == 0);
	store->is_closed = true;
	if (store->num_batches == 0)
		store_free(store);
}

const struct why *store_trouble(const struct store *store)
{
	return &store->trouble;
}

enum err store_explain(const struct store *store, enum err err, struct why *why)
{
	if (err == ERR_NONE)
		return err;
	if (err == ERR_IO && store->trouble.err != ERR_NONE) {
		*why = store->trouble;
		return err;
	}
	return why_set(why, err, "a store that takes the change", "try again; see the control plane's log",
		"the store refused the change: %s", err_text(err));
}

uint64_t store_revision(const struct store *store)
{
	return store->revision;
}

uint64_t store_incarnation(const struct store *store)
{
	return database_incarnation(store->database);
}

bool store_get(const struct store *store, const char *key, struct store_value *out)
{
	const struct mirror_entry *entry = mirror_find(&store->mirror, key);
	if (entry == NULL)
		return false;
	*out = (struct store_value){span_of(entry->bytes, entry->len), entry->version};
	return true;
}

void store_list(const struct store *store, const char *prefix, store_list_fn *on_entry, void *arg)
{
	const struct mirror *mirror = &store->mirror;
	for (size_t i = mirror_lower_bound(mirror, prefix); i < mirror->num_entries; i++) {
		const struct mirror_entry *entry = &mirror->entries[i];
		if (strncmp(entry->key, prefix, strlen(prefix)) != 0)
			return;
		struct store_value value = {span_of(entry->bytes, entry->len), entry->version};
		on_entry(arg, entry->key, &value);
	}
}

void store_swap(
	struct store *store, const char *key, uint64_t expected, struct span value, store_done_fn *on_done, void *arg)
{
	CHECK(!store->is_closed && (expected != 0 || value.ptr != NULL)); /* what is not there cannot be removed */
	CHECK(strlen(key) <= STORE_KEY_MAX && value.len <= STORE_VALUE_MAX);
	struct swap *swap = mem_new(struct swap);
	swap->change = (struct database_change){.key = mem_strdup(key), .expected = expected};
	if (value.ptr != NULL)
		swap->change.value = span_of(mem_dup(value.ptr, value.len), value.len);
	swap->on_done = on_done;
	swap->arg = arg;
	CHECK(pthread_mutex_lock(&store->mutex) == 0);
	*store->last = swap;
	store->last = &swap->next;
	CHECK(pthread_cond_signal(&store->wake) == 0);
	CHECK(pthread_mutex_unlock(&store->mutex) == 0);
}

void store_watch_start(struct store *store, struct store_watch *watch, const char *prefix, store_watch_fn *on_change)
{
	CHECK(!list_is_linked(&watch->link) && on_change != NULL);
	*watch = (struct store_watch){.store = store, .prefix = prefix, .on_change = on_change};
	list_push_front(&store->watches, &watch->link);
}

void store_watch_stop(struct store_watch *watch)
{
	struct store *store = watch->store;
	if (!list_is_linked(&watch->link))
		return;
	if (store->next_watch == watch)
		store->next_watch = LIST_NEXT(&store->watches, watch, link);
	list_remove(&watch->link);
}
