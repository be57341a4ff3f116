/* The store's content in memory, sorted by key. Pure. */
#pragma once

#include "base/core/err.h"
#include "base/core/span.h"

struct mirror_entry {
	char *key;
	uint8_t *bytes;
	size_t len;
	uint64_t version;
};

struct mirror { /* zeroed is empty */
	struct mirror_entry *entries;
	size_t num_entries, cap;
};

void mirror_done(struct mirror *mirror);
const struct mirror_entry *mirror_find(const struct mirror *mirror, const char *key);
/* Index of the first entry whose key is not below `key`. */
size_t mirror_lower_bound(const struct mirror *mirror, const char *key);
void mirror_put(struct mirror *mirror, const char *key, struct span value, uint64_t version); /* copies */
void mirror_remove(struct mirror *mirror, const char *key);                                   /* absent: nothing */
