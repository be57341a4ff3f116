#include "control/kube/policy_object.h"
#include "base/core/check.h"
#include "base/core/mem.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	RULE_NAME_MAX = 100,     /* with the policy's name below what a sidecar takes, 255 */
	POLICY_NAME_SHOWN = 150, /* of the policy's name in that of a rule */
	ACCOUNT_MAX = 253,       /* a DNS subdomain */
	LABEL_MAX = 63,          /* of a namespace's name */
	PORT_MAX = 65535,
};

#define FIX "correct the policy and apply it again"

/* What is being read, for errors: "spec.rules[2].sources[0]". */
struct reader {
	const char *policy; /* the object's name */
	const char *namespace_;
	const struct trust_domain *trust_domain;
	size_t num_bytes; /* of all texts */
	struct why *detail;
};

static _printf_(4, 5) enum err
	wrong(const struct reader *reader, const char *where, const char *expected, const char *got, ...)
{
	char text[200];
	va_list arguments;
	va_start(arguments, got);
	(void)vsnprintf(text, sizeof(text), got, arguments);
	va_end(arguments);
	return why_set(reader->detail, ERR_MALFORMED, expected, FIX, "%s %s", where, text);
}

/* --- members --- */
static bool is_known(const char *key, const char *const *known)
{
	while (*known != NULL && strcmp(key, *known) != 0)
		known++;
	return *known != NULL;
}

static enum err check_members(
	const struct reader *reader, const char *where, const json_t *map, const char *const *known)
{
	const char *key;
	json_t *value;
	if (!json_is_object(map))
		return wrong(reader, where, "an object", "is none");
	json_object_foreach((json_t *)map, key, value) if (!is_known(key, known)) return why_set(reader->detail,
		ERR_UNSUPPORTED, "members that this release of Handfast knows",
		"update the control plane, or remove the member", "%s has the member '%.80s'", where, key);
	return ERR_NONE;
}

/* NULL: absent. */
static enum err text_read(
	struct reader *reader, const char *where, const json_t *map, const char *key, const char **out)
{
	const json_t *value = json_object_get(map, key);
	*out = NULL;
	if (value == NULL)
		return ERR_NONE;
	if (!json_is_string(value) || json_string_length(value) == 0 ||
		strlen(json_string_value(value)) != json_string_length(value))
		return wrong(reader, where, "a text that is not empty and has no NUL", "has another %s", key);
	*out = json_string_value(value);
	reader->num_bytes += json_string_length(value);
	if (reader->num_bytes > POLICY_TEXT_MAX)
		return why_set(reader->detail, ERR_LIMIT, "at most 64 KiB of text in a policy", "split the policy",
			"the policy is larger");
	return ERR_NONE;
}

static enum err flag_read(const struct reader *reader, const char *where, const json_t *map, const char *key, bool *out)
{
	const json_t *value = json_object_get(map, key);
	*out = json_is_true(value);
	if (value != NULL && !json_is_boolean(value))
		return wrong(reader, where, "true or false", "has another %s", key);
	return ERR_NONE;
}

/* An empty list looks like "none at all" and would match any: the intent must be explicit. */
static enum err list_read(
	const struct reader *reader, const char *where, const json_t *map, const char *key, size_t *out_num)
{
	const json_t *list = json_object_get(map, key);
	*out_num = json_array_size(list);
	if (list == NULL)
		return ERR_NONE;
	if (!json_is_array(list) || *out_num == 0)
		return wrong(reader, where, "a list with at least one item, or none of that name",
			"has %s that are no list or an empty one", key);
	if (*out_num > POLICY_ITEMS_MAX)
		return why_set(reader->detail, ERR_LIMIT, "at most 64 items in a list", "split the policy",
			"%s has %zu %s", where, *out_num, key);
	return ERR_NONE;
}

