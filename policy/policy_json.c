#include "policy/policy_json.h"
#include "base/core/check.h"
#include "base/core/escape.h"
#include <stdio.h>

enum { TEXT_MAX = 2304 };

static json_t *text_json(const char *text)
{
	char safe[TEXT_MAX];
	escape_ascii(span_of_str(text), safe, sizeof safe);
	return json_string(safe);
}

static json_t *source_json(const struct source_match *source)
{
	static const char *const keys[] = {"id", "id_prefix", "id_suffix", "trust_domain", "namespace"};
	bool is_uri = source->kind == MATCH_ID || source->kind == MATCH_ID_PREFIX;
	char text[TEXT_MAX];
	snprintf(text, sizeof text, "%s%s%s%s", is_uri ? "spiffe://" : "", source->domain,
		source->kind == MATCH_NAMESPACE ? "/" : "", source->path);
	return json_pack("{s:o}", keys[source->kind], text_json(text));
}

static json_t *rule_json(const struct policy_rule *rule)
{
	json_t *sources = json_array(), *networks = json_array(), *ports = json_array();
	char text[ADDR_TEXT_MAX];
	for (size_t i = 0; i < rule->num_sources; i++)
		json_array_append_new(sources, source_json(&rule->sources[i]));
	for (size_t i = 0; i < rule->num_networks; i++)
		json_array_append_new(networks, json_string(network_format(&rule->networks[i], text)));
	for (size_t i = 0; i < rule->num_ports; i++)
		json_array_append_new(ports, json_integer(rule->ports[i]));
	return json_pack("{s:o, s:s, s:b, s:b, s:o, s:o, s:o}", "name", text_json(rule->name), "action",
		rule->deny ? "deny" : "allow", "dry_run", rule->dry_run, "unauthenticated", rule->unauthenticated,
		"sources", sources, "networks", networks, "ports", ports);
}

json_t *policy_json(const struct policy *policy)
{
	json_t *ports = json_array(), *rules = json_array();
	for (size_t i = 0; i < policy->num_ports; i++)
		json_array_append_new(ports, json_pack("{s:i, s:s}", "port", (int)policy->ports[i].port, "mode",
						     inbound_mode_text(policy->ports[i].mode)));
	for (size_t i = 0; i < policy->num_rules; i++)
		json_array_append_new(rules, rule_json(&policy->rules[i]));
	return json_pack("{s:s, s:s, s:o, s:o}", "trust_domain", policy->own_domain.name, "default_mode",
		inbound_mode_text(policy->default_mode), "ports", ports, "rules", rules);
}

json_t *policy_explanation_json(
	const struct policy_explanation *explanation, const struct policy_source *source, uint16_t port)
{
	const struct policy_decision *decision = &explanation->decision;
	char ip[ADDR_TEXT_MAX];
	json_t *object = json_pack("{s:o, s:i, s:s, s:s, s:s, s:s, s:o, s:o, s:o}", "from",
		source->id == NULL ? json_null() : text_json(source->id->text), "port", (int)port, "outcome",
		policy_outcome_text(decision->outcome), "mode", inbound_mode_text(explanation->mode), "mode_of",
		explanation->is_mode_of_port ? "port" : "default", "decided_by", policy_ground_text(decision->ground),
		"rule", text_json(decision->rule), "reason", text_json(explanation->reason), "change",
		text_json(explanation->change));
	if (source->ip.family != 0)
		json_object_set_new(object, "address", json_string(ip_addr_format(&source->ip, ip)));
	if (decision->dry_run_rule != NULL)
		json_object_set_new(object, "dry_run",
			json_pack("{s:o, s:s}", "rule", text_json(decision->dry_run_rule), "outcome",
				policy_outcome_text(explanation->dry_run_outcome)));
	return object;
}
