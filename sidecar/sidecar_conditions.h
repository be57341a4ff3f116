/* The conditions of a sidecar: what makes it not ready or degraded, for its pages, its metrics and its control plane.
 */
#pragma once

#include "sidecar/report/pages.h"
#include "sidecar/sidecar_private.h"

enum { SIDECAR_CONDITIONS_MAX = 32 };

/* Their rows of metrics.def stand together. */
#define SIDECAR_CONDITION_FIRST METRIC_CONDITION_NO_IDENTITY
#define SIDECAR_CONDITION_LAST  METRIC_CONDITION_DRAINING

struct sidecar_conditions { /* in the order in which they are shown */
	struct page_condition list[SIDECAR_CONDITIONS_MAX];
	enum sidecar_metric metrics[SIDECAR_CONDITIONS_MAX]; /* of each, the row that shows it */
	size_t num;
	/* What the rows of `list` point to. */
	char last_failure[700], source_failure[700], no_policy[700], refused[2][700], not_kept[700], banned[700],
		retained[SIDECAR_RETAINED_MAX];
};

/* As of now; the texts are valid while *out and the sidecar are. */
void sidecar_conditions_collect(const struct sidecar *sidecar, struct sidecar_conditions *out);
