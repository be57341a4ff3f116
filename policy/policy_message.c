#include "policy/policy_message.h"

#include "base/core/mem.h"
#include "base/pb/unpack.h"
#include <stdio.h>

enum { RULES_MAX = 4096, PORTS_MAX = 65535, NAME_MAX_LEN = 255 };

static enum err refuse(struct why *why, const char *expected, const char *got)
{
	return why_set(
		why, ERR_MALFORMED, expected, "check the release and the settings of the control plane", "%s", got);
}

enum err network_of_message(const Handfast__V1__Network *message, struct network *out, struct why *why)
{
	char text[ADDR_TEXT_MAX + 8], ip_text[ADDR_TEXT_MAX];
	struct ip_addr ip;
	if (ip_addr_from_bytes(pb_span(message->address), &ip) != ERR_NONE)
		return refuse(why, "a network with an address of 4 or 16 bytes",
			"the address of a network has another length");
	snprintf(text, sizeof(text), "%s/%u", ip_addr_format(&ip, ip_text), message->prefix_len);
	if (network_parse(span_of_str(text), out) != ERR_NONE)
		return why_set(why, ERR_MALFORMED, "a network without host bits",
			"check the settings of the control plane", "the network %s has host bits or a wrong length",
			text);
	return ERR_NONE;
}

static enum err mode_of(Handfast__V1__InboundMode mode, enum inbound_mode *out, struct why *why)
{
	switch (mode) {
	case HANDFAST__V1__INBOUND_MODE__INBOUND_MODE_STRICT:
		*out = INBOUND_STRICT;
		return ERR_NONE;
	case HANDFAST__V1__INBOUND_MODE__INBOUND_MODE_PERMISSIVE:
		*out = INBOUND_PERMISSIVE;
		return ERR_NONE;
	case HANDFAST__V1__INBOUND_MODE__INBOUND_MODE_OFF:
		*out = INBOUND_OFF;
		return ERR_NONE;
	case HANDFAST__V1__INBOUND_MODE__INBOUND_MODE_UNSPECIFIED:
	case _HANDFAST__V1__INBOUND_MODE_IS_INT_SIZE:
		break;
	}
	return refuse(why, "the mode strict, permissive or off", "the mode in the policy is not set or not known");
}

/* Splits "td/rest" into "td" and "/rest"; without a slash the path is empty. */
static void split(struct span whole, struct span *out_domain, struct span *out_path)
{
	const uint8_t *slash = whole.len == 0 ? NULL : memchr(whole.ptr, '/', whole.len);
	size_t at = slash == NULL ? whole.len : (size_t)(slash - whole.ptr);
	*out_domain = span_of(whole.ptr, at);
	*out_path = span_from(whole, at);
}

static enum err uri_source(struct policy_rule *rule, enum source_match_kind kind, struct span text, struct why *why)
{
	static const struct span scheme = {(const uint8_t *)"spiffe://", 9};
	struct span domain, path;
	if (!span_starts_with(text, scheme))
		return refuse(why, "a SPIFFE ID in a rule", "a source of a rule does not begin with spiffe://");
	split(span_from(text, scheme.len), &domain, &path);
	return policy_rule_add_source(rule, kind, domain, path, why);
}

static enum err source_of(struct policy_rule *rule, const Handfast__V1__SourceMatch *message, struct why *why)
{
	struct span domain, path;
	switch (message->kind_case) {
	case HANDFAST__V1__SOURCE_MATCH__KIND_ID:
		return uri_source(rule, MATCH_ID, pb_span(message->id), why);
	case HANDFAST__V1__SOURCE_MATCH__KIND_ID_PREFIX:
		return uri_source(rule, MATCH_ID_PREFIX, pb_span(message->id_prefix), why);
	case HANDFAST__V1__SOURCE_MATCH__KIND_ID_SUFFIX:
		split(pb_span(message->id_suffix), &domain, &path);
		return policy_rule_add_source(rule, MATCH_ID_SUFFIX, domain, path, why);
	case HANDFAST__V1__SOURCE_MATCH__KIND_TRUST_DOMAIN:
		return policy_rule_add_source(
			rule, MATCH_TRUST_DOMAIN, pb_span(message->trust_domain), SPAN_LITERAL(""), why);
	case HANDFAST__V1__SOURCE_MATCH__KIND_NAMESPACE:
		split(pb_span(message->namespace_), &domain, &path);
		return policy_rule_add_source(
			rule, MATCH_NAMESPACE, domain, path.len == 0 ? path : span_from(path, 1), why);
	case HANDFAST__V1__SOURCE_MATCH__KIND__NOT_SET:
	case _HANDFAST__V1__SOURCE_MATCH__KIND__CASE_IS_INT_SIZE:
		break;
	}
	/* A later release may have more kinds of source: ignoring one could allow what the rule denies. */
	return refuse(why, "a kind of source that this release supports", "a rule has a source of an unknown kind");
}

