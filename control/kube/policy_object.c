#include "control/kube/policy_object.h"
#include "base/core/check.h"
#include "base/core/mem.h"
#include "control/kube/policy_members.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	RULE_NAME_MAX = 100,     /* with the policy's name below what a sidecar takes, 255 */
	POLICY_NAME_SHOWN = 150, /* of the policy's name in that of a rule */
};

/* --- rules --- */

struct source_members { /* NULL: absent */
	const char *namespace_, *account, *id, *trust_domain;
};

/* An account, or all of a namespace; without a namespace the policy's own. */
static struct config_source account_source(const struct policy_reader *reader, const struct source_members *source)
{
	const char *domain = reader->trust_domain->name;
	const char *namespace_ = source->namespace_ == NULL ? reader->namespace_ : source->namespace_;
	if (source->account == NULL)
		return (struct config_source){SOURCE_NAMESPACE, mem_printf("%s/%s", domain, namespace_)};
	return (struct config_source){
		SOURCE_ID, mem_printf("spiffe://%s/ns/%s/sa/%s", domain, namespace_, source->account)};
}

static enum err source_members_read(
	struct policy_reader *reader, const char *where, const json_t *map, struct source_members *out)
{
	static const char *const known[] = {"namespace", "serviceAccount", "id", "trustDomain", NULL};
	RETURN_IF_ERR(members_check(reader, where, map, known));
	RETURN_IF_ERR(member_name(reader, where, map, "namespace", POLICY_LABEL_MAX, &out->namespace_));
	RETURN_IF_ERR(member_name(reader, where, map, "serviceAccount", POLICY_ACCOUNT_MAX, &out->account));
	RETURN_IF_ERR(member_text(reader, where, map, "id", &out->id));
	RETURN_IF_ERR(member_text(reader, where, map, "trustDomain", &out->trust_domain));
	if ((out->id != NULL) + (out->trust_domain != NULL) + (out->namespace_ != NULL || out->account != NULL) != 1)
		return member_wrong(reader, where,
			"exactly one of id, trustDomain, and namespace or serviceAccount or both",
			"has none or several of them");
	return ERR_NONE;
}

static enum err source_read(
	struct policy_reader *reader, const char *where, const json_t *map, struct config_source *out)
{
	_cleanup_(spiffe_id_done) struct spiffe_id parsed = {0};
	struct trust_domain domain;
	struct source_members source = {0};
	RETURN_IF_ERR(source_members_read(reader, where, map, &source));
	if (source.id != NULL)
		RETURN_IF_ERR(spiffe_id_parse(span_of_str(source.id), &parsed, reader->detail));
	if (source.trust_domain != NULL)
		RETURN_IF_ERR(trust_domain_parse(span_of_str(source.trust_domain), &domain, reader->detail));
	*out = source.id != NULL ? (struct config_source){SOURCE_ID, mem_strdup(source.id)}
	       : source.trust_domain != NULL
		       ? (struct config_source){SOURCE_TRUST_DOMAIN, mem_strdup(source.trust_domain)}
		       : account_source(reader, &source);
	return ERR_NONE;
}

static enum err sources_read(
	struct policy_reader *reader, const char *where, const json_t *map, struct config_rule *rule)
{
	char at[96];
	size_t num;
	RETURN_IF_ERR(member_list(reader, where, map, "sources", &num));
	rule->sources = num == 0 ? NULL : mem_calloc(num, sizeof(*rule->sources));
	for (size_t i = 0; i < num; i++) {
		snprintf(at, sizeof(at), "%s.sources[%zu]", where, i);
		RETURN_IF_ERR(
			source_read(reader, at, json_array_get(json_object_get(map, "sources"), i), &rule->sources[i]));
		rule->num_sources++;
	}
	return ERR_NONE;
}

static enum err networks_read(
	struct policy_reader *reader, const char *where, const json_t *map, struct config_rule *rule)
{
	const json_t *list = json_object_get(map, "networks");
	size_t num;
	RETURN_IF_ERR(member_list(reader, where, map, "networks", &num));
	rule->networks = num == 0 ? NULL : mem_calloc(num, sizeof(*rule->networks));
	for (size_t i = 0; i < num; i++) {
		const char *text = json_string_value(json_array_get(list, i));
		if (text == NULL || network_parse(span_of_str(text), &rule->networks[i]) != ERR_NONE)
			return member_wrong(reader, where,
				"a network such as 192.0.2.0/24 or 2001:db8::/32 without host bits",
				"has the network '%.60s'", text == NULL ? "" : text);
		rule->num_networks++;
		reader->num_bytes += strlen(text);
	}
	return ERR_NONE;
}

