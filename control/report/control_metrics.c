#include "control/report/control_metrics.h"
#include "base/core/version.h"

static const struct metric_row rows[] = {
#define METRIC(symbol, kind, name, labels, help) {kind, name, labels, help},
#include "control/report/metrics.def"
#undef METRIC
};

struct metrics *control_metrics_new(void)
{
	return metrics_new(rows, CONTROL_METRICS_NUM, 1);
}