static enum err port_of(uint32_t port, uint16_t *out, struct why *why)
{
	if (port == 0 || port > 65535)
		return refuse(why, "a port from 1 to 65535", "a port in the policy is out of range");
	*out = (uint16_t)port;
	return ERR_NONE;
}

static enum err rule_fill(struct policy_rule *rule, const Handfast__V1__Rule *message, struct why *why)
{
	struct network network;
	uint16_t port = 0;
	rule->deny = message->action == HANDFAST__V1__RULE_ACTION__RULE_ACTION_DENY;
	rule->dry_run = message->dry_run;
	rule->unauthenticated = message->unauthenticated;
	for (size_t i = 0; i < message->n_sources; i++)
		RETURN_IF_ERR(source_of(rule, message->sources[i], why));
	for (size_t i = 0; i < message->n_networks; i++) {
		RETURN_IF_ERR(network_of_message(message->networks[i], &network, why));
		policy_rule_add_network(rule, &network);
	}
	for (size_t i = 0; i < message->n_ports; i++) {
		RETURN_IF_ERR(port_of(message->ports[i], &port, why));
		policy_rule_add_port(rule, port);
	}
	return ERR_NONE;
}

static enum err rule_of(struct policy *policy, const Handfast__V1__Rule *message, struct why *why)
{
	char name[NAME_MAX_LEN + 1];
	bool known = message->action == HANDFAST__V1__RULE_ACTION__RULE_ACTION_ALLOW ||
		     message->action == HANDFAST__V1__RULE_ACTION__RULE_ACTION_DENY;
	if (!known)
		return refuse(why, "a rule that allows or denies", "the action of a rule is not set or not known");
	if (message->name.len == 0 || message->name.len > NAME_MAX_LEN ||
		memchr(message->name.data, '\0', message->name.len) != NULL)
		return refuse(why, "a rule name of 1 to 255 bytes without NUL",
			"the name of a rule is empty, too long or has a NUL byte");
	snprintf(name, sizeof(name), "%.*s", (int)message->name.len, (const char *)message->name.data);
	return rule_fill(policy_add_rule(policy, name), message, why);
}

enum err policy_of_message(const Handfast__V1__Policy *message, const struct trust_domain *own_domain,
	struct policy **out, struct why *why)
{
	enum inbound_mode mode = INBOUND_STRICT;
	uint16_t port = 0;
	if (message->n_rules > RULES_MAX || message->n_ports > PORTS_MAX)
		return why_set(why, ERR_TOO_LARGE, "at most 4096 rules and 65535 ports", "remove some of them",
			"the policy has %zu rules and %zu ports", message->n_rules, message->n_ports);
	RETURN_IF_ERR(mode_of(message->default_mode, &mode, why));
	_cleanup_(policy_unrefp) struct policy *policy = policy_new(own_domain, mode);
	for (size_t i = 0; i < message->n_ports; i++) {
		RETURN_IF_ERR(mode_of(message->ports[i]->mode, &mode, why));
		RETURN_IF_ERR(port_of(message->ports[i]->port, &port, why));
		/* Two entries that match the workload may set the same port: the stricter mode applies. */
		if (!policy_has_port(policy, port) || mode > policy_mode(policy, port))
			policy_set_port_mode(policy, port, mode);
	}
	for (size_t i = 0; i < message->n_rules; i++)
		RETURN_IF_ERR(rule_of(policy, message->rules[i], why));
	*out = TAKE_PTR(policy);
	return ERR_NONE;
}

enum err policy_message_parse(
	struct span bytes, const struct trust_domain *own_domain, struct policy **out, struct why *why)
{
	_cleanup_(pb_arena_freep) struct pb_arena *arena = NULL;
	ProtobufCMessage *message;
	RETURN_IF_ERR(pb_unpack(&handfast__v1__policy__descriptor, bytes, &arena, &message, why));
	return policy_of_message((const Handfast__V1__Policy *)message, own_domain, out, why);
}
