/* Reports readiness and conditions to the control plane, for its operators. With another identity.source than the
 * control plane there is no stream for it. */
#include "sidecar/sidecar_conditions.h"

enum { NOT_REPORTED = 2 }; /* a control plane that cannot be reached; a drain, which hello has by itself */

static const uint8_t bits[] = {
#define CONDITION(symbol, bit, name) [METRIC_CONDITION_##symbol - SIDECAR_CONDITION_FIRST] = bit,
#include "base/health/sidecar_conditions.def"
#undef CONDITION
	[SIDECAR_CONDITION_LAST - SIDECAR_CONDITION_FIRST] = 0};

#define CONDITION(symbol, bit, name) +1
_Static_assert(0
#include "base/health/sidecar_conditions.def"
			       + NOT_REPORTED ==
		       sizeof(bits),
	"sidecar_conditions.def has each condition");
#undef CONDITION

void sidecar_health_poll(struct sidecar *sidecar)
{
	struct sidecar_conditions conditions;
	struct sidecar_health health = {.is_reported = true, .is_ready = true};
	if (sidecar->identity == NULL)
		return;
	sidecar_conditions_collect(sidecar, &conditions);
	for (size_t i = 0; i < conditions.num; i++) {
		uint8_t bit = bits[conditions.metrics[i] - SIDECAR_CONDITION_FIRST];
		if (bit == 0)
			continue;
		health.conditions |= 1ULL << bit;
		health.is_ready &= conditions.list[i].level != PAGE_FAILED;
	}
	identity_client_set_health(sidecar->identity, &health);
}
