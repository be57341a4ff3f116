/* /metrics, /healthz/ready, /healthz/live on the metrics port. GET and HEAD only; nothing here changes anything. */
#pragma once

#include "base/core/buf.h"
#include "base/core/loop.h"
#include "base/core/metrics.h"

struct pages;

struct pages_options {
	struct loop *loop;
	int listening_fd; /* adopted */
	const struct metrics *metrics;
	/* Appends a line ("name: detail") per obstacle to readiness; none: ready. */
	void (*list_obstacles)(void *arg, struct buf *out);
	/* Appends a line ("degraded: name: detail") per condition that leaves it ready; may be NULL. */
	void (*list_conditions)(void *arg, struct buf *out);
	void (*on_scrape)(void *arg);                 /* sets the gauges; may be NULL */
	void (*put_rows)(void *arg, struct buf *out); /* appends rows to the metrics; may be NULL */
	void *arg;
};
struct pages *pages_new(const struct pages_options *options);
void pages_free(struct pages *pages);
uint64_t pages_num_displaced(const struct pages *pages); /* probes that were closed in favor of newer ones */
