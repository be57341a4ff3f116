/* Whether one rule matches all that another one matches. Pure. Unions are not considered: two networks that cover a
 * third one together do not count. */
#pragma once

#include "policy/policy.h"

bool policy_source_covers(const struct source_match *wide, const struct source_match *narrow);
/* Sources, networks and ports; actions and dry runs are the caller's. */
bool policy_rule_covers(const struct policy_rule *wide, const struct policy_rule *narrow);
