/* Warnings about the policy of the settings (control/distribute/policy_review.h), and sections that no workload which
 * ever attested is part of. */
#pragma once

#include "control/distribute/policy_review.h"
#include "control/store/store.h"

void policy_warnings_each(const struct control_config *config, struct store *store, policy_warning_fn *each, void *arg);
