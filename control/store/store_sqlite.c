/* The store in a SQLite database of its own, with a thread that commits many changes together. */
#include "base/core/check.h"
#include "base/core/mem.h"
#include "control/store/database.h"
#include "control/store/store_private.h"
#include <pthread.h>
#include <sys/stat.h>

struct batch { /* changes of one commit, on their way back to the loop */
	struct loop_message message;
	struct sqlite_store *sqlite;
	struct store_change *first;
	struct why trouble; /* err ERR_NONE: they are durable, or conflicts */
};

struct sqlite_store {
	struct store store;
	struct database *database; /* the thread's, once it runs */
	pthread_t thread;
	pthread_mutex_t mutex;
	pthread_cond_t wake;
	struct store_change *first, **last; /* under the mutex: changes that wait for the next commit */
	bool stopping;                      /* under the mutex */
	unsigned num_batches;               /* under the mutex: on their way back */
	bool is_started;
};

static struct sqlite_store *sqlite_of(const struct store *store)
{
	return container_of((struct store *)(uintptr_t)store, struct sqlite_store, store);
}

static void sqlite_free(struct sqlite_store *sqlite)
{
	CHECK(sqlite->num_batches == 0);
	while (sqlite->first != NULL) { /* of a store that was never started */
		struct store_change *change = sqlite->first;
		sqlite->first = change->next;
		store_change_free(change);
	}
	store_done(&sqlite->store);
	if (sqlite->database != NULL)
		database_close(sqlite->database);
	CHECK(pthread_mutex_destroy(&sqlite->mutex) == 0);
	CHECK(pthread_cond_destroy(&sqlite->wake) == 0);
	mem_free(sqlite);
}
DEFINE_CLEANUP(struct sqlite_store *, sqlite_free)

/* A closed store is freed with its last batch. */
static void forget_batch(struct sqlite_store *sqlite)
{
	CHECK(pthread_mutex_lock(&sqlite->mutex) == 0);
	CHECK(sqlite->num_batches > 0);
	bool is_last = --sqlite->num_batches == 0 && sqlite->store.is_closed;
	CHECK(pthread_mutex_unlock(&sqlite->mutex) == 0);
	if (is_last)
		sqlite_free(sqlite);
}

static void batch_deliver(struct loop_message *message)
{
	struct batch *batch = container_of(message, struct batch, message);
	struct sqlite_store *sqlite = batch->sqlite;
	unsigned num = 0;
	for (const struct store_change *change = batch->first; change != NULL; change = change->next)
		num++;
	store_set_trouble(&sqlite->store, &batch->trouble, num);
	while (batch->first != NULL) {
		struct store_change *change = batch->first;
		batch->first = change->next;
		if (!sqlite->store.is_closed)
			store_settle(&sqlite->store, change);
		store_change_free(change);
	}
	mem_free(batch);
	forget_batch(sqlite);
}

#define BATCH_MAX 256 /* changes per commit: bounds how long the first of them waits */

/* Waits for changes; NULL when there are none and the store closes. */
static struct store_change *take_work(struct sqlite_store *sqlite)
{
	CHECK(pthread_mutex_lock(&sqlite->mutex) == 0);
	while (sqlite->first == NULL && !sqlite->stopping)
		CHECK(pthread_cond_wait(&sqlite->wake, &sqlite->mutex) == 0);
	struct store_change *first = sqlite->first, **cut = &first;
	for (size_t i = 0; i < BATCH_MAX && *cut != NULL; i++)
		cut = &(*cut)->next;
	sqlite->first = *cut;
	if (sqlite->first == NULL)
		sqlite->last = &sqlite->first;
	*cut = NULL;
	if (first != NULL)
		sqlite->num_batches++;
	CHECK(pthread_mutex_unlock(&sqlite->mutex) == 0);
	return first;
}

static void commit(struct sqlite_store *sqlite, struct batch *batch)
{
	struct database_change changes[BATCH_MAX] = {0}, *pointers[BATCH_MAX];
	size_t num = 0;
	for (const struct store_change *change = batch->first; change != NULL; change = change->next) {
		CHECK(num < BATCH_MAX);
		changes[num] = (struct database_change){
			.key = change->key, .expected = change->expected, .value = change->value};
		pointers[num] = &changes[num];
		num++;
	}
	if (database_commit(sqlite->database, pointers, num, &batch->trouble) == ERR_NONE)
		batch->trouble.err = ERR_NONE;
	num = 0;
	for (struct store_change *change = batch->first; change != NULL; change = change->next, num++) {
		change->err = changes[num].err;
		change->version = changes[num].version;
	}
}

