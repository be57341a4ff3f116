/* Every connection of one worker: the limit, and looking at all of them again when what we know has changed. */
#pragma once

#include "sidecar/conn/conn.h"

struct conn_table *conn_table_new(size_t max); /* max: connections at once, derived from RLIMIT_NOFILE */
void conn_table_free(struct conn_table *table);
/* At the limit the owner stops accepting, so that callers wait in the backlog instead of being reset; `full` false:
 * there is room again. */
typedef void conn_table_full_fn(void *arg, bool full);
void conn_table_on_full(struct conn_table *table, conn_table_full_fn *on_full, void *arg);
size_t conn_table_num(const struct conn_table *table);
/* The view has new credentials, bundles, policy or networks: wakes what is parked, decides the live again, ends what is
 * now denied (policy_changed) or whose peer has been banned (withdrawn). */
void conn_table_view_changed(struct conn_table *table);
void conn_table_cut_all(struct conn_table *table, enum close_reason reason);
typedef void conn_each_fn(void *arg, const struct conn *conn);
void conn_table_each(const struct conn_table *table, conn_each_fn *each, void *arg);
