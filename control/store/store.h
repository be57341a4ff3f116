/* The control plane's durable state: keys and values with versions. One small interface; three engines implement it:
 * SQLite (store_open(), below), custom resources (store_records.h), etcd (etcd/store_etcd.h). Only the first has a
 * thread, which commits many changes together, and only the first belongs to one process alone.
 *
 * Reads come from memory and show only what is durable; what other control planes have changed in a shared engine comes
 * a moment later. Each change is a compare-and-swap that is answered on the loop once it is durable in its engine. So
 * an answer that was given survives kill -9. */
#pragma once

#include "base/core/err.h"
#include "base/core/list.h"
#include "base/core/loop.h"
#include "base/core/span.h"

#define STORE_KEY_MAX   2304         /* bytes: room for a SPIFFE ID behind a prefix */
#define STORE_VALUE_MAX (64u * 1024) /* bytes */

struct store;

struct store_value { /* borrowed until the loop's next round */
	struct span bytes;
	uint64_t version; /* never 0, never used twice: one counter for all keys */
};

/* Opens or makes `path` (0600; its folder exists). ERR_STATE_DAMAGED: the file exists but is not a store, or is
 * damaged; nothing is overwritten. ERR_EXISTS: another process has it open. ERR_CONFIG: others may read it. */
enum err store_open(struct loop *loop, const char *path, struct store **out, struct why *why) _must_use_;
/* The same in two steps, for a process that must have one thread at first: load locks and reads the store, start makes
 * its thread. Before the start changes wait, and the three blocking calls below are allowed. Those are for an
 * operator's restore; of the other engines etcd alone has them, at any time. */
enum err store_load(struct loop *loop, const char *path, struct store **out, struct why *why) _must_use_;
enum err store_start(struct store *store, struct why *why) _must_use_;
/* From now on the store has another incarnation. */
enum err store_begin_incarnation(struct store *store, struct why *why) _must_use_;
/* Copies the records below `prefix` that the SQLite store at `path` has and this one lacks. ERR_EXISTS: a
 * process has that store open; ERR_NOT_FOUND: there is none; others as store_open(). */
enum err store_merge(
	struct store *store, const char *path, const char *prefix, size_t *out_num, struct why *why) _must_use_;
/* Removes the records below `prefix` for which is_over() is true. */
typedef bool store_is_over_fn(struct span bytes);
enum err store_drop(struct store *store, const char *prefix, store_is_over_fn *is_over, size_t *out_num,
	struct why *why) _must_use_;
/* The answers of changes under way are dropped. SQLite waits for their commits, and the loop runs another round if
 * there were any; in the other engines they may or may not happen. */
void store_close(struct store *store);
DEFINE_CLEANUP(struct store *, store_close)

uint64_t store_incarnation(const struct store *store); /* random, made with the store; never 0 */
uint64_t store_revision(const struct store *store);    /* version of the newest change that reads show */

bool store_get(const struct store *store, const char *key, struct store_value *out);
typedef void store_list_fn(void *arg, const char *key, const struct store_value *value);
/* In key order. on_entry may call store_swap(): what reads show changes later, on the loop. */
void store_list(const struct store *store, const char *prefix, store_list_fn *on_entry, void *arg);

/* ERR_NONE with the new version; ERR_CONFLICT: the version has changed; ERR_IO: with SQLite nothing changed, in a
 * shared engine the change may or may not have happened. Called once, from the loop, never from within store_swap(). */
typedef void store_done_fn(void *arg, enum err err, uint64_t version);
/* Why the last commit failed; err ERR_NONE: it did not. */
const struct why *store_trouble(const struct store *store);
/* Sets *why for a change that ended with `err`, as far as the reason is known. Returns err. */
enum err store_explain(const struct store *store, enum err err, struct why *why);
/* expected 0: the key must not exist. value.ptr NULL: remove. on_done may be NULL. */
void store_swap(
	struct store *store, const char *key, uint64_t expected, struct span value, store_done_fn *on_done, void *arg);

/* How long what the engine shares with other control planes has not answered, and why (may be NULL); 0: it shares
 * nothing. From STORE_CUT_OFF_MS on, what this process knows of the others' state is old (decision 080). */
#define STORE_CUT_OFF_MS 10000
uint64_t store_silent_ms(const struct store *store, struct why *out_why);

/* Begins to remove up to `max` records below `prefix` for which is_over() is true. Returns how many. */
typedef bool store_prune_fn(void *arg, const char *key, struct span bytes);
unsigned store_prune(struct store *store, const char *prefix, unsigned max, store_prune_fn *is_over, void *arg);

/* Called after each durable change of a key below `prefix`, before the answer to its caller. value NULL: removed. */
struct store_watch;
typedef void store_watch_fn(struct store_watch *watch, const char *key, const struct store_value *value);
struct store_watch { /* embedded; zeroed is stopped */
	struct list_link link;
	struct store *store;
	const char *prefix; /* borrowed */
	store_watch_fn *on_change;
};
void store_watch_start(struct store *store, struct store_watch *watch, const char *prefix, store_watch_fn *on_change);
void store_watch_stop(struct store_watch *watch); /* allowed when stopped */
