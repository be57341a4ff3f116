/* The control plane's counters: rows of metrics.def, and the pages that show them. */
#pragma once

#include "base/core/metrics.h"

enum control_metric {
#define METRIC(symbol, kind, name, labels, help) symbol,
#include "control/report/metrics.def"
#undef METRIC
	CONTROL_METRICS_NUM,
};

struct metrics *control_metrics_new(void); /* one shard: all counting is on the main loop */
