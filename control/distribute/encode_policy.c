/* The policy of one workload as discovery.proto has it: the settings' and that of other sources, merged. */
#include "base/core/check.h"
#include "base/core/mem.h"
#include "base/pb/unpack.h"
#include "control/distribute/encode_policy_private.h"

void scrap_done(struct piece **scrap)
{
	while (*scrap != NULL) {
		struct piece *piece = *scrap;
		*scrap = piece->next;
		mem_free(piece);
	}
}

static void *scrap_new(struct piece **scrap, size_t num, size_t size)
{
	struct piece *piece = mem_zalloc(sizeof(*piece) + num * size);
	piece->next = *scrap;
	*scrap = piece;
	return piece->bytes;
}

size_t networks_encode(struct piece **scrap, const struct network *networks, size_t num, Handfast__V1__Network ***out)
{
	Handfast__V1__Network **list = scrap_new(scrap, num, sizeof(*list));
	Handfast__V1__Network *values = scrap_new(scrap, num, sizeof(*values));
	for (size_t i = 0; i < num; i++) {
		handfast__v1__network__init(&values[i]);
		values[i].address = pb_bytes(ip_addr_bytes(&networks[i].base));
		values[i].prefix_len = networks[i].prefix_len;
		list[i] = &values[i];
	}
	*out = list;
	return num;
}

static Handfast__V1__InboundMode mode_encode(enum port_mode mode)
{
	switch (mode) {
	case PORT_MODE_OFF:
		return HANDFAST__V1__INBOUND_MODE__INBOUND_MODE_OFF;
	case PORT_MODE_PERMISSIVE:
		return HANDFAST__V1__INBOUND_MODE__INBOUND_MODE_PERMISSIVE;
	case PORT_MODE_STRICT:
		return HANDFAST__V1__INBOUND_MODE__INBOUND_MODE_STRICT;
	}
	CHECK_UNREACHABLE();
}

static void source_encode(const struct config_source *source, Handfast__V1__SourceMatch *out)
{
	ProtobufCBinaryData text = pb_bytes(span_of_str(source->text));
	handfast__v1__source_match__init(out);
	switch (source->kind) {
	case SOURCE_ID:
		out->kind_case = HANDFAST__V1__SOURCE_MATCH__KIND_ID;
		out->id = text;
		return;
	case SOURCE_ID_PREFIX:
		out->kind_case = HANDFAST__V1__SOURCE_MATCH__KIND_ID_PREFIX;
		out->id_prefix = text;
		return;
	case SOURCE_ID_SUFFIX:
		out->kind_case = HANDFAST__V1__SOURCE_MATCH__KIND_ID_SUFFIX;
		out->id_suffix = text;
		return;
	case SOURCE_TRUST_DOMAIN:
		out->kind_case = HANDFAST__V1__SOURCE_MATCH__KIND_TRUST_DOMAIN;
		out->trust_domain = text;
		return;
	case SOURCE_NAMESPACE:
		out->kind_case = HANDFAST__V1__SOURCE_MATCH__KIND_NAMESPACE;
		out->namespace_ = text;
		return;
	}
	CHECK_UNREACHABLE();
}

static void rule_encode(struct piece **scrap, const struct config_rule *rule, Handfast__V1__Rule *out)
{
	Handfast__V1__SourceMatch *sources = scrap_new(scrap, rule->num_sources, sizeof(*sources));
	handfast__v1__rule__init(out);
	out->name = pb_bytes(span_of_str(rule->name));
	out->action =
		rule->deny ? HANDFAST__V1__RULE_ACTION__RULE_ACTION_DENY : HANDFAST__V1__RULE_ACTION__RULE_ACTION_ALLOW;
	out->dry_run = rule->dry_run;
	out->unauthenticated = rule->unauthenticated;
	out->sources = scrap_new(scrap, rule->num_sources, sizeof(*out->sources));
	out->n_sources = rule->num_sources;
	for (size_t i = 0; i < rule->num_sources; i++) {
		source_encode(&rule->sources[i], &sources[i]);
		out->sources[i] = &sources[i];
	}
	out->n_networks = networks_encode(scrap, rule->networks, rule->num_networks, &out->networks);
	out->ports = scrap_new(scrap, rule->num_ports, sizeof(*out->ports));
	out->n_ports = rule->num_ports;
	for (size_t i = 0; i < rule->num_ports; i++)
		out->ports[i] = rule->ports[i];
}

bool encode_policy_names(const struct config_workload *workload, const struct spiffe_id *id)
{
	struct span named = span_of_str(workload->identity), whole = spiffe_id_text(id);
	if (!workload->prefix)
		return span_eq(named, whole);
	return span_starts_with(whole, named) && (whole.len == named.len || whole.ptr[named.len] == '/');
}

