#include "intercept/rules.h"
#include "base/core/check.h"

enum err port_list_add(struct port_list *list, uint16_t port)
{
	CHECK(list->num <= RULES_MAX_PORTS);
	unsigned at = 0;
	while (at < list->num && list->ports[at] < port)
		at++;
	if (at < list->num && list->ports[at] == port)
		return ERR_NONE;
	if (list->num == RULES_MAX_PORTS)
		return ERR_LIMIT;
	memmove(&list->ports[at + 1], &list->ports[at], (list->num - at) * sizeof(list->ports[0]));
	list->ports[at] = port;
	list->num++;
	return ERR_NONE;
}

enum err rules_add_network(struct rules *rules, const struct network *network)
{
	if (rules->num_exclude_networks == RULES_MAX_NETWORKS)
		return ERR_LIMIT;
	rules->exclude_networks[rules->num_exclude_networks++] = *network;
	return ERR_NONE;
}

/* A set of one is listed without braces. */
static enum err render_ports(const struct port_list *list, struct buf *out)
{
	if (list->num == 0)
		return ERR_NONE;
	RETURN_IF_ERR(buf_append_str(out, list->num == 1 ? "\t\ttcp dport " : "\t\ttcp dport { "));
	for (unsigned i = 0; i < list->num; i++)
		RETURN_IF_ERR(buf_printf(out, "%s%u", i == 0 ? "" : ", ", (unsigned)list->ports[i]));
	return buf_append_str(out, list->num == 1 ? " return\n" : " } return\n");
}

/* One rule a network, not a set: sets refuse networks that overlap, and operators write those. */
static enum err render_network(const struct network *network, struct buf *out)
{
	char text[ADDR_TEXT_MAX];
	bool is_v4 = network->base.family == AF_INET;
	bool is_host = network->prefix_len == (is_v4 ? 32 : 128);
	if (is_host)
		ip_addr_format(&network->base, text);
	else
		network_format(network, text);
	return buf_printf(out, "\t\t%s daddr %s return\n", is_v4 ? "ip" : "ip6", text);
}

static enum err render_inbound(const struct rules *rules, struct buf *out)
{
	struct port_list spared = rules->exclude_inbound;
	RETURN_IF_ERR(port_list_add(&spared, RULES_TUNNEL_PORT));
	RETURN_IF_ERR(port_list_add(&spared, RULES_METRICS_PORT));
	if (rules->spare_ssh)
		RETURN_IF_ERR(port_list_add(&spared, RULES_SSH_PORT));
	/* Only what is addressed to us: otherwise a neighbour that routes through us would borrow the sidecar's uid to
	 * reach where it could not go itself. */
	RETURN_IF_ERR(buf_append_str(out, "\tchain inbound {\n"
					  "\t\ttype nat hook prerouting priority dstnat; policy accept;\n"
					  "\t\tfib daddr type != local return\n"
					  "\t\tiifname \"lo\" return\n"));
	RETURN_IF_ERR(render_ports(&spared, out));
	return buf_printf(out, "\t\tmeta l4proto tcp redirect to :%d\n\t}\n", RULES_INBOUND_PORT);
}

static enum err render_outbound(const struct rules *rules, struct buf *out)
{
	struct port_list spared = rules->exclude_outbound;
	if (rules->spare_ssh)
		RETURN_IF_ERR(port_list_add(&spared, RULES_SSH_PORT));
	RETURN_IF_ERR(buf_append_str(out, "\tchain outbound {\n"
					  "\t\ttype nat hook output priority -100; policy accept;\n"));
	RETURN_IF_ERR(render_ports(&spared, out));
	/* The first packet that conntrack ever sees of a session that is already open may be our answer. */
	if (rules->spare_ssh)
		RETURN_IF_ERR(buf_printf(out, "\t\ttcp sport %d return\n", RULES_SSH_PORT));
	RETURN_IF_ERR(buf_printf(out, "\t\tmeta skuid %d return\n\t\tmeta skgid %d return\n\t\toifname \"lo\" return\n",
		RULES_EXEMPT_ID, RULES_EXEMPT_ID));
	for (unsigned i = 0; i < rules->num_exclude_networks; i++)
		RETURN_IF_ERR(render_network(&rules->exclude_networks[i], out));
	return buf_printf(out, "\t\tmeta l4proto tcp redirect to :%d\n\t}\n", RULES_OUTBOUND_PORT);
}

enum err rules_render_table(const struct rules *rules, struct buf *out)
{
	RETURN_IF_ERR(buf_append_str(out, "table inet " RULES_TABLE " {\n"));
	RETURN_IF_ERR(render_inbound(rules, out));
	RETURN_IF_ERR(buf_append_str(out, "\n"));
	RETURN_IF_ERR(render_outbound(rules, out));
	return buf_append_str(out, "}\n");
}

/* `delete` fails on a table that is not there, `add` does not mind one that is. */
enum err rules_render_remove(struct buf *out)
{
	return buf_append_str(out, "add table inet " RULES_TABLE "\ndelete table inet " RULES_TABLE "\n");
}

enum err rules_render_replace(struct span table, struct buf *out)
{
	RETURN_IF_ERR(rules_render_remove(out));
	return buf_append(out, table);
}
