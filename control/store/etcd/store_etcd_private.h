/* What the files of the engine for etcd share. */
#pragma once

#include "control/store/etcd/etcd_refusal.h"
#include "control/store/etcd/etcd_wire.h"
#include "control/store/etcd/store_etcd.h"
#include "control/store/store_private.h"

struct etcd_store {
	struct store store;
	struct store_etcd_options options; /* prefix: owned, the bytes of `prefix` below */
	struct etcd_link *link;
	struct span prefix, end; /* end: one above all keys with the prefix; owned */
	struct list pending;
	struct mirror removed; /* keys that this process removed after `watched`: nothing older counts */
	struct mirror seen;    /* the state that is being read */
	struct buf next_key;   /* of its next page */
	uint64_t listed;       /* its revision; 0: not known yet */
	uint64_t watched;      /* every change up to this revision is in the mirror */
	uint64_t newest_event; /* of a watch's message in several parts */
	uint64_t cluster;      /* its id; 0: not known yet */
	uint64_t newest;       /* the newest revision that a majority has answered with */
	uint64_t incarnation;
	uint64_t incarnation_version;          /* of its record, which each change compares; 0: not yet */
	struct rpc_call *list, *watch, *probe; /* NULL: not under way */
	uint64_t answered_ms;                  /* when a majority has answered last */
	uint64_t probe_least, list_least;      /* `newest` when these were sent */
	struct loop_timer next_probe, stall;
	bool is_synced;
	bool must_list;       /* what the watch needs is compacted */
	bool is_opening;      /* the loop runs until the first state is there */
	bool is_down;         /* no member has answered since one was left */
	bool is_denied;       /* the same, and it is logged that etcd has refused the user */
	bool has_no_majority; /* a change has waited in vain, and no member has answered since */
	bool is_refused;      /* the last answer was another etcd's, or a restored one's */
	bool has_answer;      /* of the call whose on_done comes next */
	struct etcd_answer answer;
	struct store_watch watch_of_incarnation;
	struct why replaced; /* err ERR_NONE: it was not; else no change is sent any more */
	struct why detail;   /* of the last failure */
};

static inline struct etcd_store *etcd_of(const struct store *store)
{
	return container_of((struct store *)(uintptr_t)store, struct etcd_store, store);
}

/* etcd_mirror.c: a record as it came; removed: value.ptr NULL. */
void etcd_take_record(struct etcd_store *etcd, const struct etcd_record *record);
void etcd_note_seen(struct etcd_store *etcd, const struct etcd_record *record);
/* The state of revision `listed` is whole in `seen`. */
void etcd_take_state(struct etcd_store *etcd);
void etcd_note_watched(struct etcd_store *etcd, uint64_t revision);

/* etcd_follow.c: the list, the watch, and the question whether the member still has a majority. */
void etcd_follow_start(struct etcd_store *etcd); /* the link is up */
void etcd_follow_stop(struct etcd_store *etcd);  /* calls are gone, or go with the link */
/* An answer of a majority; false: it is another etcd, or a restored one, and the member is left. `least`: `newest` when
 * the question was sent. */
bool etcd_accepts(struct etcd_store *etcd, const struct etcd_head *head, uint64_t least);
/* What etcd's refusal means; also whether another connection, with another token, may help. */
enum etcd_refusal etcd_refused(
	const struct etcd_store *etcd, enum rpc_status status, const char *message, struct why *out);
void etcd_leave(struct etcd_store *etcd, const struct why *why); /* this member is of no use */

/* store_etcd.c: the store has another incarnation than at the start. */
void etcd_note_replaced(struct etcd_store *etcd);

/* etcd_change.c */
void etcd_swap(struct store *store, struct store_change *change);
void etcd_send_changes(struct etcd_store *etcd); /* those that wait; the link is up */
void etcd_changes_lost(struct etcd_store *etcd); /* calls ended without on_done */
void etcd_drop_changes(struct etcd_store *etcd); /* at the end, without their callbacks */
