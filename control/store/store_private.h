/* What the engines of the store share: the content in memory, the watches, and one change on its way. An engine embeds
 * struct store; only its own files include this. */
#pragma once

#include "control/store/mirror.h"
#include "control/store/store.h"

#define STORE_INCARNATION_KEY "store/incarnation" /* of the engines that have several writers */

struct store_change { /* one compare-and-swap; owns key and value */
	struct store_change *next;
	struct list_link link; /* of an engine's list */
	char *key;
	uint64_t expected; /* version; 0: must not exist */
	struct span value; /* ptr NULL: remove */
	enum err err;      /* ERR_NONE, ERR_CONFLICT, ERR_IO */
	uint64_t version;  /* with ERR_NONE */
	store_done_fn *on_done;
	void *arg;
};
void store_change_free(struct store_change *change);

struct store_engine {
	void (*swap)(struct store *store, struct store_change *change); /* adopts it; store_settle() follows, later */
	uint64_t (*incarnation)(const struct store *store);
	/* For an operator's restore, and blocking: see store_begin_incarnation(); and one change that is visible when
	 * it returns. NULL: not there. */
	enum err (*begin_incarnation)(struct store *store, struct why *why);
	enum err (*commit)(struct store *store, const char *key, uint64_t expected, struct span value, struct why *why);
	uint64_t (*silent_ms)(const struct store *store, struct why *out_why); /* NULL: nothing is shared */
	/* Frees the store; changes under way end without their callback. */
	void (*close)(struct store *store);
};

struct store {
	const struct store_engine *engine;
	struct loop *loop;
	struct mirror mirror; /* the loop's */
	struct list watches;
	struct store_watch *next_watch; /* the next watch to call: a callback may stop its own watch or others */
	uint64_t revision;              /* of the mirror */
	struct why trouble;             /* of the last commit */
	unsigned num_refused;           /* changes, since the trouble began */
	bool is_closed;
};

void store_init(struct store *store, const struct store_engine *engine, struct loop *loop);
void store_done(struct store *store);
/* A durable change becomes visible and the watches are called. value.ptr NULL: removed. */
void store_apply(struct store *store, const char *key, struct span value, uint64_t version);
/* On the loop: a change that succeeded becomes visible, then its callback is called. The engine frees it. */
void store_settle(struct store *store, struct store_change *change);
/* At an engine's start: runs the loop until loop_stop(), 30 seconds at most. */
void store_run_first_sync(struct store *store);
/* At an engine's start, and for an operator's restore: runs the loop until the change is answered. ERR_CONFLICT; others
 * with their reason in *why. */
enum err store_swap_now(
	struct store *store, const char *key, uint64_t expected, struct span value, struct why *why) _must_use_;
/* What came of a commit of num_changes. Logged at the start and at the end: a full disk fails many commits. */
void store_set_trouble(struct store *store, const struct why *trouble, unsigned num_changes);
