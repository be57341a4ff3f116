/* Decides whether a source may connect to a port. Deny wins. Without an authenticated allow rule, the workload's own
 * trust domain is allowed and no other, and on permissive ports also sources without identity. Mode `off` accepts
 * plaintext without rules. A source without identity matches every deny rule that names identities, and only allow
 * rules marked unauthenticated. Pure. */
#pragma once

#include "policy/policy.h"

struct policy_source {
	const struct spiffe_id *id; /* NULL: no identity (plaintext) */
	struct ip_addr ip;          /* the TCP peer's */
};

enum policy_outcome { POLICY_ALLOWED, POLICY_DENIED, POLICY_PLAINTEXT_REFUSED };
enum policy_ground { POLICY_BY_MODE, POLICY_BY_DENY_RULE, POLICY_BY_ALLOW_RULE, POLICY_BY_DEFAULT };
struct policy_decision {
	enum policy_outcome outcome;
	enum policy_ground ground;
	const char *rule;         /* the rule that decided, or "default"; borrowed from the policy */
	const char *dry_run_rule; /* the dry-run rule that would have decided differently, else NULL */
};

struct policy_decision policy_decide(const struct policy *policy, const struct policy_source *source, uint16_t port);

/* The two conditions of a rule, for explanations: its source (an identity, or none), and network and port. */
bool policy_rule_has_source(const struct policy_rule *rule, const struct policy_source *source);
bool policy_rule_has_place(const struct policy_rule *rule, const struct policy_source *source, uint16_t port);
/* Whether an allow rule in force names identities: it replaces the default that allows the own trust domain. */
bool policy_has_authenticated_allow(const struct policy *policy);