static enum err rule_ports_read(
	const struct policy_reader *reader, const char *where, const json_t *map, struct config_rule *rule)
{
	size_t num;
	RETURN_IF_ERR(member_list(reader, where, map, "ports", &num));
	rule->ports = num == 0 ? NULL : mem_calloc(num, sizeof(*rule->ports));
	const json_t *list = json_object_get(map, "ports");
	for (size_t i = 0; i < num; i++)
		RETURN_IF_ERR(member_port(reader, where, json_array_get(list, i), &rule->ports[rule->num_ports++]));
	return ERR_NONE;
}

static enum err action_read(
	struct policy_reader *reader, const char *where, const json_t *map, struct config_rule *rule)
{
	const char *action;
	RETURN_IF_ERR(member_text(reader, where, map, "action", &action));
	if (action == NULL || (strcmp(action, "allow") != 0 && strcmp(action, "deny") != 0))
		return member_wrong(reader, where, "the action allow or deny", "has no action, or another one");
	rule->deny = action[0] == 'd';
	RETURN_IF_ERR(member_flag(reader, where, map, "dryRun", &rule->dry_run));
	RETURN_IF_ERR(member_flag(reader, where, map, "unauthenticated", &rule->unauthenticated));
	if (rule->unauthenticated && (rule->deny || json_object_get(map, "sources") != NULL))
		return member_wrong(reader, where, "unauthenticated only on an allow without sources",
			"is unauthenticated and something else");
	return ERR_NONE;
}

/* Into `rule`, also on failure, for config_workload_done(). */
static enum err rule_read(struct policy_reader *reader, const char *where, const json_t *map, struct config_rule *rule)
{
	static const char *const known[] = {
		"name", "action", "dryRun", "unauthenticated", "sources", "networks", "ports", NULL};
	const char *name;
	RETURN_IF_ERR(members_check(reader, where, map, known));
	RETURN_IF_ERR(member_text(reader, where, map, "name", &name));
	if (name == NULL || strlen(name) > RULE_NAME_MAX)
		return member_wrong(reader, where, "a name of 1 to 100 bytes, for logs", "has none or a longer one");
	rule->name = mem_printf("%.*s/%s", POLICY_NAME_SHOWN, reader->policy, name);
	RETURN_IF_ERR(action_read(reader, where, map, rule));
	RETURN_IF_ERR(sources_read(reader, where, map, rule));
	RETURN_IF_ERR(networks_read(reader, where, map, rule));
	return rule_ports_read(reader, where, map, rule);
}

static enum err rules_read(struct policy_reader *reader, const json_t *spec, struct config_workload *workload)
{
	char at[48];
	size_t num;
	RETURN_IF_ERR(member_list(reader, "spec", spec, "rules", &num));
	workload->rules = num == 0 ? NULL : mem_calloc(num, sizeof(*workload->rules));
	for (size_t i = 0; i < num; i++) {
		snprintf(at, sizeof(at), "spec.rules[%zu]", i);
		RETURN_IF_ERR(rule_read(reader, at, json_array_get(json_object_get(spec, "rules"), i),
			&workload->rules[workload->num_rules++]));
	}
	return ERR_NONE;
}

/* --- modes and subjects --- */

static bool has_port(const struct config_workload *workload, uint16_t port)
{
	for (size_t i = 0; i < workload->num_ports; i++)
		if (workload->ports[i].port == port)
			return true;
	return false;
}

static enum err port_modes_read(struct policy_reader *reader, const json_t *spec, struct config_workload *workload)
{
	static const char *const known[] = {"port", "mode", NULL};
	char at[48];
	size_t num;
	RETURN_IF_ERR(member_list(reader, "spec", spec, "ports", &num));
	workload->ports = num == 0 ? NULL : mem_calloc(num, sizeof(*workload->ports));
	for (size_t i = 0; i < num; i++) {
		const json_t *item = json_array_get(json_object_get(spec, "ports"), i);
		struct config_port_mode *mode = &workload->ports[i];
		bool is_given = false;
		snprintf(at, sizeof(at), "spec.ports[%zu]", i);
		RETURN_IF_ERR(members_check(reader, at, item, known));
		RETURN_IF_ERR(member_port(reader, at, json_object_get(item, "port"), &mode->port));
		RETURN_IF_ERR(member_mode(reader, at, item, &is_given, &mode->mode));
		if (!is_given || has_port(workload, mode->port))
			return member_wrong(
				reader, at, "one mode for each port", "has no mode, or a port that is there before");
		workload->num_ports++;
	}
	return ERR_NONE;
}

