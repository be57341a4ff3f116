#include "base/core/metrics.h"
#include "base/core/check.h"
#include "base/core/mem.h"
#include <inttypes.h>
#include <stdatomic.h>

enum { CACHE_LINE = 64 };

struct metric_shard {
	unsigned num_rows;
	char gap[CACHE_LINE - sizeof(unsigned)]; /* against false sharing between threads */
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
	/* One writer per cell: a load and a store suffice, no locked instruction. */
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

void metric_observe_ms(struct metric_shard *shard, unsigned first_row, uint64_t ms)
{
	static const uint64_t bounds_ms[] = {1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000};
	unsigned bucket = 0;
	_Static_assert(sizeof(bounds_ms) / sizeof(*bounds_ms) + 2 == METRIC_DURATION_NUM_ROWS,
		"one row per bound, one above all bounds, one for the sum");
	while (bucket < sizeof(bounds_ms) / sizeof(*bounds_ms) && ms > bounds_ms[bucket])
		bucket++;
	metric_add(shard, first_row + bucket, 1);
	metric_add(shard, first_row + METRIC_DURATION_NUM_ROWS - 1, ms > INT32_MAX ? INT32_MAX : (int64_t)ms);
}

static const char *type_of(enum metric_kind kind)
{
	switch (kind) {
	case METRIC_COUNTER:
	case METRIC_COUNTER_MS:
		return "counter";
	case METRIC_GAUGE:
	case METRIC_GAUGE_MS:
		return "gauge";
	case METRIC_BUCKET:
	case METRIC_BUCKET_SUM:
		return "histogram";
	}
	CHECK_UNREACHABLE();
}

static enum err encode_heading(const struct metric_row *row, struct buf *out)
{
	return buf_printf(out, "# HELP %s %s\n# TYPE %s %s\n", row->name, row->help, row->name, type_of(row->kind));
}

static enum err encode_name(const struct metric_row *row, const char *suffix, struct buf *out)
{
	bool has_labels = row->labels != NULL && row->labels[0] != '\0';
	return buf_printf(out, "%s%s%s%s%s ", row->name, suffix, has_labels ? "{" : "", has_labels ? row->labels : "",
		has_labels ? "}" : "");
}

static enum err encode_number(const struct metric_row *row, const char *suffix, int64_t value, struct buf *out)
{
	RETURN_IF_ERR(encode_name(row, suffix, out));
	return buf_printf(out, "%" PRId64 "\n", value);
}

static enum err encode_ms(const struct metric_row *row, const char *suffix, int64_t ms, struct buf *out)
{
	RETURN_IF_ERR(encode_name(row, suffix, out));
	return buf_printf(out, "%" PRId64 ".%03d\n", ms / 1000, (int)(ms % 1000));
}

/* `below`: the sum of the buckets before this one; the rows of a histogram are adjacent. */
static enum err encode_row(const struct metric_row *row, int64_t value, int64_t *below, struct buf *out)
{
	switch (row->kind) {
	case METRIC_COUNTER:
	case METRIC_GAUGE:
		return encode_number(row, "", value, out);
	case METRIC_COUNTER_MS:
	case METRIC_GAUGE_MS:
		return encode_ms(row, "", value, out);
	case METRIC_BUCKET:
		*below += value;
		return encode_number(row, "_bucket", *below, out);
	case METRIC_BUCKET_SUM:
		RETURN_IF_ERR(encode_ms(row, "_sum", value, out));
		RETURN_IF_ERR(encode_number(row, "_count", *below, out));
		*below = 0;
		return ERR_NONE;
	}
	CHECK_UNREACHABLE();
}

enum err metrics_encode(const struct metrics *metrics, struct buf *out)
{
	int64_t below = 0;
	for (unsigned i = 0; i < metrics->num_rows; i++) {
		const struct metric_row *row = &metrics->rows[i];
		if (i == 0 || strcmp(row->name, metrics->rows[i - 1].name) != 0)
			RETURN_IF_ERR(encode_heading(row, out));
		RETURN_IF_ERR(encode_row(row, metrics_read(metrics, i), &below, out));
	}
	return ERR_NONE;
}
