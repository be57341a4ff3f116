/* The control plane's counters: rows of metrics.def, and the pages that show them. */
#pragma once

#include "base/core/metrics.h"

enum control_metric {
#define METRIC(symbol, kind, name, labels, help) symbol,
#define METRIC_ROWS(name, labels, help)
#define METRIC_OF_PARTNER(symbol, kind, name, help)
#include "control/report/metrics.def"
#undef METRIC
#undef METRIC_ROWS
#undef METRIC_OF_PARTNER
	CONTROL_METRICS_NUM,
};

enum control_partner_metric { /* a row per partner of the settings, with its trust domain as the label */
#define METRIC(symbol, kind, name, labels, help)
#define METRIC_ROWS(name, labels, help)
#define METRIC_OF_PARTNER(symbol, kind, name, help) symbol,
#include "control/report/metrics.def"
#undef METRIC
#undef METRIC_ROWS
#undef METRIC_OF_PARTNER
	CONTROL_PARTNER_METRICS_NUM,
};

extern const struct metric_row control_partner_metrics[CONTROL_PARTNER_METRICS_NUM];

extern const struct metric_row control_certificate_metrics[2]; /* names and help of certs/expiry.h */
struct metrics *control_metrics_new(void);                     /* one shard: all counting is on the main loop */
