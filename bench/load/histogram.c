#include "bench/load/histogram.h"

enum { SUB_COUNT = 1 << HISTOGRAM_SUB_BITS };

static unsigned shift_of(uint64_t value)
{
	if (value < 2 * SUB_COUNT)
		return 0;
	return 63 - (unsigned)__builtin_clzll(value) - HISTOGRAM_SUB_BITS;
}

/* Values below 2 * SUB_COUNT are their own bucket; above, each power of two has SUB_COUNT of them. */
static uint64_t bucket_of(uint64_t value)
{
	unsigned shift = shift_of(value);
	return ((uint64_t)shift << HISTOGRAM_SUB_BITS) + (value >> shift);
}

static uint64_t last_value_of(uint64_t bucket)
{
	if (bucket < 2 * SUB_COUNT)
		return bucket;
	uint64_t shift = (bucket >> HISTOGRAM_SUB_BITS) - 1;
	uint64_t first = (bucket - (shift << HISTOGRAM_SUB_BITS)) << shift;
	return first + ((uint64_t)1 << shift) - 1;
}

void histogram_record(struct histogram *histogram, uint64_t value)
{
	histogram->counts[bucket_of(value)]++;
	histogram->total++;
	if (value > histogram->max)
		histogram->max = value;
}

uint64_t histogram_permille(const struct histogram *histogram, unsigned permille)
{
	uint64_t wanted = (histogram->total * permille + 999) / 1000, seen = 0;
	if (wanted == 0)
		return 0;
	for (uint64_t bucket = 0; bucket < HISTOGRAM_NUM_BUCKETS; bucket++) {
		seen += histogram->counts[bucket];
		if (seen >= wanted) {
			uint64_t last = last_value_of(bucket);
			return last < histogram->max ? last : histogram->max;
		}
	}
	return histogram->max;
}
