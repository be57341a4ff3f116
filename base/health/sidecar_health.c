#include "base/health/sidecar_health.h"

#include <stdio.h>

static const char *const names[SIDECAR_HEALTH_CONDITIONS_MAX] = {
#define CONDITION(symbol, bit, name) [bit] = name,
#include "base/health/sidecar_conditions.def"
#undef CONDITION
};

const char *sidecar_health_name(unsigned bit, char out[SIDECAR_HEALTH_NAME_MAX])
{
	if (bit < SIDECAR_HEALTH_CONDITIONS_MAX && names[bit] != NULL)
		(void)snprintf(out, SIDECAR_HEALTH_NAME_MAX, "%s", names[bit]);
	else
		(void)snprintf(out, SIDECAR_HEALTH_NAME_MAX, "condition_%u", bit);
	return out;
}

bool sidecar_health_is_bad(const struct sidecar_health *health)
{
	return health->is_reported && (!health->is_ready || health->conditions != 0);
}

bool sidecar_health_eq(const struct sidecar_health *a, const struct sidecar_health *b)
{
	return a->is_reported == b->is_reported && a->is_ready == b->is_ready && a->conditions == b->conditions;
}

const char *sidecar_health_text(const struct sidecar_health *health, char out[SIDECAR_HEALTH_TEXT_MAX])
{
	char name[SIDECAR_HEALTH_NAME_MAX];
	size_t len = 0;
	out[0] = '\0';
	if (!sidecar_health_is_bad(health))
		return out;
	len += (size_t)snprintf(out, SIDECAR_HEALTH_TEXT_MAX, "%s", health->is_ready ? "degraded" : "not ready");
	const char *before = ": ";
	for (unsigned bit = 0; bit < SIDECAR_HEALTH_CONDITIONS_MAX; bit++) {
		if ((health->conditions >> bit & 1) == 0)
			continue;
		/* 64 names of 23 characters at most, with what stands between them. */
		len += (size_t)snprintf(
			out + len, SIDECAR_HEALTH_TEXT_MAX - len, "%s%s", before, sidecar_health_name(bit, name));
		before = " + ";
	}
	return out;
}