static void workload_rules_encode(
	struct piece **scrap, const struct config_workload *workload, Handfast__V1__Policy *out)
{
	for (size_t i = 0; i < workload->num_rules; i++) {
		out->rules[out->n_rules] = scrap_new(scrap, 1, sizeof(**out->rules));
		rule_encode(scrap, &workload->rules[i], out->rules[out->n_rules++]);
	}
}

static void port_encode(struct piece **scrap, uint16_t number, enum port_mode mode, Handfast__V1__Policy *out)
{
	Handfast__V1__PortMode *port = scrap_new(scrap, 1, sizeof(*port));
	handfast__v1__port_mode__init(port);
	port->port = number;
	port->mode = mode_encode(mode);
	out->ports[out->n_ports++] = port;
}

static enum port_mode stricter(enum port_mode a, enum port_mode b)
{
	return a > b ? a : b;
}

/* What is merged, and what is known of it so far. */
struct merge {
	struct piece **scrap;
	const struct control_config *config;
	const struct policy_found *found;
	const struct spiffe_id *id;
	bool has_mode; /* the settings have one for the workload */
	enum port_mode mode;
};

/* Every entry of the settings that names the workload applies: of two modes the stricter one. */
static void settings_encode(struct merge *merge, Handfast__V1__Policy *out)
{
	for (size_t i = 0; i < merge->config->num_workloads; i++) {
		const struct config_workload *workload = &merge->config->workloads[i];
		if (!encode_policy_names(workload, merge->id))
			continue;
		workload_rules_encode(merge->scrap, workload, out);
		for (size_t j = 0; j < workload->num_ports; j++)
			port_encode(merge->scrap, workload->ports[j].port, workload->ports[j].mode, out);
		if (!workload->has_mode)
			continue;
		merge->mode = merge->has_mode ? stricter(merge->mode, workload->mode) : workload->mode;
		merge->has_mode = true;
	}
}

static bool is_set_before(const struct policy_found *found, size_t before, uint16_t port)
{
	for (size_t i = 0; i < before; i++)
		for (size_t j = 0; j < found->list[i]->num_ports; j++)
			if (found->list[i]->ports[j].port == port)
				return true;
	return false;
}

/* See policy_source.h. For a port that the settings have as well, a sidecar takes the stricter mode. */
static void found_encode(const struct merge *merge, Handfast__V1__Policy *out)
{
	for (size_t i = 0; i < merge->found->num; i++) {
		const struct config_workload *workload = merge->found->list[i];
		workload_rules_encode(merge->scrap, workload, out);
		for (size_t j = 0; j < workload->num_ports; j++) {
			const struct config_port_mode *port = &workload->ports[j];
			if (!is_set_before(merge->found, i, port->port))
				port_encode(merge->scrap, port->port,
					merge->has_mode ? stricter(port->mode, merge->mode) : port->mode, out);
		}
	}
}

static enum port_mode default_mode(const struct merge *merge)
{
	for (size_t i = 0; i < merge->found->num; i++)
		if (merge->found->list[i]->has_mode)
			return merge->has_mode ? stricter(merge->mode, merge->found->list[i]->mode)
					       : merge->found->list[i]->mode;
	return merge->has_mode ? merge->mode : merge->config->default_mode;
}

void policy_encode(struct piece **scrap, const struct mesh_state *state, Handfast__V1__Policy *out)
{
	static const struct policy_found none = {0};
	struct merge whole = {.scrap = scrap,
		.config = state->config,
		.found = state->found == NULL ? &none : state->found,
		.id = state->id};
	struct merge *merge = &whole;
	size_t num_rules = 0, num_ports = 0;
	for (size_t i = 0; i < merge->config->num_workloads; i++) {
		num_rules += merge->config->workloads[i].num_rules;
		num_ports += merge->config->workloads[i].num_ports;
	}
	for (size_t i = 0; i < merge->found->num; i++) {
		num_rules += merge->found->list[i]->num_rules;
		num_ports += merge->found->list[i]->num_ports;
	}
	out->rules = scrap_new(merge->scrap, num_rules, sizeof(*out->rules));
	out->ports = scrap_new(merge->scrap, num_ports, sizeof(*out->ports));
	settings_encode(merge, out);
	found_encode(merge, out);
	out->default_mode = mode_encode(default_mode(merge));
	CHECK(out->n_rules <= num_rules && out->n_ports <= num_ports);
}

enum err encode_policy(const struct mesh_state *state, struct buf *out)
{
	_cleanup_(scrap_done) struct piece *scrap = NULL;
	Handfast__V1__Policy policy = HANDFAST__V1__POLICY__INIT;
	policy_encode(&scrap, state, &policy);
	return pb_pack(&policy.base, out);
}