static void *thread_main(void *arg)
{
	struct sqlite_store *sqlite = arg;
	for (struct store_change *first = take_work(sqlite); first != NULL; first = take_work(sqlite)) {
		struct batch *batch = mem_new(struct batch);
		batch->sqlite = sqlite;
		batch->first = first;
		commit(sqlite, batch);
		loop_post(sqlite->store.loop, &batch->message, batch_deliver);
	}
	return NULL;
}

static void sqlite_swap(struct store *store, struct store_change *change)
{
	struct sqlite_store *sqlite = sqlite_of(store);
	CHECK(pthread_mutex_lock(&sqlite->mutex) == 0);
	*sqlite->last = change;
	sqlite->last = &change->next;
	CHECK(pthread_cond_signal(&sqlite->wake) == 0);
	CHECK(pthread_mutex_unlock(&sqlite->mutex) == 0);
}

static uint64_t sqlite_incarnation(const struct store *store)
{
	return database_incarnation(sqlite_of(store)->database);
}

static void sqlite_close(struct store *store)
{
	struct sqlite_store *sqlite = sqlite_of(store);
	CHECK(pthread_mutex_lock(&sqlite->mutex) == 0);
	sqlite->stopping = true;
	CHECK(pthread_cond_signal(&sqlite->wake) == 0);
	CHECK(pthread_mutex_unlock(&sqlite->mutex) == 0);
	if (sqlite->is_started)
		CHECK(pthread_join(sqlite->thread, NULL) == 0);
	if (sqlite->num_batches == 0)
		sqlite_free(sqlite);
}

static const struct store_engine sqlite_engine;

static void mirror_row(void *arg, const char *key, struct span value, uint64_t version)
{
	struct store *store = arg;
	mirror_put(&store->mirror, key, value, version);
}

enum err store_start(struct store *store, struct why *why)
{
	struct sqlite_store *sqlite = sqlite_of(store);
	CHECK(!sqlite->is_started);
	if (pthread_create(&sqlite->thread, NULL, thread_main, sqlite) != 0)
		return why_set(why, ERR_SYSTEM, "a thread for the store", "raise the process limit",
			"the thread of the store cannot be started");
	sqlite->is_started = true;
	return ERR_NONE;
}

enum err store_load(struct loop *loop, const char *path, struct store **out, struct why *why)
{
	_cleanup_(sqlite_freep) struct sqlite_store *sqlite = mem_new(struct sqlite_store);
	store_init(&sqlite->store, &sqlite_engine, loop);
	sqlite->last = &sqlite->first;
	CHECK(pthread_mutex_init(&sqlite->mutex, NULL) == 0);
	CHECK(pthread_cond_init(&sqlite->wake, NULL) == 0);
	RETURN_IF_ERR(database_open(path, &sqlite->database, why));
	RETURN_IF_ERR(database_read_all(sqlite->database, mirror_row, &sqlite->store, why));
	sqlite->store.revision = database_revision(sqlite->database);
	*out = &TAKE_PTR(sqlite)->store;
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

static enum err sqlite_begin_incarnation(struct store *store, struct why *why)
{
	CHECK(!sqlite_of(store)->is_started);
	return database_begin_incarnation(sqlite_of(store)->database, why);
}

static enum err sqlite_commit(
	struct store *store, const char *key, uint64_t expected, struct span value, struct why *why)
{
	struct database_change change = {.key = key, .expected = expected, .value = value}, *changes[] = {&change};
	CHECK(!sqlite_of(store)->is_started);
	RETURN_IF_ERR(database_commit(sqlite_of(store)->database, changes, 1, why));
	if (change.err != ERR_NONE)
		return change.err;
	store_apply(store, key, value, change.version);
	return ERR_NONE;
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
	if (merging->err != ERR_NONE || strncmp(key, merging->prefix, strlen(merging->prefix)) != 0 ||
		mirror_find(&merging->store->mirror, key) != NULL)
		return;
	merging->err = merging->store->engine->commit(merging->store, key, 0, value, &merging->detail);
	if (merging->err == ERR_NONE)
		merging->num++;
}

enum err store_merge(struct store *store, const char *path, const char *prefix, size_t *out_num, struct why *why)
{
	_cleanup_(database_closep) struct database *other = NULL;
	struct merging merging = {.store = store, .prefix = prefix};
	struct stat found;
	CHECK(store->engine->commit != NULL);
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

static const struct store_engine sqlite_engine = {.swap = sqlite_swap,
	.incarnation = sqlite_incarnation,
	.begin_incarnation = sqlite_begin_incarnation,
	.commit = sqlite_commit,
	.close = sqlite_close};
