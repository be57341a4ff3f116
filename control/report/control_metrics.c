#include "control/report/control_metrics.h"
#include "base/core/version.h"

static const struct metric_row rows[] = {
#define METRIC(symbol, kind, name, labels, help) {kind, name, labels, help},
#define METRIC_ROWS(name, labels, help)
#define METRIC_OF_PARTNER(symbol, kind, name, help)
#include "control/report/metrics.def"
#undef METRIC
#undef METRIC_ROWS
#undef METRIC_OF_PARTNER
};

_Static_assert(sizeof(rows) / sizeof(rows[0]) == CONTROL_METRICS_NUM, "a row for each counter");

const struct metric_row control_certificate_metrics[2] = {
#define METRIC(symbol, kind, name, labels, help)
#define METRIC_ROWS(name, labels, help) {METRIC_GAUGE, name, labels, help},
#define METRIC_OF_PARTNER(symbol, kind, name, help)
#include "control/report/metrics.def"
#undef METRIC
#undef METRIC_ROWS
#undef METRIC_OF_PARTNER
};

const struct metric_row control_partner_metrics[CONTROL_PARTNER_METRICS_NUM] = {
#define METRIC(symbol, kind, name, labels, help)
#define METRIC_ROWS(name, labels, help)
#define METRIC_OF_PARTNER(symbol, kind, name, help) {kind, name, "", help},
#include "control/report/metrics.def"
#undef METRIC
#undef METRIC_ROWS
#undef METRIC_OF_PARTNER
};

struct metrics *control_metrics_new(void)
{
	return metrics_new(rows, CONTROL_METRICS_NUM, 1);
}
