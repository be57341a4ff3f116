/* What is wrong with a policy that is valid: rules that can never decide, rules that add nothing, sources that no
 * identity can have, ports that the workload does not serve. Pure. An error text has the rule's name and the fix. */
#pragma once

#include "policy/policy.h"

enum policy_finding_kind {
	POLICY_RULE_UNREACHABLE, /* a deny rule covers all that it allows, or the modes leave it nothing */
	POLICY_RULE_SHADOWED,    /* another rule of the same action covers it: it adds nothing */
	POLICY_SOURCE_UNKNOWN,   /* a source of a trust domain that is neither ours nor federated */
	POLICY_RULE_EMPTY,       /* all its sources are such: it matches no identity */
	POLICY_PORT_UNSERVED,    /* no service of the workload has the port */
	POLICY_NOT_COMPARED,     /* more rules than are compared with each other */
};
const char *policy_finding_text(enum policy_finding_kind kind); /* "unreachable", "shadowed", "unknown_source", ... */

struct policy_finding {
	enum policy_finding_kind kind;
	size_t rule; /* its place in the policy */
	struct why detail;
};
typedef void policy_finding_fn(void *arg, const struct policy_finding *finding);

struct policy_world { /* what is known besides the policy; zeroed: nothing */
	bool (*is_federated)(void *arg, struct span trust_domain); /* NULL: none is */
	bool (*is_served)(void *arg, uint16_t port);               /* NULL: not known */
	void *arg;
};

#define POLICY_COMPARED_MAX 1024 /* rules of one workload that are compared with each other: a million pairs */

/* In the order of the rules. `finding` is borrowed for the call. */
void policy_findings(const struct policy *policy, const struct policy_world *world, policy_finding_fn *each, void *arg);
