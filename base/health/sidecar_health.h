/* Whether a sidecar is ready, and its conditions, as it reports them to its control plane. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct sidecar_health {
	bool is_reported;    /* false: by no sidecar of a release that reports it, or not yet */
	bool is_ready;       /* no condition has failed */
	uint64_t conditions; /* a bit per condition of sidecar_conditions.def */
};

#define SIDECAR_HEALTH_CONDITIONS_MAX 64
#define SIDECAR_HEALTH_NAME_MAX       24
#define SIDECAR_HEALTH_TEXT_MAX       1536

/* "no_rules"; of a bit that this release does not know "condition_63". Returns out. */
const char *sidecar_health_name(unsigned bit, char out[SIDECAR_HEALTH_NAME_MAX]);
/* "not ready: no_rules + not_kept", "degraded: not_kept", "" where there is nothing to report. Returns out. */
const char *sidecar_health_text(const struct sidecar_health *health, char out[SIDECAR_HEALTH_TEXT_MAX]);
/* Reported, and not ready or degraded. */
bool sidecar_health_is_bad(const struct sidecar_health *health);
bool sidecar_health_eq(const struct sidecar_health *a, const struct sidecar_health *b);
