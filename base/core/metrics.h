/* Counters and gauges: rows of a program's metrics.def, one array of 64-bit cells per worker, summed when read.
 * One thread writes each cell, with relaxed atomics, so counting costs an add.
 *
 * A program declares its rows in a metrics.def of its own:
 *	METRIC(symbol, METRIC_COUNTER|..., "handfast_name_total", "label=\"value\" or empty", "Help sentence.")
 *	METRIC_DURATION(symbol, "handfast_name_seconds", "label=\"value\"", "Help sentence.")
 * and passes the table built from it to metrics_new(). Rows of one name are adjacent; the help text is the first row's.
 */
#pragma once

#include "base/core/buf.h"

enum metric_kind {
	METRIC_COUNTER,
	METRIC_GAUGE,
	METRIC_COUNTER_MS, /* milliseconds, shown as seconds */
	METRIC_GAUGE_MS,   /* the same */
	METRIC_BUCKET,     /* of a histogram: values up to its `le` and above that of the bucket before it */
	METRIC_BUCKET_SUM, /* a histogram's last row: the sum in milliseconds, shown as seconds, and the count */
};

/* The number of rows of a METRIC_DURATION, from `symbol` on. Its labels must not be empty. */
#define METRIC_DURATION_NUM_ROWS 14
#define METRIC_DURATION_SYMBOLS(symbol) symbol, symbol##_LAST = symbol + METRIC_DURATION_NUM_ROWS - 1,
#define METRIC_DURATION_BUCKET(symbol, at, name, labels, le, help)                                                     \
	[symbol + at] = {METRIC_BUCKET, name, labels ",le=\"" le "\"", help}
#define METRIC_DURATION_TABLE(symbol, name, labels, help)                                                              \
	METRIC_DURATION_BUCKET(symbol, 0, name, labels, "0.001", help),                                                \
		METRIC_DURATION_BUCKET(symbol, 1, name, labels, "0.002", help),                                        \
		METRIC_DURATION_BUCKET(symbol, 2, name, labels, "0.005", help),                                        \
		METRIC_DURATION_BUCKET(symbol, 3, name, labels, "0.01", help),                                         \
		METRIC_DURATION_BUCKET(symbol, 4, name, labels, "0.02", help),                                         \
		METRIC_DURATION_BUCKET(symbol, 5, name, labels, "0.05", help),                                         \
		METRIC_DURATION_BUCKET(symbol, 6, name, labels, "0.1", help),                                          \
		METRIC_DURATION_BUCKET(symbol, 7, name, labels, "0.2", help),                                          \
		METRIC_DURATION_BUCKET(symbol, 8, name, labels, "0.5", help),                                          \
		METRIC_DURATION_BUCKET(symbol, 9, name, labels, "1", help),                                            \
		METRIC_DURATION_BUCKET(symbol, 10, name, labels, "2", help),                                           \
		METRIC_DURATION_BUCKET(symbol, 11, name, labels, "5", help),                                           \
		METRIC_DURATION_BUCKET(symbol, 12, name, labels, "+Inf", help),                                        \
		[symbol + 13] = {METRIC_BUCKET_SUM, name, labels, help},

struct metric_row {
	enum metric_kind kind;
	const char *name, *labels, *help;
};

struct metrics;      /* the table and every shard */
struct metric_shard; /* one thread's cells */

struct metrics *metrics_new(
	const struct metric_row *rows, unsigned num_rows, unsigned num_shards); /* rows: borrowed, static */
void metrics_free(struct metrics *metrics);
struct metric_shard *metrics_shard(struct metrics *metrics, unsigned shard); /* borrowed */

void metric_add(struct metric_shard *shard, unsigned row, int64_t by); /* counters and gauges */
void metric_set(
	struct metric_shard *shard, unsigned row, int64_t value); /* gauges; a gauge reads as the sum over shards */
/* Adds a duration to a histogram; `first_row`: the symbol of a METRIC_DURATION. */
void metric_observe_ms(struct metric_shard *shard, unsigned first_row, uint64_t ms);
int64_t metrics_read(const struct metrics *metrics, unsigned row);
/* Prometheus text format 0.0.4. */
enum err metrics_encode(const struct metrics *metrics, struct buf *out) _must_use_;