static enum err port_read(const struct reader *reader, const char *where, const json_t *value, uint16_t *out)
{
	json_int_t port = json_integer_value(value);
	if (port < 1 || port > PORT_MAX)
		return wrong(reader, where, "a port from 1 to 65535", "has another port");
	*out = (uint16_t)port;
	return ERR_NONE;
}

static enum err mode_read(
	struct reader *reader, const char *where, const json_t *map, bool *out_is_given, enum port_mode *out)
{
	static const char *const names[] = {"off", "permissive", "strict"};
	const char *text;
	unsigned mode = 0;
	RETURN_IF_ERR(text_read(reader, where, map, "mode", &text));
	*out_is_given = text != NULL;
	while (text != NULL && mode < 3 && strcmp(text, names[mode]) != 0)
		mode++;
	if (mode == 3)
		return wrong(reader, where, "the mode off, permissive or strict", "has the mode '%.40s'", text);
	*out = text == NULL ? *out : (enum port_mode)mode;
	return ERR_NONE;
}

/* --- rules --- */

/* As one segment of a SPIFFE ID, of the characters that Kubernetes has in names. */
static bool is_name(const char *text, size_t max)
{
	size_t len = strlen(text);
	return len > 0 && len <= max && strspn(text, "abcdefghijklmnopqrstuvwxyz0123456789-.") == len &&
	       text[0] != '.' && text[0] != '-' && text[len - 1] != '.' && text[len - 1] != '-';
}

static enum err name_read(
	struct reader *reader, const char *where, const json_t *map, const char *key, size_t max, const char **out)
{
	RETURN_IF_ERR(text_read(reader, where, map, key, out));
	if (*out != NULL && (!is_name(*out, max) || (max == LABEL_MAX && strchr(*out, '.') != NULL)))
		return wrong(reader, where, "the name of an object of Kubernetes", "has the %s '%.80s'", key, *out);
	return ERR_NONE;
}

struct source_members { /* NULL: absent */
	const char *namespace_, *account, *id, *trust_domain;
};

/* An account, or all of a namespace; without a namespace the policy's own. */
static struct config_source account_source(const struct reader *reader, const struct source_members *source)
{
	const char *domain = reader->trust_domain->name;
	const char *namespace_ = source->namespace_ == NULL ? reader->namespace_ : source->namespace_;
	if (source->account == NULL)
		return (struct config_source){SOURCE_NAMESPACE, mem_printf("%s/%s", domain, namespace_)};
	return (struct config_source){
		SOURCE_ID, mem_printf("spiffe://%s/ns/%s/sa/%s", domain, namespace_, source->account)};
}

static enum err source_members_read(
	struct reader *reader, const char *where, const json_t *map, struct source_members *out)
{
	static const char *const known[] = {"namespace", "serviceAccount", "id", "trustDomain", NULL};
	RETURN_IF_ERR(check_members(reader, where, map, known));
	RETURN_IF_ERR(name_read(reader, where, map, "namespace", LABEL_MAX, &out->namespace_));
	RETURN_IF_ERR(name_read(reader, where, map, "serviceAccount", ACCOUNT_MAX, &out->account));
	RETURN_IF_ERR(text_read(reader, where, map, "id", &out->id));
	RETURN_IF_ERR(text_read(reader, where, map, "trustDomain", &out->trust_domain));
	if ((out->id != NULL) + (out->trust_domain != NULL) + (out->namespace_ != NULL || out->account != NULL) != 1)
		return wrong(reader, where, "exactly one of id, trustDomain, and namespace or serviceAccount or both",
			"has none or several of them");
	return ERR_NONE;
}

static enum err source_read(struct reader *reader, const char *where, const json_t *map, struct config_source *out)
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

