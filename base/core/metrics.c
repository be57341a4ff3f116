#include "base/core/metrics.h"
#include "base/core/check.h"
#include "base/core/mem.h"
#include <inttypes.h>
#include <stdatomic.h>

enum { CACHE_LINE = 64 };

struct metric_shard {
	unsigned num_rows;
	char gap[CACHE_LINE - sizeof(unsigned)]; /* threads that count must not share a line of the cache */
	_Atomic int64_t cells[];
};

struct metrics {
	const struct metric_row *rows;
	unsigned num_rows, num_shards;
	struct metric_shard **shards;
};

struct metrics *metrics_new(const struct metric_row *rows, unsigned num_rows, unsigned num_shards)
{
	struct metrics *metrics = mem_new(struct metrics);
	*metrics = (struct metrics){.rows = rows, .num_rows = num_rows, .num_shards = num_shards};
	metrics->shards = mem_calloc(num_shards, sizeof(struct metric_shard *));
	for (unsigned i = 0; i < num_shards; i++) {
		metrics->shards[i] = mem_zalloc(sizeof(struct metric_shard) + num_rows * sizeof(int64_t) + CACHE_LINE);
		metrics->shards[i]->num_rows = num_rows;
	}
	return metrics;
}

void metrics_free(struct metrics *metrics)
{
	if (metrics == NULL)
		return;
	for (unsigned i = 0; i < metrics->num_shards; i++)
		mem_free(metrics->shards[i]);
	mem_free(metrics->shards);
	mem_free(metrics);
}

struct metric_shard *metrics_shard(struct metrics *metrics, unsigned shard)
{
	CHECK(shard < metrics->num_shards);
	return metrics->shards[shard];
}

void metric_add(struct metric_shard *shard, unsigned row, int64_t by)
{
	CHECK(row < shard->num_rows);
	/* One writer a cell: a load and a store are enough, no locked instruction. */
	int64_t value = atomic_load_explicit(&shard->cells[row], memory_order_relaxed);
	atomic_store_explicit(&shard->cells[row], value + by, memory_order_relaxed);
}

void metric_set(struct metric_shard *shard, unsigned row, int64_t value)
{
	CHECK(row < shard->num_rows);
	atomic_store_explicit(&shard->cells[row], value, memory_order_relaxed);
}

int64_t metrics_read(const struct metrics *metrics, unsigned row)
{
	CHECK(row < metrics->num_rows);
	int64_t sum = 0;
	for (unsigned i = 0; i < metrics->num_shards; i++)
		sum += atomic_load_explicit(&metrics->shards[i]->cells[row], memory_order_relaxed);
	return sum;
}

static enum err encode_heading(const struct metric_row *row, struct buf *out)
{
	const char *kind = row->kind == METRIC_COUNTER ? "counter" : "gauge";
	return buf_printf(out, "# HELP %s %s\n# TYPE %s %s\n", row->name, row->help, row->name, kind);
}

enum err metrics_encode(const struct metrics *metrics, struct buf *out)
{
	for (unsigned i = 0; i < metrics->num_rows; i++) {
		const struct metric_row *row = &metrics->rows[i];
		if (i == 0 || strcmp(row->name, metrics->rows[i - 1].name) != 0)
			RETURN_IF_ERR(encode_heading(row, out));
		bool has_labels = row->labels != NULL && row->labels[0] != '\0';
		RETURN_IF_ERR(buf_printf(out, "%s%s%s%s %" PRId64 "\n", row->name, has_labels ? "{" : "",
			has_labels ? row->labels : "", has_labels ? "}" : "", metrics_read(metrics, i)));
	}
	return ERR_NONE;
}
