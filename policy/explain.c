#include "policy/explain.h"
#include "base/core/check.h"
#include <stdio.h>

const char *policy_outcome_text(enum policy_outcome outcome)
{
	static const char *const texts[] = {"allowed", "denied", "plaintext_refused"};
	return texts[outcome];
}

const char *policy_ground_text(enum policy_ground ground)
{
	static const char *const texts[] = {"mode", "deny_rule", "allow_rule", "default"};
	return texts[ground];
}

const char *inbound_mode_text(enum inbound_mode mode)
{
	static const char *const texts[] = {"off", "permissive", "strict"};
	return texts[mode];
}

/* --- what is near to deciding otherwise --- */

/* The first allow rule in force that names the source, but not this port or network; NULL: none. */
static const struct policy_rule *near_allow(
	const struct policy *policy, const struct policy_source *source, uint16_t port)
{
	for (size_t i = 0; i < policy->num_rules; i++) {
		const struct policy_rule *rule = &policy->rules[i];
		if (!rule->deny && !rule->dry_run && policy_rule_has_source(rule, source) &&
			!policy_rule_has_place(rule, source, port))
			return rule;
	}
	return NULL;
}

static void list_allows(const struct policy *policy, char *out, size_t cap)
{
	size_t len = 0, num = 0;
	out[0] = '\0';
	for (size_t i = 0; i < policy->num_rules; i++) {
		const struct policy_rule *rule = &policy->rules[i];
		if (rule->deny || rule->dry_run || rule->unauthenticated)
			continue;
		if (++num > 4 || len + 140 > cap)
			continue;
		len += (size_t)snprintf(out + len, cap - len, "%s%.120s", num == 1 ? "" : ", ", rule->name);
	}
	if (num > 4)
		snprintf(out + len, cap - len, " and others");
}

/* --- the cases --- */

static void by_mode(struct policy_explanation *out, uint16_t port)
{
	if (out->decision.outcome == POLICY_ALLOWED) {
		snprintf(out->reason, sizeof out->reason,
			"port %u has the mode off, which accepts plaintext without looking at rules", port);
		snprintf(out->change, sizeof out->change,
			"set the mode permissive for the rules to apply to plaintext, or strict to refuse it");
		return;
	}
	snprintf(out->reason, sizeof out->reason,
		"port %u has the mode strict, which refuses plaintext whatever the rules are", port);
	snprintf(out->change, sizeof out->change,
		"give the source a sidecar, or set the mode permissive for port %u; then the rules decide", port);
}

static const char *source_text(const struct policy_source *source)
{
	return source->id == NULL ? "a source without identity" : "this source";
}

static void by_rule(const struct policy_source *source, struct policy_explanation *out)
{
	const char *rule = out->decision.rule;
	if (out->decision.ground == POLICY_BY_DENY_RULE) {
		snprintf(out->reason, sizeof out->reason, "the deny rule %s matches %s, and deny wins over every allow",
			rule, source->id == NULL ? "every source without identity" : "this source");
		snprintf(out->change, sizeof out->change, "change or remove the rule %s; no allow rule can override it",
			rule);
		return;
	}
	snprintf(out->reason, sizeof out->reason, "the allow rule %s matches %s, and no deny rule does", rule,
		source_text(source));
	snprintf(out->change, sizeof out->change, "add a deny rule, or take this source out of %s", rule);
}

static void denied_by_default(
	const struct policy *policy, const struct policy_source *source, uint16_t port, struct policy_explanation *out)
{
	const struct policy_rule *near = near_allow(policy, source, port);
	char allows[640];
	if (near != NULL) {
		snprintf(out->reason, sizeof out->reason,
			"no rule matches: the allow rule %s names %s, but not port %u from this address", near->name,
			source_text(source), port);
		snprintf(out->change, sizeof out->change, "add port %u (or the source's network) to the rule %s", port,
			near->name);
		return;
	}
	if (!policy_has_authenticated_allow(policy)) {
		snprintf(out->reason, sizeof out->reason,
			"no rule matches, and without an allow rule that names identities only the trust domain %s is "
			"allowed",
			policy->own_domain.name);
		snprintf(out->change, sizeof out->change, "add an allow rule that names the source");
		return;
	}
	list_allows(policy, allows, sizeof allows);
	snprintf(out->reason, sizeof out->reason,
		"no rule matches %s, and with an allow rule that names identities no other source is allowed",
		source_text(source));
	snprintf(out->change, sizeof out->change, "%s, or add an allow rule; there are: %s",
		source->id == NULL ? "give the source a sidecar, add an allow rule that is unauthenticated"
				   : "add the source to one of the allow rules",
		allows);
}

static void allowed_by_default(
	const struct policy *policy, const struct policy_source *source, struct policy_explanation *out)
{
	if (source->id == NULL) {
		snprintf(out->reason, sizeof out->reason,
			"the port has the mode permissive, and no rule names identities");
		snprintf(out->change, sizeof out->change,
			"set the mode strict, or add an allow rule that names identities, or any deny rule");
		return;
	}
	snprintf(out->reason, sizeof out->reason,
		"no rule matches, and without an allow rule that names identities all of the trust domain %s is "
		"allowed",
		policy->own_domain.name);
	snprintf(out->change, sizeof out->change,
		"add a deny rule, or an allow rule that names identities: then only those are allowed");
}

void policy_explain(
	const struct policy *policy, const struct policy_source *source, uint16_t port, struct policy_explanation *out)
{
	*out = (struct policy_explanation){.decision = policy_decide(policy, source, port),
		.mode = policy_mode(policy, port),
		.is_mode_of_port = policy_has_port(policy, port)};
	bool is_allowed = out->decision.outcome == POLICY_ALLOWED;
	out->dry_run_outcome = is_allowed ? POLICY_DENIED : POLICY_ALLOWED;
	switch (out->decision.ground) {
	case POLICY_BY_MODE:
		by_mode(out, port);
		return;
	case POLICY_BY_DENY_RULE:
	case POLICY_BY_ALLOW_RULE:
		by_rule(source, out);
		return;
	case POLICY_BY_DEFAULT:
		if (is_allowed)
			allowed_by_default(policy, source, out);
		else
			denied_by_default(policy, source, port, out);
		return;
	}
	CHECK_UNREACHABLE();
}

const char *policy_needs_address(const struct policy *policy, const struct policy_source *source, uint16_t port)
{
	if (source->ip.family != 0 || (source->id == NULL && policy_mode(policy, port) != INBOUND_PERMISSIVE))
		return NULL;
	for (size_t i = 0; i < policy->num_rules; i++) {
		const struct policy_rule *rule = &policy->rules[i];
		bool has_port = rule->num_ports == 0;
		for (size_t j = 0; j < rule->num_ports && !has_port; j++)
			has_port = rule->ports[j] == port;
		if (rule->num_networks > 0 && has_port && policy_rule_has_source(rule, source))
			return rule->name;
	}
	return NULL;
}
