/* Explains a decision of decide.h: what decided, why, and what would change it. Pure. */
#pragma once

#include "policy/decide.h"

#define POLICY_SENTENCE_MAX 800

struct policy_explanation {
	struct policy_decision decision; /* of policy_decide() itself */
	enum inbound_mode mode;
	bool is_mode_of_port;                /* else it is the workload's mode for ports without their own */
	char reason[POLICY_SENTENCE_MAX];    /* a clause, as "no allow rule names the source" */
	char change[POLICY_SENTENCE_MAX];    /* what would make the outcome another one */
	enum policy_outcome dry_run_outcome; /* where decision.dry_run_rule is set */
};
void policy_explain(const struct policy *policy, const struct policy_source *source, uint16_t port,
	struct policy_explanation *out); /* texts of rules are borrowed from the policy */

/* The name of a rule that depends on the source's address, which is not known (family 0); NULL: none does. */
const char *policy_needs_address(const struct policy *policy, const struct policy_source *source, uint16_t port);

const char *policy_outcome_text(enum policy_outcome outcome); /* "allowed", "denied", "plaintext_refused" */
const char *policy_ground_text(enum policy_ground ground);    /* "mode", "deny_rule", "allow_rule", "default" */
const char *inbound_mode_text(enum inbound_mode mode);        /* "off", "permissive", "strict" */
