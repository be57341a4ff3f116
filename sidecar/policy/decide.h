/* May this source reach this port? Deny wins; where no authenticated allow rule names the workload its own trust domain
 * is allowed (no other), and on permissive ports sources without identity; port mode `off` passes plaintext without
 * rules. A source without identity matches every deny by identity, and an allow only if that is marked unauthenticated.
 * Pure. */
#pragma once

#include "sidecar/policy/policy.h"

struct policy_source {
	const struct spiffe_id *id; /* NULL: no identity (plaintext) */
	struct ip_addr ip;          /* the TCP peer's */
};

enum policy_outcome { POLICY_ALLOWED, POLICY_DENIED, POLICY_PLAINTEXT_REFUSED };
struct policy_decision {
	enum policy_outcome outcome;
	const char *rule;         /* the rule that decided, "default" when none did; borrowed from the policy */
	const char *dry_run_rule; /* a dry-run rule that would have decided otherwise, else NULL */
};

struct policy_decision policy_decide(const struct policy *policy, const struct policy_source *source, uint16_t port);
