/* The status of a policy: what is true of it, against what the API server has. Pure. */
#pragma once

#include "control/kube/policy_set.h"

#define POLICY_CONFLICTS_MAX 16 /* that are named */

struct policy_replicas {
	const char *own; /* the name of this replica of the control plane: a member of status.replicas */
	/* Whether there is another one of this name; what those that are gone counted is removed. */
	bool (*is_there)(void *arg, const char *name);
	void *arg;
};

/* Of a status, or of a replica's part of it: what another program wrote there, and no number of sidecars, counts 0. */
uint32_t policy_status_number(const json_t *status, const char *key);
/* The merge patch (RFC 7396) that makes the status true; NULL: it is. To be freed with json_decref(). Each replica
 * writes the number of its own sidecars and the sum of all: when none of them changes, each finds the same. */
json_t *policy_status_patch(const struct policy_entry *entry, const struct policy_replicas *replicas);
