/* Latencies in microseconds, counted in buckets whose width is at most 1/64 of their value: exact below 64 us, within
 * 1.6 % above. Recording allocates nothing. */
#pragma once

#include <stdint.h>

enum { HISTOGRAM_SUB_BITS = 6, HISTOGRAM_NUM_BUCKETS = (64 - HISTOGRAM_SUB_BITS + 1) << HISTOGRAM_SUB_BITS };

struct histogram {
	uint64_t total, max;
	uint64_t counts[HISTOGRAM_NUM_BUCKETS];
};

void histogram_record(struct histogram *histogram, uint64_t value);
/* The value that `permille` of the recorded ones do not exceed, rounded up to the end of its bucket; 0 when empty. */
uint64_t histogram_permille(const struct histogram *histogram, unsigned permille);
