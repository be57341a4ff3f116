#include "policy/policy.h"
#include "base/core/check.h"
#include "base/core/mem.h"
#include <stdatomic.h>
#include <stdio.h>

static atomic_uint_least64_t last_generation;

struct policy *policy_new(const struct trust_domain *own_domain, enum inbound_mode default_mode)
{
	struct policy *policy = mem_new(struct policy);
	policy->refs = 1;
	policy->generation = atomic_fetch_add(&last_generation, 1) + 1;
	policy->own_domain = *own_domain;
	policy->default_mode = default_mode;
	return policy;
}

static size_t port_position(const struct policy *policy, uint16_t port)
{
	size_t low = 0, high = policy->num_ports;
	while (low < high) {
		size_t middle = (low + high) / 2;
		if (policy->ports[middle].port < port)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

void policy_set_port_mode(struct policy *policy, uint16_t port, enum inbound_mode mode)
{
	size_t at = port_position(policy, port);
	CHECK(at == 0 || policy->ports[at - 1].port < port); /* sorted */
	if (at == policy->num_ports || policy->ports[at].port != port) {
		policy->ports = mem_realloc(policy->ports, (policy->num_ports + 1) * sizeof(*policy->ports));
		memmove(&policy->ports[at + 1], &policy->ports[at], (policy->num_ports - at) * sizeof(*policy->ports));
		policy->num_ports++;
	}
	policy->ports[at] = (struct policy_port){.port = port, .mode = mode};
}

enum inbound_mode policy_mode(const struct policy *policy, uint16_t port)
{
	size_t at = port_position(policy, port);
	if (at < policy->num_ports && policy->ports[at].port == port)
		return policy->ports[at].mode;
	return policy->default_mode;
}

bool policy_has_port(const struct policy *policy, uint16_t port)
{
	size_t at = port_position(policy, port);
	return at < policy->num_ports && policy->ports[at].port == port;
}

struct policy_rule *policy_add_rule(struct policy *policy, const char *name)
{
	policy->rules = mem_realloc(policy->rules, (policy->num_rules + 1) * sizeof(*policy->rules));
	struct policy_rule *rule = &policy->rules[policy->num_rules++];
	*rule = (struct policy_rule){.name = mem_strdup(name)};
	return rule;
}

static char *text_of(struct span span)
{
	char *text = mem_alloc(span.len + 1);
	memcpy(text, span.ptr, span.len);
	text[span.len] = '\0';
	return text;
}

/* Checks the path as part of a SPIFFE ID, so that a rule cannot name an identity that cannot exist. */
static enum err path_check(enum source_match_kind kind, struct span domain, struct span path, struct why *why)
{
	_cleanup_(spiffe_id_done) struct spiffe_id id = {0};
	char text[SPIFFE_ID_MAX + 1];
	bool bare = kind == MATCH_NAMESPACE;
	if (domain.len + path.len + 16 > sizeof(text))
		return why_set(why, ERR_TOO_LARGE, "a source of at most 2048 bytes", "shorten the source",
			"the source of a rule has %zu bytes", domain.len + path.len);
	if (memchr(path.ptr == NULL ? (const uint8_t *)"" : path.ptr, '\0', path.len) != NULL)
		return why_set(why, ERR_MALFORMED, "a path without NUL", "remove the NUL byte",
			"the path of a rule's source contains a NUL byte");
	int len = snprintf(text, sizeof(text), "spiffe://%.*s%s%.*s", (int)domain.len, (const char *)domain.ptr,
		bare ? "/ns/" : "", (int)path.len, (const char *)path.ptr);
	return spiffe_id_parse(span_of(text, (size_t)len), &id, why);
}

enum err policy_rule_add_source(
	struct policy_rule *rule, enum source_match_kind kind, struct span domain, struct span path, struct why *why)
{
	struct trust_domain parsed;
	RETURN_IF_ERR(trust_domain_parse(domain, &parsed, why));
	bool needs_path = kind != MATCH_TRUST_DOMAIN && kind != MATCH_ID_PREFIX;
	if (needs_path && path.len == 0)
		return why_set(why, ERR_MALFORMED, "a source with a path", "add the path, or use trust_domain",
			"the source of a rule has no path, only the trust domain %s", parsed.name);
	/* Without the slash, the path would be parsed as part of the trust domain's name. */
	if (kind != MATCH_NAMESPACE && path.len > 0 && path.ptr[0] != '/')
		return why_set(why, ERR_MALFORMED, "a path that begins with a slash", "write the path as /a/b",
			"the path of a rule's source is '%.*s'", (int)path.len, (const char *)path.ptr);
	if (kind == MATCH_NAMESPACE && memchr(path.ptr, '/', path.len) != NULL)
		return why_set(why, ERR_MALFORMED, "the name of one namespace", "remove the slash",
			"the namespace of a rule's source is '%.*s'", (int)path.len, (const char *)path.ptr);
	RETURN_IF_ERR(path_check(kind, domain, path, why));
	rule->sources = mem_realloc(rule->sources, (rule->num_sources + 1) * sizeof(*rule->sources));
	rule->sources[rule->num_sources++] =
		(struct source_match){.kind = kind, .domain = text_of(domain), .path = text_of(path)};
	return ERR_NONE;
}

void policy_rule_add_network(struct policy_rule *rule, const struct network *network)
{
	rule->networks = mem_realloc(rule->networks, (rule->num_networks + 1) * sizeof(*rule->networks));
	rule->networks[rule->num_networks++] = *network;
}

void policy_rule_add_port(struct policy_rule *rule, uint16_t port)
{
	rule->ports = mem_realloc(rule->ports, (rule->num_ports + 1) * sizeof(*rule->ports));
	rule->ports[rule->num_ports++] = port;
}

static void rule_done(struct policy_rule *rule)
{
	for (size_t i = 0; i < rule->num_sources; i++) {
		mem_free(rule->sources[i].domain);
		mem_free(rule->sources[i].path);
	}
	mem_free(rule->sources);
	mem_free(rule->networks);
	mem_free(rule->ports);
	mem_free(rule->name);
}

struct policy *policy_ref(struct policy *policy)
{
	unsigned before = __atomic_fetch_add(&policy->refs, 1, __ATOMIC_RELAXED);
	CHECK(before > 0);
	return policy;
}

void policy_unref(struct policy *policy)
{
	if (policy == NULL)
		return;
	unsigned refs = __atomic_fetch_sub(&policy->refs, 1, __ATOMIC_ACQ_REL);
	CHECK(refs > 0);
	if (refs > 1)
		return;
	for (size_t i = 0; i < policy->num_rules; i++)
		rule_done(&policy->rules[i]);
	mem_free(policy->rules);
	mem_free(policy->ports);
	mem_free(policy);
}

static void rule_copy(struct policy *into, const struct policy_rule *from)
{
	struct policy_rule *rule = policy_add_rule(into, from->name);
	rule->deny = from->deny;
	rule->dry_run = from->dry_run;
	rule->unauthenticated = from->unauthenticated;
	for (size_t i = 0; i < from->num_networks; i++)
		policy_rule_add_network(rule, &from->networks[i]);
	for (size_t i = 0; i < from->num_ports; i++)
		policy_rule_add_port(rule, from->ports[i]);
	rule->num_sources = from->num_sources;
	rule->sources = from->num_sources == 0 ? NULL : mem_calloc(from->num_sources, sizeof(*rule->sources));
	for (size_t i = 0; i < from->num_sources; i++) {
		rule->sources[i] = from->sources[i];
		rule->sources[i].domain = mem_strdup(from->sources[i].domain);
		rule->sources[i].path = mem_strdup(from->sources[i].path);
	}
}

static enum inbound_mode stricter(enum inbound_mode a, enum inbound_mode b)
{
	return a > b ? a : b;
}

struct policy *policy_tighten(const struct policy *from_control, const struct policy *minimum)
{
	struct policy *both =
		policy_new(&from_control->own_domain, stricter(from_control->default_mode, minimum->default_mode));
	const struct policy *sides[] = {from_control, minimum};
	for (size_t side = 0; side < 2; side++)
		for (size_t i = 0; i < sides[side]->num_ports; i++) {
			uint16_t port = sides[side]->ports[i].port;
			policy_set_port_mode(
				both, port, stricter(policy_mode(from_control, port), policy_mode(minimum, port)));
			CHECK(policy_mode(both, port) >= policy_mode(minimum, port));
		}
	for (size_t i = 0; i < from_control->num_rules; i++)
		rule_copy(both, &from_control->rules[i]);
	return both;
}
