/* The policy section: modes and rules, workload by workload. */
#include "base/core/check.h"
#include "base/core/mem.h"
#include "control/config/config_private.h"
#include <stdio.h>

/* What the text must be for a rule to match anything: checked as the SPIFFE ID it stands for. */
static enum err source_check(enum config_source_kind kind, const char *text, struct why *why)
{
	_cleanup_(spiffe_id_done) struct spiffe_id id = {0};
	struct trust_domain domain;
	char whole[SPIFFE_ID_MAX + 32];
	const char *slash = strchr(text, '/');
	switch (kind) {
	case SOURCE_ID:
	case SOURCE_ID_PREFIX:
		return spiffe_id_parse(span_of_str(text), &id, why);
	case SOURCE_TRUST_DOMAIN:
		return trust_domain_parse(span_of_str(text), &domain, why);
	case SOURCE_ID_SUFFIX:
	case SOURCE_NAMESPACE:
		break;
	}
	if (slash == NULL || (kind == SOURCE_NAMESPACE && strchr(slash + 1, '/') != NULL))
		return why_set(why, ERR_MALFORMED,
			kind == SOURCE_NAMESPACE ? "trust-domain/namespace" : "trust-domain/last/segments",
			"write it like cluster.local/shop", "the value is '%s'", text);
	snprintf(whole, sizeof(whole), "spiffe://%s", text);
	return spiffe_id_parse(span_of_str(whole), &id, why);
}

static bool source_read(struct settings *settings, struct setting_node *map, struct config_source *out)
{
	static const char *const names[] = {"id", "id_prefix", "id_suffix", "trust_domain", "namespace"};
	unsigned num = 0;
	struct why why = {0};
	for (unsigned kind = 0; kind < sizeof(names) / sizeof(names[0]); kind++) {
		const char *text = setting_text(settings, map, names[kind]);
		if (text == NULL)
			continue;
		num++;
		mem_free(out->text);
		*out = (struct config_source){.kind = (enum config_source_kind)kind, .text = mem_strdup(text)};
		if (source_check(out->kind, text, &why) != ERR_NONE)
			setting_error_why(settings, map, names[kind], &why);
	}
	if (num != 1)
		setting_error(settings, map, "exactly one of id, id_prefix, id_suffix, trust_domain, namespace",
			"make one source of each", "%u of them are given", num);
	return num != 0;
}

/* An empty list looks like "none at all" and would match any: the intent must be explicit. */
static void must_not_be_empty(struct settings *settings, struct setting_node *map, const char *key)
{
	struct setting_node *list = setting_empty_list(map, key);
	if (list != NULL)
		setting_error(settings, list, "at least one item",
			"list what the rule shall match, or remove the key: without it the rule matches any",
			"the list is empty");
}

static void sources_read(struct settings *settings, struct setting_node *map, struct config_rule *rule)
{
	struct setting_node *list;
	size_t num = setting_list(settings, map, "sources", &list);
	rule->sources = num == 0 ? NULL : mem_calloc(num, sizeof(*rule->sources));
	for (size_t i = 0; i < num; i++) {
		struct setting_node *item = setting_item_map(settings, list, i);
		if (item != NULL && source_read(settings, item, &rule->sources[rule->num_sources]))
			rule->num_sources++;
	}
}

static void rule_ports_read(struct settings *settings, struct setting_node *map, struct config_rule *rule)
{
	struct setting_node *list;
	size_t num = setting_list(settings, map, "ports", &list);
	rule->ports = num == 0 ? NULL : mem_calloc(num, sizeof(*rule->ports));
	for (size_t i = 0; i < num; i++) {
		uint64_t port = setting_item_number(settings, list, i);
		if (port != 0)
			rule->ports[rule->num_ports++] = (uint16_t)port;
	}
}

static void rule_read(struct settings *settings, struct setting_node *map, struct config_rule *rule)
{
	rule->name = mem_strdup(setting_required_text(settings, map, "name", "the rule's name, for logs"));
	rule->deny = setting_keyword(settings, map, "action") == 1;
	rule->dry_run = setting_bool(settings, map, "dry_run");
	rule->unauthenticated = setting_bool(settings, map, "unauthenticated");
	must_not_be_empty(settings, map, "sources");
	must_not_be_empty(settings, map, "networks");
	must_not_be_empty(settings, map, "ports");
	sources_read(settings, map, rule);
	rule->networks = setting_networks(settings, map, "networks", &rule->num_networks);
	rule_ports_read(settings, map, rule);
	if (rule->unauthenticated && (rule->deny || rule->num_sources != 0))
		setting_error(settings, map, "unauthenticated only on an allow without sources",
			"remove sources, or make a rule of its own", "it stands in another rule");
}

