/* What a check of a cluster finds about its policies, by the status that the control plane writes. Pure. */
#pragma once

#include "cli/cluster/findings.h"

/* policies: an array of objects. A row per policy that is not accepted, and per one with warnings. */
void check_policies(struct findings *findings, const json_t *policies);
