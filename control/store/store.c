#include "control/store/store.h"
#include "base/core/check.h"
#include "base/core/log.h"
#include "base/core/mem.h"
#include "control/store/store_private.h"

#define FIRST_SYNC_MS 30000

void store_init(struct store *store, const struct store_engine *engine, struct loop *loop)
{
	*store = (struct store){.engine = engine, .loop = loop};
}

void store_done(struct store *store)
{
	mirror_done(&store->mirror);
}

static struct store_change *change_new(const char *key, uint64_t expected, struct span value)
{
	struct store_change *change = mem_new(struct store_change);
	*change = (struct store_change){.key = mem_strdup(key), .expected = expected};
	if (value.ptr != NULL)
		change->value = span_of(mem_dup(value.ptr, value.len), value.len);
	return change;
}

void store_change_free(struct store_change *change)
{
	mem_free(change->key);
	mem_free((void *)(uintptr_t)change->value.ptr);
	mem_free(change);
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

void store_apply(struct store *store, const char *key, struct span value, uint64_t version)
{
	if (version > store->revision)
		store->revision = version;
	if (value.ptr == NULL)
		mirror_remove(&store->mirror, key);
	else
		mirror_put(&store->mirror, key, value, version);
	call_watches(store, key);
}

void store_settle(struct store *store, struct store_change *change)
{
	CHECK(!store->is_closed);
	if (change->err == ERR_NONE)
		store_apply(store, change->key, change->value, change->version);
	if (change->on_done != NULL)
		change->on_done(change->arg, change->err, change->version);
}

void store_set_trouble(struct store *store, const struct why *trouble, unsigned num_changes)
{
	bool was_well = store->trouble.err == ERR_NONE;
	store->trouble = *trouble;
	if (trouble->err != ERR_NONE) {
		store->num_refused += num_changes;
		if (was_well)
			log_why(LOG_LEVEL_ERROR, "store", "changes cannot be stored", trouble);
	} else if (!was_well) {
		log_notice("store", "changes are stored again; %u failed", store->num_refused);
		store->num_refused = 0;
	}
}

void store_close(struct store *store)
{
	CHECK(!store->is_closed);
	store->is_closed = true;
	store->engine->close(store);
}

uint64_t store_incarnation(const struct store *store)
{
	return store->engine->incarnation(store);
}

void store_swap(
	struct store *store, const char *key, uint64_t expected, struct span value, store_done_fn *on_done, void *arg)
{
	CHECK(!store->is_closed && (expected != 0 || value.ptr != NULL)); /* what is not there cannot be removed */
	CHECK(strlen(key) <= STORE_KEY_MAX && value.len <= STORE_VALUE_MAX);
	struct store_change *change = change_new(key, expected, value);
	change->on_done = on_done;
	change->arg = arg;
	store->engine->swap(store, change);
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

/* --- running the loop --- */

struct run {
	struct loop *loop;
	struct loop_timer deadline;
	enum err err;
};

static void on_deadline(struct loop_timer *timer)
{
	loop_stop(container_of(timer, struct run, deadline)->loop);
}

void store_run_first_sync(struct store *store)
{
	struct run run = {.loop = store->loop};
	loop_timer_start(store->loop, &run.deadline, FIRST_SYNC_MS, on_deadline);
	loop_run(store->loop);
	loop_timer_stop(&run.deadline);
}

static void on_answered(void *arg, enum err err, _unused_ uint64_t version)
{
	struct run *run = arg;
	run->err = err;
	loop_stop(run->loop);
}

enum err store_swap_now(struct store *store, const char *key, uint64_t expected, struct span value, struct why *why)
{
	struct run run = {.loop = store->loop};
	store_swap(store, key, expected, value, on_answered, &run);
	loop_run(store->loop);
	return run.err == ERR_CONFLICT ? ERR_CONFLICT : store_explain(store, run.err, why);
}

uint64_t store_silent_ms(const struct store *store, struct why *out_why)
{
	struct why ignored;
	if (store->engine->silent_ms == NULL)
		return 0;
	return store->engine->silent_ms(store, out_why == NULL ? &ignored : out_why);
}

uint64_t store_revision(const struct store *store)
{
	return store->revision;
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

/* --- an operator's restore --- */

enum err store_begin_incarnation(struct store *store, struct why *why)
{
	CHECK(store->engine->begin_incarnation != NULL);
	return store->engine->begin_incarnation(store, why);
}

enum err store_drop(
	struct store *store, const char *prefix, store_is_over_fn *is_over, size_t *out_num, struct why *why)
{
	const struct mirror *mirror = &store->mirror;
	size_t at = mirror_lower_bound(mirror, prefix), num = 0;
	while (at < mirror->num_entries && strncmp(mirror->entries[at].key, prefix, strlen(prefix)) == 0) {
		const struct mirror_entry *entry = &mirror->entries[at];
		_cleanup_(mem_freep) char *key = mem_strdup(entry->key);
		if (!is_over(span_of(entry->bytes, entry->len))) {
			at++;
			continue;
		}
		RETURN_IF_ERR(store->engine->commit(store, key, entry->version, span_of(NULL, 0), why));
		num++;
	}
	*out_num = num;
	return ERR_NONE;
}

struct pruning {
	struct store *store;
	unsigned max, num;
	store_prune_fn *is_over;
	void *arg;
};

static void prune_one(void *arg, const char *key, const struct store_value *value)
{
	struct pruning *pruning = arg;
	if (pruning->num == pruning->max || !pruning->is_over(pruning->arg, key, value->bytes))
		return;
	store_swap(pruning->store, key, value->version, span_of(NULL, 0), NULL, NULL);
	pruning->num++;
}

unsigned store_prune(struct store *store, const char *prefix, unsigned max, store_prune_fn *is_over, void *arg)
{
	struct pruning pruning = {store, max, 0, is_over, arg};
	store_list(store, prefix, prune_one, &pruning);
	return pruning.num;
}
