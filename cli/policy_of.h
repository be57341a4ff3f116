/* The policy of one workload, for `handfast policy`: as the control plane would send it now, or as it would from a file
 * that is not in force yet. Both are read by the sidecar's own code (decision 076). */
#pragma once

#include "base/settings/command_line/command_line.h"
#include "policy/policy.h"

struct policy_of {
	struct policy *policy; /* owned */
	bool is_in_force;      /* of a control plane, with: */
	uint32_t num_sidecars, num_in_force;
};
void policy_of_done(struct policy_of *of); /* zeroed is valid */

/* From --file where it is given, else from the control plane. A file is a control plane's settings, or objects with
 * policies of a cluster. */
enum err policy_of_workload(
	const struct command_line *line, const struct spiffe_id *id, struct policy_of *out, struct why *why) _must_use_;