static int compare(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static enum err accounts_read(struct policy_reader *reader, const json_t *spec, struct policy_object *out)
{
	const json_t *list = json_object_get(spec, "serviceAccounts");
	size_t num;
	RETURN_IF_ERR(member_list(reader, "spec", spec, "serviceAccounts", &num));
	out->accounts = num == 0 ? NULL : mem_calloc(num, sizeof(*out->accounts));
	for (size_t i = 0; i < num; i++) {
		const char *text = json_string_value(json_array_get(list, i));
		if (text == NULL || !member_is_name(text, POLICY_ACCOUNT_MAX))
			return member_wrong(reader, "spec.serviceAccounts",
				"names of service accounts of the policy's own namespace", "has '%.80s'",
				text == NULL ? "" : text);
		if (!policy_object_has_account(out, span_of_str(text)) || out->num_accounts == 0) {
			out->accounts[out->num_accounts++] = mem_strdup(text);
			qsort(out->accounts, out->num_accounts, sizeof(*out->accounts), compare);
		}
	}
	return ERR_NONE;
}

static enum err spec_read(struct policy_reader *reader, const json_t *spec, struct policy_object *out)
{
	static const char *const known[] = {"serviceAccounts", "mode", "ports", "rules", NULL};
	struct config_workload *workload = &out->workload;
	RETURN_IF_ERR(members_check(reader, "spec", spec, known));
	workload->prefix = true;
	workload->identity = mem_printf("spiffe://%s/ns/%s/sa", reader->trust_domain->name, reader->namespace_);
	RETURN_IF_ERR(accounts_read(reader, spec, out));
	RETURN_IF_ERR(member_mode(reader, "spec", spec, &workload->has_mode, &workload->mode));
	RETURN_IF_ERR(port_modes_read(reader, spec, workload));
	RETURN_IF_ERR(rules_read(reader, spec, workload));
	if (!workload->has_mode && workload->num_ports == 0 && workload->num_rules == 0)
		return member_wrong(reader, "spec", "a mode, ports or rules", "has none of them");
	return ERR_NONE;
}

enum err policy_object_parse(
	const json_t *object, const struct trust_domain *trust_domain, struct policy_object *out, struct why *why)
{
	const json_t *meta = json_object_get(object, "metadata");
	struct policy_reader reader = {.trust_domain = trust_domain, .detail = why};
	struct policy_object policy = {0};
	RETURN_IF_ERR(member_name(&reader, "metadata", meta, "name", POLICY_ACCOUNT_MAX, &reader.policy));
	RETURN_IF_ERR(member_name(&reader, "metadata", meta, "namespace", POLICY_LABEL_MAX, &reader.namespace_));
	if (reader.policy == NULL || reader.namespace_ == NULL)
		return member_wrong(&reader, "metadata", "a name and a namespace", "has none");
	enum err err = spec_read(&reader, json_object_get(object, "spec"), &policy);
	if (err != ERR_NONE)
		policy_object_done(&policy);
	else
		*out = policy;
	return err;
}

void policy_object_done(struct policy_object *policy)
{
	for (size_t i = 0; i < policy->num_accounts; i++)
		mem_free(policy->accounts[i]);
	mem_free(policy->accounts);
	config_workload_done(&policy->workload);
}

bool policy_object_has_account(const struct policy_object *policy, struct span account)
{
	size_t from = 0, to = policy->num_accounts;
	while (from < to) {
		size_t at = from + (to - from) / 2;
		struct span here = span_of_str(policy->accounts[at]);
		int order = memcmp(here.ptr, account.ptr, here.len < account.len ? here.len : account.len);
		if (order == 0 && here.len == account.len)
			return true;
		if (order < 0 || (order == 0 && here.len < account.len))
			from = at + 1;
		else
			to = at;
	}
	return policy->num_accounts == 0;
}
