#include "control/distribute/policy_review.h"
#include "base/core/check.h"
#include "policy/policy_message.h"

#define MESSAGE_MAX (16u * 1024 * 1024)

struct reviewing {
	const struct mesh_state *state;
	const char *selector;
	size_t first, num; /* which rules are the section's own */
	policy_warning_fn *each;
	void *arg;
};

static void report(const struct reviewing *reviewing, const char *kind, const struct why *why)
{
	const struct policy_warning warning = {reviewing->selector, kind, *why};
	reviewing->each(reviewing->arg, &warning);
}

static void on_finding(void *arg, const struct policy_finding *finding)
{
	const struct reviewing *reviewing = arg;
	bool is_own = finding->rule >= reviewing->first && finding->rule - reviewing->first < reviewing->num;
	if (is_own || (finding->kind == POLICY_NOT_COMPARED && reviewing->num > 0))
		report(reviewing, policy_finding_text(finding->kind), &finding->detail);
}

/* --- what the workload serves --- */

static bool is_served(void *arg, uint16_t port)
{
	const struct mesh_state *state = arg;
	for (size_t i = 0; i < state->config->num_services; i++) {
		const struct config_service *service = &state->config->services[i];
		for (size_t j = 0; spiffe_id_eq(&service->identity, state->id) && j < service->num_ports; j++)
			if (service->ports[j].target == port)
				return true;
	}
	return false;
}

/* Without a service of the workload, its ports are not known. */
static bool has_service(const struct mesh_state *state)
{
	for (size_t i = 0; i < state->config->num_services; i++)
		if (spiffe_id_eq(&state->config->services[i].identity, state->id))
			return true;
	return false;
}

static bool is_federated(void *arg, struct span trust_domain)
{
	const struct mesh_state *state = arg;
	for (size_t i = 0; i < state->config->federation.num_partners; i++)
		if (span_eq(span_of_str(state->config->federation.partners[i].domain.name), trust_domain))
			return true;
	return false;
}

/* --- one section --- */

static void review_rules(struct reviewing *reviewing)
{
	const struct mesh_state *state = reviewing->state;
	const struct policy_world world = {.is_federated = is_federated,
		.is_served = has_service(state) ? is_served : NULL,
		.arg = (void *)(uintptr_t)state};
	_cleanup_(buf_done) struct buf message = BUF_INIT(MESSAGE_MAX);
	_cleanup_(policy_unrefp) struct policy *policy = NULL;
	struct why why = {0};
	enum err err = encode_policy(state, &message);
	if (err != ERR_NONE)
		(void)why_set(
			&why, err, "a policy of at most 16 MiB per workload", "join rules", "the policy is larger");
	else
		err = policy_message_parse(buf_span(&message), &state->config->trust_domain, &policy, &why);
	if (err != ERR_NONE)
		report(reviewing, "refused", &why); /* every sidecar would */
	else
		policy_findings(policy, &world, on_finding, reviewing);
}

static bool review_section(const struct reviewing *reviewing, const struct config_workload *section)
{
	const struct trust_domain *own = &reviewing->state->config->trust_domain;
	struct why why = {0};
	if (!spiffe_id_in_trust_domain(reviewing->state->id, own)) {
		(void)why_set(&why, ERR_CONFIG, "an identity of this mesh", "correct the trust domain",
			"the section is for a workload of another trust domain than %.90s: it selects nothing",
			own->name);
		report(reviewing, "foreign", &why);
		return false;
	}
	if (!section->has_mode && section->num_ports == 0 && section->num_rules == 0) {
		(void)why_set(&why, ERR_CONFIG, "a default_mode, ports or rules", "add one, or remove the section",
			"the section has none of them: it changes nothing");
		report(reviewing, "no_content", &why);
		return false;
	}
	return true;
}

static size_t rules_before(const struct control_config *config, size_t section, const struct spiffe_id *id)
{
	size_t num = 0;
	for (size_t i = 0; i < section; i++)
		if (encode_policy_names(&config->workloads[i], id))
			num += config->workloads[i].num_rules;
	return num;
}

void policy_review_settings(const struct control_config *config, policy_warning_fn *each, void *arg)
{
	for (size_t i = 0; i < config->num_workloads && i < POLICY_SECTIONS_REVIEWED_MAX; i++) {
		const struct config_workload *section = &config->workloads[i];
		_cleanup_(spiffe_id_done) struct spiffe_id id = {0};
		CHECK(spiffe_id_parse(span_of_str(section->identity), &id, NULL) ==
			ERR_NONE); /* as config_policy.c did */
		const struct mesh_state state = {.config = config, .id = &id};
		struct reviewing reviewing = {
			&state, section->identity, rules_before(config, i, &id), section->num_rules, each, arg};
		if (review_section(&reviewing, section))
			review_rules(&reviewing);
	}
}

void policy_review_found(const struct mesh_state *state, size_t own, policy_warning_fn *each, void *arg)
{
	size_t first = 0;
	CHECK(state->found != NULL && own < state->found->num && state->config->num_workloads == 0);
	for (size_t i = 0; i < own; i++)
		first += state->found->list[i]->num_rules;
	const struct config_workload *section = state->found->list[own];
	struct reviewing reviewing = {state, section->identity, first, section->num_rules, each, arg};
	review_rules(&reviewing);
}
