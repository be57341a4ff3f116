/* Token buckets per key in a table of fixed size: keys share buckets, so a flood of keys is limited by itself and costs
 * no memory. Pure: time is an argument. */
#pragma once

#include "base/core/share_key.h"

struct rates;

struct rates_options {
	uint32_t per_minute, burst; /* per key */
	uint32_t num_buckets;       /* 0: 16,384, at 16 bytes */
	uint64_t seed;              /* random_u64(): peers choose keys */
};

struct rates *rates_new(const struct rates_options *options);
void rates_free(struct rates *rates);
DEFINE_CLEANUP(struct rates *, rates_free)
bool rates_take(struct rates *rates, const struct share_key *key, uint64_t now_ms); /* false: the bucket is empty */
