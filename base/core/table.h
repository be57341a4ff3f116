/* An intrusive hash table: the link is a member of the item, as in a list. Keys may come from outside: each table has a
 * secret seed, so that keys that share a bucket cannot be chosen. It doubles as it fills; what grows it needs a limit
 * of its own. */
#pragma once

#include "base/core/cleanup.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct table_link {
	struct table_link *next; /* in its bucket */
	uint64_t hash;
};

struct table {
	struct table_link **buckets;
	size_t num_buckets; /* a power of two; 0 before the first item when no number was expected */
	size_t num;
	uint64_t seed; /* for the hash of a key: addr_hash(), hash_bytes() */
};

/* Has the item of `link` this key? */
typedef bool table_match_fn(const struct table_link *link, const void *key);

void table_init(struct table *table, size_t expected); /* items that fit before it grows; 0: it grows from few */
void table_done(struct table *table);                  /* it is empty */
struct table_link *table_find(const struct table *table, uint64_t hash, table_match_fn *match, const void *key);
void table_add(struct table *table, struct table_link *link, uint64_t hash); /* of equal keys the newest is found */
void table_remove(struct table *table, struct table_link *link);
/* Calls `visit` for all; it may remove the item that it is called with, and no other, and adds none. */
void table_each(const struct table *table, void (*visit)(void *arg, struct table_link *link), void *arg);
