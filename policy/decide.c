#include "policy/decide.h"
#include "base/core/check.h"
#include "policy/paths.h"

static bool source_matches(const struct source_match *match, const struct spiffe_id *id)
{
	if (!span_eq(spiffe_id_trust_domain(id), span_of_str(match->domain)))
		return false;
	struct span path = spiffe_id_path(id), part = span_of_str(match->path);
	switch (match->kind) {
	case MATCH_ID:
		return span_eq(path, part);
	case MATCH_ID_PREFIX:
		return path_has_prefix(path, part);
	case MATCH_ID_SUFFIX:
		return path_has_suffix(path, part);
	case MATCH_TRUST_DOMAIN:
		return true;
	case MATCH_NAMESPACE:
		return path_in_namespace(path, part);
	}
	CHECK_UNREACHABLE();
}

bool policy_rule_has_place(const struct policy_rule *rule, const struct policy_source *source, uint16_t port)
{
	bool network = rule->num_networks == 0, number = rule->num_ports == 0;
	for (size_t i = 0; i < rule->num_networks && !network; i++)
		network = network_contains(&rule->networks[i], &source->ip);
	for (size_t i = 0; i < rule->num_ports && !number; i++)
		number = rule->ports[i] == port;
	return network && number;
}

bool policy_rule_has_source(const struct policy_rule *rule, const struct policy_source *source)
{
	/* A source without identity may be any workload: it matches every deny rule, and only unauthenticated allow
	 * rules. */
	if (source->id == NULL)
		return rule->deny || rule->unauthenticated;
	bool matched = rule->num_sources == 0;
	for (size_t i = 0; i < rule->num_sources && !matched; i++)
		matched = source_matches(&rule->sources[i], source->id);
	return matched;
}

static bool rule_matches(const struct policy_rule *rule, const struct policy_source *source, uint16_t port)
{
	return policy_rule_has_place(rule, source, port) && policy_rule_has_source(rule, source);
}

/* Whether an allow rule names identities: it replaces the built-in rule that allows the own trust domain. */
static bool has_authenticated_allow(const struct policy *policy, bool with_dry_run)
{
	for (size_t i = 0; i < policy->num_rules; i++) {
		const struct policy_rule *rule = &policy->rules[i];
		if (!rule->deny && !rule->unauthenticated && (with_dry_run || !rule->dry_run))
			return true;
	}
	return false;
}

bool policy_has_authenticated_allow(const struct policy *policy)
{
	return has_authenticated_allow(policy, false);
}

static const struct policy_rule *first_match(
	const struct policy *policy, const struct policy_source *source, uint16_t port, bool deny, bool with_dry_run)
{
	for (size_t i = 0; i < policy->num_rules; i++) {
		const struct policy_rule *rule = &policy->rules[i];
		if (rule->deny == deny && (with_dry_run || !rule->dry_run) && rule_matches(rule, source, port))
			return rule;
	}
	return NULL;
}

struct verdict {
	bool allowed;
	const struct policy_rule *rule; /* NULL: the default */
};

static struct verdict evaluate(
	const struct policy *policy, const struct policy_source *source, uint16_t port, bool with_dry_run)
{
	const struct policy_rule *rule = first_match(policy, source, port, true, with_dry_run);
	if (rule != NULL)
		return (struct verdict){.allowed = false, .rule = rule};
	rule = first_match(policy, source, port, false, with_dry_run);
	if (rule != NULL)
		return (struct verdict){.allowed = true, .rule = rule};
	if (has_authenticated_allow(policy, with_dry_run))
		return (struct verdict){.allowed = false};
	if (source->id == NULL)
		return (struct verdict){.allowed = policy_mode(policy, port) == INBOUND_PERMISSIVE};
	return (struct verdict){.allowed = spiffe_id_in_trust_domain(source->id, &policy->own_domain)};
}

static enum policy_ground ground_of(const struct policy_rule *rule)
{
	if (rule == NULL)
		return POLICY_BY_DEFAULT;
	return rule->deny ? POLICY_BY_DENY_RULE : POLICY_BY_ALLOW_RULE;
}

static const char *dry_run_name(
	const struct policy *policy, const struct policy_source *source, uint16_t port, bool allowed)
{
	struct verdict would = evaluate(policy, source, port, true);
	if (would.allowed == allowed)
		return NULL;
	return would.rule != NULL ? would.rule->name : "default";
}

struct policy_decision policy_decide(const struct policy *policy, const struct policy_source *source, uint16_t port)
{
	enum inbound_mode mode = policy_mode(policy, port);
	if (source->id == NULL && mode == INBOUND_OFF)
		return (struct policy_decision){
			.outcome = POLICY_ALLOWED, .ground = POLICY_BY_MODE, .rule = "mode_off"};
	if (source->id == NULL && mode == INBOUND_STRICT)
		return (struct policy_decision){
			.outcome = POLICY_PLAINTEXT_REFUSED, .ground = POLICY_BY_MODE, .rule = "mode_strict"};
	CHECK(source->id != NULL || mode == INBOUND_PERMISSIVE);
	struct verdict verdict = evaluate(policy, source, port, false);
	return (struct policy_decision){
		.outcome = verdict.allowed ? POLICY_ALLOWED : POLICY_DENIED,
		.ground = ground_of(verdict.rule),
		.rule = verdict.rule != NULL ? verdict.rule->name : "default",
		.dry_run_rule = dry_run_name(policy, source, port, verdict.allowed),
	};
}