static enum err sources_read(struct reader *reader, const char *where, const json_t *map, struct config_rule *rule)
{
	char at[96];
	size_t num;
	RETURN_IF_ERR(list_read(reader, where, map, "sources", &num));
	rule->sources = num == 0 ? NULL : mem_calloc(num, sizeof(*rule->sources));
	for (size_t i = 0; i < num; i++) {
		snprintf(at, sizeof(at), "%s.sources[%zu]", where, i);
		RETURN_IF_ERR(
			source_read(reader, at, json_array_get(json_object_get(map, "sources"), i), &rule->sources[i]));
		rule->num_sources++;
	}
	return ERR_NONE;
}

static enum err networks_read(struct reader *reader, const char *where, const json_t *map, struct config_rule *rule)
{
	const json_t *list = json_object_get(map, "networks");
	size_t num;
	RETURN_IF_ERR(list_read(reader, where, map, "networks", &num));
	rule->networks = num == 0 ? NULL : mem_calloc(num, sizeof(*rule->networks));
	for (size_t i = 0; i < num; i++) {
		const char *text = json_string_value(json_array_get(list, i));
		if (text == NULL || network_parse(span_of_str(text), &rule->networks[i]) != ERR_NONE)
			return wrong(reader, where, "a network such as 192.0.2.0/24 or 2001:db8::/32 without host bits",
				"has the network '%.60s'", text == NULL ? "" : text);
		rule->num_networks++;
		reader->num_bytes += strlen(text);
	}
	return ERR_NONE;
}

static enum err rule_ports_read(
	const struct reader *reader, const char *where, const json_t *map, struct config_rule *rule)
{
	size_t num;
	RETURN_IF_ERR(list_read(reader, where, map, "ports", &num));
	rule->ports = num == 0 ? NULL : mem_calloc(num, sizeof(*rule->ports));
	const json_t *list = json_object_get(map, "ports");
	for (size_t i = 0; i < num; i++)
		RETURN_IF_ERR(port_read(reader, where, json_array_get(list, i), &rule->ports[rule->num_ports++]));
	return ERR_NONE;
}

static enum err action_read(struct reader *reader, const char *where, const json_t *map, struct config_rule *rule)
{
	const char *action;
	RETURN_IF_ERR(text_read(reader, where, map, "action", &action));
	if (action == NULL || (strcmp(action, "allow") != 0 && strcmp(action, "deny") != 0))
		return wrong(reader, where, "the action allow or deny", "has no action, or another one");
	rule->deny = action[0] == 'd';
	RETURN_IF_ERR(flag_read(reader, where, map, "dryRun", &rule->dry_run));
	RETURN_IF_ERR(flag_read(reader, where, map, "unauthenticated", &rule->unauthenticated));
	if (rule->unauthenticated && (rule->deny || json_object_get(map, "sources") != NULL))
		return wrong(reader, where, "unauthenticated only on an allow without sources",
			"is unauthenticated and something else");
	return ERR_NONE;
}

/* Into `rule`, also on failure, for config_workload_done(). */
static enum err rule_read(struct reader *reader, const char *where, const json_t *map, struct config_rule *rule)
{
	static const char *const known[] = {
		"name", "action", "dryRun", "unauthenticated", "sources", "networks", "ports", NULL};
	const char *name;
	RETURN_IF_ERR(check_members(reader, where, map, known));
	RETURN_IF_ERR(text_read(reader, where, map, "name", &name));
	if (name == NULL || strlen(name) > RULE_NAME_MAX)
		return wrong(reader, where, "a name of 1 to 100 bytes, for logs", "has none or a longer one");
	rule->name = mem_printf("%.*s/%s", POLICY_NAME_SHOWN, reader->policy, name);
	RETURN_IF_ERR(action_read(reader, where, map, rule));
	RETURN_IF_ERR(sources_read(reader, where, map, rule));
	RETURN_IF_ERR(networks_read(reader, where, map, rule));
	return rule_ports_read(reader, where, map, rule);
}

