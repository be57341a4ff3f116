/* Decides whether a source may connect to a port. Deny wins. Without an authenticated allow rule, the workload's own
 * trust domain is allowed and no other, and on permissive ports also sources without identity. Mode `off` accepts
 * plaintext without rules. A source without identity matches every deny rule that names identities, and only allow
 * rules marked unauthenticated. Pure. */
#pragma once

#include "sidecar/policy/policy.h"

struct policy_source {
	const struct spiffe_id *id; /* NULL: no identity (plaintext) */
	struct ip_addr ip;          /* the TCP peer's */
};

enum policy_outcome { POLICY_ALLOWED, POLICY_DENIED, POLICY_PLAINTEXT_REFUSED };
struct policy_decision {
	enum policy_outcome outcome;
	const char *rule;         /* the rule that decided, or "default"; borrowed from the policy */
	const char *dry_run_rule; /* the dry-run rule that would have decided differently, else NULL */
};

struct policy_decision policy_decide(const struct policy *policy, const struct policy_source *source, uint16_t port);
