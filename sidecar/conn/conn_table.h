/* All connections of one worker: how many each kind, source and identity may hold (decision 034), and the recheck of
 * all of them when the worker snapshot changes. */
#pragma once

#include "sidecar/conn/conn.h"

struct conn_limits {
	size_t max; /* concurrent connections of all kinds; each kind has a reserve of it */
	/* For them all. One through a tunnel needs one, any other two. 0: enough for each to have two. */
	size_t descriptors;
	size_t per_source; /* inbound plaintext connections per address or /64; 0: a quarter of what there is room for
			    */
	/* Inbound streams per identity; 0: half of what there is room for. One without a tunnel counts as two streams
	 * where descriptors are what there is less of; one such is always allowed. */
	size_t per_identity;
};
struct conn_table *conn_table_new(const struct conn_limits *limits);
void conn_table_free(struct conn_table *table);
/* full: a kind has no room, and the owner stops accepting it, so that callers wait in the backlog instead of being
 * reset. Not full: there is room again. */
typedef void conn_table_full_fn(void *arg, enum conn_kind kind, bool full);
void conn_table_on_full(struct conn_table *table, conn_table_full_fn *on_full, void *arg);
bool conn_table_is_full(const struct conn_table *table, enum conn_kind kind);
size_t conn_table_num(const struct conn_table *table);
uint64_t conn_table_room(const struct conn_table *table, enum conn_kind kind); /* in connections through tunnels */
/* How many outbound tunnels there are: those above one per 64 connections take descriptors from these. */
void conn_table_note_tunnels(struct conn_table *table, uint64_t num);
/* After the snapshot got new credentials, bundles, policy or networks: wakes parked connections, rechecks open ones,
 * and ends those that are denied now (policy_changed) or whose peer is banned (withdrawn). */
void conn_table_snapshot_changed(struct conn_table *table);
void conn_table_cut_all(struct conn_table *table, enum close_reason reason);
typedef void conn_each_fn(void *arg, const struct conn *conn);
void conn_table_each(const struct conn_table *table, conn_each_fn *each, void *arg);
