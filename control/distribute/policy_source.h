/* Policy besides that of the settings, such as a cluster's objects: it is merged after theirs, workload by workload. */
#pragma once

#include "control/config/config.h"

#define POLICY_FOUND_MAX 32 /* per workload */

struct policy_found { /* borrowed until the source changes */
	/* In order of precedence: of their modes, as a whole and per port, the first one applies. It cannot loosen what
	 * the settings have for the workload: of those two the stricter one applies. Rules add up. */
	const struct config_workload *list[POLICY_FOUND_MAX];
	size_t num;
};

struct policy_source {
	/* Whether its state has come in. Until then no sidecar gets the mesh's state: without a deny that is still to
	 * come, it would allow too much. What a sidecar has stays in force. */
	bool (*is_known)(void *arg);
	void (*find)(void *arg, const struct spiffe_id *id, struct policy_found *out);
	void *arg;
};
