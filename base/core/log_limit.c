#include "base/core/log_limit.h"
#include "base/core/check.h"
#include "base/core/hash.h"
#include "base/core/mem.h"
#include "base/core/rates.h"
#include <stdio.h>

enum { SETS = 64, WAYS = 8, OTHERS = SETS * WAYS, NUM_KINDS = 2, NUM_ENTRIES = OTHERS + NUM_KINDS };

struct entry {
	bool is_used;
	struct share_key key;
	uint32_t num_written;
	uint64_t num_suppressed, began_ms;
	char reason[LOG_LIMIT_REASON_MAX], who[LOG_LIMIT_WHO_MAX];
};

struct log_limit {
	uint64_t seed, num_suppressed;
	struct rates *all; /* two keys: without identity, with one */
	struct entry entries[NUM_ENTRIES];
};

struct log_limit *log_limit_new(uint64_t seed)
{
	struct log_limit *limit = mem_new(struct log_limit);
	limit->seed = seed;
	limit->all = rates_new(&(struct rates_options){.per_minute = LOG_LIMIT_ALL_PER_SECOND * 60,
		.burst = LOG_LIMIT_ALL_PER_SECOND,
		.num_buckets = 256,
		.seed = 0}); /* only two fixed keys */
	return limit;
}

void log_limit_free(struct log_limit *limit)
{
	if (limit == NULL)
		return;
	rates_free(limit->all);
	mem_free(limit);
}

static bool is_of(const struct entry *entry, const struct share_key *key, const char *reason)
{
	return entry->is_used && share_key_eq(&entry->key, key) &&
	       strncmp(entry->reason, reason, sizeof entry->reason - 1) == 0;
}

static bool has_identity(const struct share_key *key)
{
	return key->kind == SHARE_KEY_IDENTITY;
}

static void begin(
	struct entry *entry, const struct share_key *key, const char *reason, const char *who, uint64_t now_ms)
{
	*entry = (struct entry){.is_used = true, .key = *key, .began_ms = now_ms};
	snprintf(entry->reason, sizeof entry->reason, "%s", reason);
	snprintf(entry->who, sizeof entry->who, "%s", who);
}

/* The entry of this key and reason, a new one in a free slot, or the shared entry when the set is full. */
static struct entry *entry_for(
	struct log_limit *limit, const struct share_key *key, const char *reason, const char *who, uint64_t now_ms)
{
	size_t len = strnlen(reason, LOG_LIMIT_REASON_MAX - 1);
	uint64_t hash = hash_bytes(span_of(reason, len), share_key_hash(key, limit->seed));
	struct entry *set = &limit->entries[(hash ^ hash >> 32) % SETS * WAYS], *place = NULL;
	for (unsigned i = 0; i < WAYS; i++) {
		if (is_of(&set[i], key, reason))
			return &set[i];
		if (!set[i].is_used && place == NULL)
			place = &set[i];
	}
	if (place != NULL) {
		begin(place, key, reason, who, now_ms);
		return place;
	}
	place = &limit->entries[OTHERS + has_identity(key)];
	if (!place->is_used)
		begin(place, key, "many", "others", now_ms);
	return place;
}

bool log_limit_take(
	struct log_limit *limit, const struct share_key *key, const char *reason, const char *who, uint64_t now_ms)
{
	CHECK(reason != NULL && who != NULL && key->kind < NUM_SHARE_KEY_KINDS);
	static const struct share_key kinds[NUM_KINDS] = {{.bytes = {0}}, {.bytes = {1}}};
	struct entry *entry = entry_for(limit, key, reason, who, now_ms);
	if (entry->num_written < LOG_LIMIT_LINES && rates_take(limit->all, &kinds[has_identity(key)], now_ms)) {
		entry->num_written++;
		return true;
	}
	entry->num_suppressed++;
	limit->num_suppressed++;
	return false;
}

void log_limit_sweep(struct log_limit *limit, uint64_t now_ms, log_suppressed_fn *on_suppressed, void *arg)
{
	for (unsigned i = 0; i < NUM_ENTRIES; i++) {
		struct entry *entry = &limit->entries[i];
		if (!entry->is_used || now_ms - entry->began_ms < LOG_LIMIT_WINDOW_MS)
			continue;
		entry->is_used = false;
		if (entry->num_suppressed > 0)
			on_suppressed(arg, &(struct log_suppressed){.reason = entry->reason,
						   .who = entry->who,
						   .has_identity = has_identity(&entry->key),
						   .num = entry->num_suppressed,
						   .during_ms = now_ms - entry->began_ms});
	}
}

uint64_t log_limit_num_suppressed(const struct log_limit *limit)
{
	return limit->num_suppressed;
}
