/* Counters and gauges: rows of a program's metrics.def, one array of 64-bit cells a worker, summed when read.
 * Cells are written by one thread each with relaxed atomics, so counting costs an add.
 *
 * A program declares its rows in a metrics.def of its own:
 *	METRIC(symbol, COUNTER|GAUGE, "handfast_name_total", "label=\"value\" or empty", "Help sentence.")
 * and hands the table built from it to metrics_new(). Rows of one name stand together; the help comes from the first.
 */
#pragma once

#include "base/core/buf.h"

enum metric_kind { METRIC_COUNTER, METRIC_GAUGE };

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
int64_t metrics_read(const struct metrics *metrics, unsigned row);
/* Prometheus text format 0.0.4. */
enum err metrics_encode(const struct metrics *metrics, struct buf *out) _must_use_;
