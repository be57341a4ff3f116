#include "policy/findings.h"
#include "base/core/check.h"
#include "policy/cover.h"

struct review {
	const struct policy *policy;
	const struct policy_world *world;
	policy_finding_fn *each;
	void *arg;
};

const char *policy_finding_text(enum policy_finding_kind kind)
{
	static const char *const texts[] = {
		"unreachable", "shadowed", "unknown_source", "empty", "unserved_port", "not_compared"};
	return texts[kind];
}

static void report(const struct review *review, enum policy_finding_kind kind, size_t rule, const struct why *why)
{
	const struct policy_finding finding = {kind, rule, *why};
	review->each(review->arg, &finding);
}

/* --- rules beside each other --- */

/* The rule that covers the one at `at`, of that action; a rule that is equal counts for the later of the two alone. */
static const struct policy_rule *covering(const struct policy *policy, size_t at, bool deny)
{
	const struct policy_rule *narrow = &policy->rules[at];
	for (size_t i = 0; i < policy->num_rules; i++) {
		const struct policy_rule *wide = &policy->rules[i];
		if (i == at || wide->deny != deny || wide->dry_run || !policy_rule_covers(wide, narrow))
			continue;
		bool is_equal = deny == narrow->deny && !narrow->dry_run && policy_rule_covers(narrow, wide);
		if (!is_equal || i < at)
			return wide;
	}
	return NULL;
}

static bool review_cover(const struct review *review, size_t at)
{
	const struct policy_rule *rule = &review->policy->rules[at], *deny = covering(review->policy, at, true);
	struct why why = {0};
	if (deny != NULL && !rule->deny) {
		(void)why_set(&why, ERR_CONFIG, "an allow rule that some source can use",
			"remove one of the two, or make the deny rule narrower",
			"the allow rule %.90s can never apply: the deny rule %.90s covers all of it", rule->name,
			deny->name);
		report(review, POLICY_RULE_UNREACHABLE, at, &why);
		return true;
	}
	const struct policy_rule *same = rule->deny ? deny : covering(review->policy, at, false);
	if (same == NULL)
		return false;
	(void)why_set(&why, ERR_CONFIG, "rules that each add something", "remove it, or make the wider rule narrower",
		"the rule %.90s adds nothing: the rule %.90s covers all of it", rule->name, same->name);
	report(review, POLICY_RULE_SHADOWED, at, &why);
	return true;
}

/* --- a rule beside the modes --- */

static bool has_permissive_port(const struct policy *policy, const struct policy_rule *rule)
{
	for (size_t i = 0; i < rule->num_ports; i++)
		if (policy_mode(policy, rule->ports[i]) == INBOUND_PERMISSIVE)
			return true;
	for (size_t i = 0; i < policy->num_ports && rule->num_ports == 0; i++)
		if (policy->ports[i].mode == INBOUND_PERMISSIVE)
			return true;
	return rule->num_ports == 0 && policy->default_mode == INBOUND_PERMISSIVE;
}

static void review_mode(const struct review *review, size_t at)
{
	const struct policy_rule *rule = &review->policy->rules[at];
	struct why why = {0};
	if (!rule->unauthenticated || has_permissive_port(review->policy, rule))
		return;
	(void)why_set(&why, ERR_CONFIG, "a port with the mode permissive: strict refuses plaintext above the rules",
		"set that mode for the ports of the rule, or remove the rule",
		"the rule %.90s is for plaintext, and none of its ports takes any by rules", rule->name);
	report(review, POLICY_RULE_UNREACHABLE, at, &why);
}

/* --- sources and ports --- */

static bool is_known(const struct review *review, const char *domain)
{
	const struct policy_world *world = review->world;
	return strcmp(domain, review->policy->own_domain.name) == 0 ||
	       (world->is_federated != NULL && world->is_federated(world->arg, span_of_str(domain)));
}

static void review_sources(const struct review *review, size_t at)
{
	const struct policy_rule *rule = &review->policy->rules[at];
	const struct source_match *unknown = NULL;
	struct why why = {0};
	size_t num_unknown = 0;
	for (size_t i = 0; i < rule->num_sources; i++)
		if (!is_known(review, rule->sources[i].domain)) {
			unknown = &rule->sources[i];
			num_unknown++;
		}
	if (unknown == NULL)
		return;
	bool is_empty = num_unknown == rule->num_sources;
	(void)why_set(&why, ERR_CONFIG, "sources of this mesh, or of a trust domain that it federates with",
		"correct the trust domain, or federate with it",
		"the rule %.90s %s the trust domain %.90s, of which no certificate is accepted", rule->name,
		is_empty ? "matches no identity: all its sources are of others, such as" : "has a source of",
		unknown->domain);
	report(review, is_empty ? POLICY_RULE_EMPTY : POLICY_SOURCE_UNKNOWN, at, &why);
}

static void review_ports(const struct review *review, size_t at)
{
	const struct policy_rule *rule = &review->policy->rules[at];
	const struct policy_world *world = review->world;
	struct why why = {0};
	for (size_t i = 0; i < rule->num_ports && world->is_served != NULL; i++) {
		if (world->is_served(world->arg, rule->ports[i]))
			continue;
		(void)why_set(&why, ERR_CONFIG, "ports where a service of the workload listens",
			"correct the port, or add it to the service",
			"the rule %.90s has the port %u, and no service of the workload has", rule->name,
			rule->ports[i]);
		report(review, POLICY_PORT_UNSERVED, at, &why);
		return;
	}
}

void policy_findings(const struct policy *policy, const struct policy_world *world, policy_finding_fn *each, void *arg)
{
	const struct review review = {policy, world, each, arg};
	bool is_compared = policy->num_rules <= POLICY_COMPARED_MAX;
	struct why why = {0};
	for (size_t i = 0; i < policy->num_rules; i++) {
		if (!is_compared || !review_cover(&review, i))
			review_mode(&review, i);
		review_sources(&review, i);
		review_ports(&review, i);
	}
	if (is_compared)
		return;
	(void)why_set(&why, ERR_LIMIT, "at most 1024 rules per workload", "join rules",
		"the policy has %zu rules: they are not compared with each other", policy->num_rules);
	report(&review, POLICY_NOT_COMPARED, 0, &why);
}
