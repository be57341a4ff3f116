#include "control/attest/rate_limit.h"
#include "base/core/mem.h"

#define NUM_BUCKETS 16384

struct bucket {
	uint64_t filled_ms; /* when it was last looked at */
	uint32_t milli;     /* thousandths of a try that are left */
	bool is_used;
};

struct rate_limit {
	uint32_t per_second, burst;
	uint64_t seed;
	struct bucket buckets[NUM_BUCKETS];
};

struct rate_limit *rate_limit_new(uint32_t per_second, uint32_t burst, uint64_t seed)
{
	struct rate_limit *limit = mem_new(struct rate_limit);
	limit->per_second = per_second;
	limit->burst = burst;
	limit->seed = seed;
	return limit;
}

void rate_limit_free(struct rate_limit *limit)
{
	mem_free(limit);
}

static struct bucket *bucket_of(struct rate_limit *limit, const struct ip_addr *source, const struct spiffe_id *id)
{
	struct addr key = {.ip = *source};
	if (source->family == AF_INET6 && id == NULL)
		memset(key.ip.bytes + 8, 0, 8);
	uint64_t hash = addr_hash(&key, limit->seed);
	for (size_t i = 0; id != NULL && i < id->text_len; i++)
		hash = (hash ^ (uint8_t)id->text[i]) * 0x100000001b3u;
	return &limit->buckets[(hash ^ hash >> 32) % NUM_BUCKETS];
}

bool rate_limit_take(
	struct rate_limit *limit, const struct ip_addr *source, const struct spiffe_id *id, uint64_t now_ms)
{
	struct bucket *bucket = bucket_of(limit, source, id);
	uint64_t full = (uint64_t)limit->burst * 1000;
	uint64_t gained = bucket->is_used ? (now_ms - bucket->filled_ms) * limit->per_second : full;
	uint64_t milli = bucket->milli + (gained > full ? full : gained);
	*bucket = (struct bucket){now_ms, (uint32_t)(milli > full ? full : milli), true};
	if (bucket->milli < 1000)
		return false;
	bucket->milli -= 1000;
	return true;
}
