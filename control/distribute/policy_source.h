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

struct policy_listed {                          /* one of them, borrowed for the call */
	const char *name;                       /* "NAMESPACE/NAME" */
	const struct config_workload *workload; /* what is in force, or was last; NULL: it was never valid */
	const char *const *accounts;            /* of workload->identity, the last segments below it */
	size_t num_accounts;                    /* 0: all below it */
	const struct why *refusal;              /* of what it is now; err ERR_NONE: accepted */
	uint32_t num_sidecars, num_in_force;    /* at all replicas */
};
typedef void policy_listed_fn(void *arg, const struct policy_listed *policy);
/* A warning about one of them, see policy_review.h. */
typedef void policy_warned_fn(void *arg, const char *name, const char *kind, const char *detail);

struct policy_source {
	/* Whether its state has come in. Until then no sidecar gets the mesh's state: without a deny that is still to
	 * come, it would allow too much. What a sidecar has stays in force. */
	bool (*is_known)(void *arg);
	void (*find)(void *arg, const struct spiffe_id *id, struct policy_found *out);
	/* All of them, and the warnings about them; NULL: they are not listed. */
	void (*list)(void *arg, policy_listed_fn *each, void *each_arg);
	void (*warn)(void *arg, policy_warned_fn *each, void *each_arg);
	void *arg;
};
