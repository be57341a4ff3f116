#include "control/report/control_metrics.h"
#include "base/core/version.h"

static const struct metric_row rows[] = {
#define METRIC(symbol, kind, name, labels, help) {kind, name, labels, help},
#include "control/report/metrics.def"
#undef METRIC
};

_Static_assert(sizeof(rows) / sizeof(rows[0]) == CONTROL_METRICS_NUM, "a row for each counter");

struct metrics *control_metrics_new(void)
{
	return metrics_new(rows, CONTROL_METRICS_NUM, 1);
}
