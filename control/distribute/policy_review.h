/* What is wrong with policies that are valid (policy/findings.h), section by section, each judged beside all that apply
 * to the same workload, in the form that sidecars get. Pure. */
#pragma once

#include "control/distribute/encode_policy.h"
#include "policy/findings.h"

struct policy_warning {
	const char *selector; /* the section's, borrowed */
	const char *kind;     /* policy_finding_text(), or "refused", "no_content", "foreign", "no_workload" */
	struct why detail;
};
typedef void policy_warning_fn(void *arg, const struct policy_warning *warning); /* borrowed for the call */

#define POLICY_SECTIONS_REVIEWED_MAX 2048 /* so that a reload stays short: each is compared with all others */

/* Those of the settings; a section of all identities below a prefix is judged as the prefix itself. */
void policy_review_settings(const struct control_config *config, policy_warning_fn *each, void *arg);
/* That of found->list[own], beside the others, for the workload `id`. */
void policy_review_found(const struct mesh_state *state, size_t own, policy_warning_fn *each, void *arg);
