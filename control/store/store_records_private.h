/* What the two files of the engine for Kubernetes share. */
#pragma once

#include "base/kube/kube_watch.h"
#include "control/store/record_object.h"
#include "control/store/store_private.h"
#include "control/store/store_records.h"

struct records_store {
	struct store store;
	struct kube_client *client;
	const char *namespace_name;
	char *path; /* of the collection */
	struct kube_watch *watch;
	struct list pending;
	struct mirror removed; /* keys that are gone, with their last version: nothing older counts */
	struct mirror seen;    /* the state that is being read */
	struct mirror own;     /* keys that this process has changed since that state began to come */
	uint64_t watched;      /* the newest version that the watch has delivered */
	uint64_t incarnation;
	bool is_reading;            /* a state */
	bool is_restored;           /* it is of an older version than what was delivered before */
	bool is_synced, is_opening; /* opening: the loop runs until the first state is there */
	struct why detail;          /* of the watch's trouble */
};

static inline struct records_store *records_of(const struct store *store)
{
	return container_of((struct store *)(uintptr_t)store, struct records_store, store);
}

/* A version that is newer than what is known becomes visible. */
void records_take_put(struct records_store *records, const struct record_object *record);
/* Every version up to this one is gone. */
void records_take_removal(struct records_store *records, const char *key, uint64_t version);

/* store_records_change.c: whether this process is changing the key; the engine's swap; and the end of all that are
 * under way, without their callbacks. */
bool records_is_changing(const struct records_store *records, const char *key);
void records_swap(struct store *store, struct store_change *change);
void records_drop_changes(struct records_store *records);