static enum err rules_read(struct reader *reader, const json_t *spec, struct config_workload *workload)
{
	char at[48];
	size_t num;
	RETURN_IF_ERR(list_read(reader, "spec", spec, "rules", &num));
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

static enum err port_modes_read(struct reader *reader, const json_t *spec, struct config_workload *workload)
{
	static const char *const known[] = {"port", "mode", NULL};
	char at[48];
	size_t num;
	RETURN_IF_ERR(list_read(reader, "spec", spec, "ports", &num));
	workload->ports = num == 0 ? NULL : mem_calloc(num, sizeof(*workload->ports));
	for (size_t i = 0; i < num; i++) {
		const json_t *item = json_array_get(json_object_get(spec, "ports"), i);
		struct config_port_mode *mode = &workload->ports[i];
		bool is_given = false;
		snprintf(at, sizeof(at), "spec.ports[%zu]", i);
		RETURN_IF_ERR(check_members(reader, at, item, known));
		RETURN_IF_ERR(port_read(reader, at, json_object_get(item, "port"), &mode->port));
		RETURN_IF_ERR(mode_read(reader, at, item, &is_given, &mode->mode));
		if (!is_given || has_port(workload, mode->port))
			return wrong(
				reader, at, "one mode for each port", "has no mode, or a port that is there before");
		workload->num_ports++;
	}
	return ERR_NONE;
}

static int compare(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static enum err accounts_read(struct reader *reader, const json_t *spec, struct policy_object *out)
{
	const json_t *list = json_object_get(spec, "serviceAccounts");
	size_t num;
	RETURN_IF_ERR(list_read(reader, "spec", spec, "serviceAccounts", &num));
	out->accounts = num == 0 ? NULL : mem_calloc(num, sizeof(*out->accounts));
	for (size_t i = 0; i < num; i++) {
		const char *text = json_string_value(json_array_get(list, i));
		if (text == NULL || !is_name(text, ACCOUNT_MAX))
			return wrong(reader, "spec.serviceAccounts",
				"names of service accounts of the policy's own namespace", "has '%.80s'",
				text == NULL ? "" : text);
		if (!policy_object_has_account(out, span_of_str(text)) || out->num_accounts == 0) {
			out->accounts[out->num_accounts++] = mem_strdup(text);
			qsort(out->accounts, out->num_accounts, sizeof(*out->accounts), compare);
		}
	}
	return ERR_NONE;
}

static enum err spec_read(struct reader *reader, const json_t *spec, struct policy_object *out)
{
	static const char *const known[] = {"serviceAccounts", "mode", "ports", "rules", NULL};
	struct config_workload *workload = &out->workload;
	RETURN_IF_ERR(check_members(reader, "spec", spec, known));
	workload->prefix = true;
	workload->identity = mem_printf("spiffe://%s/ns/%s/sa", reader->trust_domain->name, reader->namespace_);
	RETURN_IF_ERR(accounts_read(reader, spec, out));
	RETURN_IF_ERR(mode_read(reader, "spec", spec, &workload->has_mode, &workload->mode));
	RETURN_IF_ERR(port_modes_read(reader, spec, workload));
	RETURN_IF_ERR(rules_read(reader, spec, workload));
	if (!workload->has_mode && workload->num_ports == 0 && workload->num_rules == 0)
		return wrong(reader, "spec", "a mode, ports or rules", "has none of them");
	return ERR_NONE;
}

enum err policy_object_parse(
	const json_t *object, const struct trust_domain *trust_domain, struct policy_object *out, struct why *why)
{
	const json_t *meta = json_object_get(object, "metadata");
	struct reader reader = {.trust_domain = trust_domain, .detail = why};
	struct policy_object policy = {0};
	RETURN_IF_ERR(name_read(&reader, "metadata", meta, "name", ACCOUNT_MAX, &reader.policy));
	RETURN_IF_ERR(name_read(&reader, "metadata", meta, "namespace", LABEL_MAX, &reader.namespace_));
	if (reader.policy == NULL || reader.namespace_ == NULL)
		return wrong(&reader, "metadata", "a name and a namespace", "has none");
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