static void port_modes_read(struct settings *settings, struct setting_node *map, struct config_workload *workload)
{
	struct setting_node *list;
	size_t num = setting_list(settings, map, "ports", &list);
	workload->ports = num == 0 ? NULL : mem_calloc(num, sizeof(*workload->ports));
	for (size_t i = 0; i < num; i++) {
		struct setting_node *item = setting_item_map(settings, list, i);
		struct config_port_mode mode = {
			.port = (uint16_t)setting_number(settings, item, "port"),
			.mode = (enum port_mode)setting_keyword(settings, item, "mode"),
		};
		if (item != NULL && mode.port == 0)
			setting_error(settings, item, "a port", "add 'port: 80'", "the port is missing");
		workload->ports[workload->num_ports++] = mode;
	}
}

static void workload_identity_read(
	struct settings *settings, struct setting_node *map, struct config_workload *workload)
{
	_cleanup_(spiffe_id_done) struct spiffe_id id = {0};
	const char *exact = setting_text(settings, map, "identity");
	const char *prefix = setting_text(settings, map, "identity_prefix");
	workload->prefix = exact == NULL && prefix != NULL;
	workload->identity = mem_strdup(exact != NULL ? exact : prefix != NULL ? prefix : "");
	if ((exact == NULL) == (prefix == NULL)) {
		setting_error(settings, map, "identity or identity_prefix", "give exactly one",
			exact == NULL ? "neither is given" : "both are given");
		return;
	}
	struct why why = {0};
	if (spiffe_id_parse(span_of_str(workload->identity), &id, &why) != ERR_NONE)
		setting_error_why(settings, map, exact != NULL ? "identity" : "identity_prefix", &why);
}

static void workload_read(struct settings *settings, struct setting_node *map, struct config_workload *workload)
{
	struct setting_node *list;
	workload_identity_read(settings, map, workload);
	workload->has_mode = setting_text(settings, map, "default_mode") != NULL;
	workload->mode = (enum port_mode)setting_keyword(settings, map, "default_mode");
	port_modes_read(settings, map, workload);
	size_t num = setting_list(settings, map, "rules", &list);
	workload->rules = num == 0 ? NULL : mem_calloc(num, sizeof(*workload->rules));
	for (size_t i = 0; i < num; i++) {
		struct setting_node *item = setting_item_map(settings, list, i);
		if (item != NULL)
			rule_read(settings, item, &workload->rules[workload->num_rules++]);
	}
}

void config_policy_read(struct settings *settings, struct control_config *config)
{
	struct setting_node *list, *map = setting_map(settings, settings_root(settings), "policy");
	config->default_mode = (enum port_mode)setting_keyword(settings, map, "default_mode");
	size_t num = setting_list(settings, map, "workloads", &list);
	config->workloads = num == 0 ? NULL : mem_calloc(num, sizeof(*config->workloads));
	for (size_t i = 0; i < num; i++) {
		struct setting_node *item = setting_item_map(settings, list, i);
		if (item != NULL)
			workload_read(settings, item, &config->workloads[config->num_workloads++]);
	}
}

static void rule_check(const struct config_rule *rule)
{
	CHECK(rule->name[0] != '\0');
	CHECK((rule->sources == NULL) == (rule->num_sources == 0));
	CHECK((rule->networks == NULL) == (rule->num_networks == 0));
	CHECK((rule->ports == NULL) == (rule->num_ports == 0));
	CHECK(!rule->unauthenticated || (!rule->deny && rule->num_sources == 0));
	for (size_t i = 0; i < rule->num_ports; i++)
		CHECK(rule->ports[i] != 0);
}

void config_policy_check(const struct control_config *config)
{
	for (size_t i = 0; i < config->num_workloads; i++) {
		const struct config_workload *workload = &config->workloads[i];
		CHECK(workload->identity[0] != '\0');
		for (size_t j = 0; j < workload->num_ports; j++)
			CHECK(workload->ports[j].port != 0);
		for (size_t j = 0; j < workload->num_rules; j++)
			rule_check(&workload->rules[j]);
	}
}

static void rule_done(struct config_rule *rule)
{
	for (size_t i = 0; i < rule->num_sources; i++)
		mem_free(rule->sources[i].text);
	mem_free(rule->sources);
	mem_free(rule->networks);
	mem_free(rule->ports);
	mem_free(rule->name);
}

void config_workload_done(struct config_workload *workload)
{
	for (size_t i = 0; i < workload->num_rules; i++)
		rule_done(&workload->rules[i]);
	mem_free(workload->rules);
	mem_free(workload->ports);
	mem_free(workload->identity);
}

void config_policy_done(struct control_config *config)
{
	for (size_t i = 0; i < config->num_workloads; i++)
		config_workload_done(&config->workloads[i]);
	mem_free(config->workloads);
}
