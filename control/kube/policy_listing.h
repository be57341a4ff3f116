/* The policies of a cluster for an operator: each with what is in force of it, and warnings. Pure. */
#pragma once

#include "control/distribute/policy_source.h"
#include "control/kube/policy_set.h"

/* In the order in which they came in. The sidecars are those that the status at the API server counts. */
void policy_listing_each(const struct policy_set *set, policy_listed_fn *each, void *arg);
/* Those of policy_advice.h, and policies that are not accepted (kind "refused"). */
void policy_listing_warnings(
	struct policy_set *set, const struct control_config *settings, policy_warned_fn *each, void *arg);
