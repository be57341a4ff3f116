/* How often something may happen: token buckets per key, in a table that never grows (a flood of keys shares buckets,
 * so it slows itself down, not the memory). Pure; the caller brings the time. */
#pragma once

#include "base/core/share_key.h"

struct rates;

struct rates_options {
	uint32_t per_minute, burst; /* per key */
	uint32_t num_buckets;       /* 0: 16,384, at 16 bytes */
	uint64_t seed;              /* random_u64(): keys are chosen by strangers */
};

struct rates *rates_new(const struct rates_options *options);
void rates_free(struct rates *rates);
DEFINE_CLEANUP(struct rates *, rates_free)
bool rates_take(struct rates *rates, const struct share_key *key, uint64_t now_ms); /* false: too often */
