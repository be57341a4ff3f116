#include "base/core/rates.h"
#include "base/core/check.h"
#include "base/core/mem.h"

enum { NUM_BUCKETS = 16384, TOKEN = 60000 /* a bucket gains per_minute of these per millisecond */ };

struct bucket {
	uint64_t filled_ms; /* time of the last refill, plus 1; 0: never */
	uint64_t left;
};

struct rates {
	struct rates_options options;
	struct bucket buckets[];
};

struct rates *rates_new(const struct rates_options *options)
{
	uint32_t num = options->num_buckets == 0 ? NUM_BUCKETS : options->num_buckets;
	struct rates *rates = mem_zalloc(sizeof(*rates) + num * sizeof(*rates->buckets));
	rates->options = *options;
	rates->options.num_buckets = num;
	return rates;
}

void rates_free(struct rates *rates)
{
	mem_free(rates);
}

bool rates_take(struct rates *rates, const struct share_key *key, uint64_t now_ms)
{
	uint64_t hash = share_key_hash(key, rates->options.seed);
	struct bucket *bucket = &rates->buckets[(hash ^ hash >> 32) % rates->options.num_buckets];
	uint64_t full = (uint64_t)rates->options.burst * TOKEN;
	CHECK(bucket->left <= full);
	uint64_t elapsed_ms = now_ms + 1 - bucket->filled_ms;
	/* Divided, not multiplied: no overflow after years without a call. */
	bool is_full = bucket->filled_ms == 0 || rates->options.per_minute == 0
			       ? bucket->filled_ms == 0
			       : elapsed_ms > (full - bucket->left) / rates->options.per_minute;
	bucket->left = is_full ? full : bucket->left + elapsed_ms * rates->options.per_minute;
	bucket->filled_ms = now_ms + 1;
	if (bucket->left < TOKEN)
		return false;
	bucket->left -= TOKEN;
	return true;
}
