#include "intercept/rules.h"
#include "base/core/check.h"
#include "base/core/number.h"
#include "base/net/rules_proof.h"
#include <stdio.h>

#define MARK   "0x00000539" /* as nft lists it */
#define EXEMPT RULES_EXEMPT_MATCH
_Static_assert(RULES_SOURCE_MARK == 0x539, "the mark and its text are one");

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
	CHECK(rules->num_exclude_networks <= RULES_MAX_NETWORKS);
	if (rules->num_exclude_networks == RULES_MAX_NETWORKS)
		return ERR_LIMIT;
	rules->exclude_networks[rules->num_exclude_networks++] = *network;
	return ERR_NONE;
}

/* Writes nothing for an empty list. nft lists a set of one without braces. */
static enum err render_ports(const char *match, const struct port_list *list, const char *verdict, struct buf *out)
{
	if (list->num == 0)
		return ERR_NONE;
	RETURN_IF_ERR(buf_printf(out, list->num == 1 ? "\t\t%s " : "\t\t%s { ", match));
	for (unsigned i = 0; i < list->num; i++)
		RETURN_IF_ERR(buf_printf(out, "%s%u", i == 0 ? "" : ", ", (unsigned)list->ports[i]));
	return buf_printf(out, list->num == 1 ? " %s\n" : " } %s\n", verdict);
}

/* One rule per network, not a set: sets refuse overlapping networks, which operators write. */
static enum err render_networks(const struct rules *rules, const char *match, const char *verdict, struct buf *out)
{
	for (unsigned i = 0; i < rules->num_exclude_networks; i++) {
		const struct network *network = &rules->exclude_networks[i];
		char text[ADDR_TEXT_MAX];
		bool is_v4 = network->base.family == AF_INET;
		if (network->prefix_len == (is_v4 ? 32 : 128))
			ip_addr_format(&network->base, text);
		else
			network_format(network, text);
		RETURN_IF_ERR(buf_printf(out, "\t\t%s %s %s %s\n", is_v4 ? "ip" : "ip6", match, text, verdict));
	}
	return ERR_NONE;
}

/* Ours: those of tunnels, metrics, ssh and, in a guard, of the inbound redirection. */
_Static_assert(RULES_MAX_GIVEN + 4 <= RULES_MAX_PORTS, "the ports given and our own fit in one list");

/* Ports of this namespace that are reached without redirection. */
static enum err direct_inbound(const struct rules *rules, struct port_list *out)
{
	*out = rules->exclude_inbound;
	RETURN_IF_ERR(port_list_add(out, RULES_TUNNEL_PORT));
	RETURN_IF_ERR(port_list_add(out, RULES_METRICS_PORT));
	return rules->exempt_ssh ? port_list_add(out, RULES_SSH_PORT) : ERR_NONE;
}

/* Remote ports that the workload reaches without redirection. */
static enum err direct_outbound(const struct rules *rules, struct port_list *out)
{
	*out = rules->exclude_outbound;
	return rules->exempt_ssh ? port_list_add(out, RULES_SSH_PORT) : ERR_NONE;
}

/* Packets of established flows reach the nat chains when conntrack starts, and after `conntrack -F`. Redirecting them
 * is right for a flow of the sidecar (it is associated again) and wrong for a direct flow. */
#define MID_FLOW "tcp flags != syn / syn,ack "

/* The ports that are reached without redirection, local and remote, including those of tunnels. */
static enum err direct_ports(const struct rules *rules, struct port_list *out_here, struct port_list *out_elsewhere)
{
	RETURN_IF_ERR(direct_inbound(rules, out_here));
	RETURN_IF_ERR(direct_outbound(rules, out_elsewhere));
	return port_list_add(out_elsewhere, RULES_TUNNEL_PORT);
}

static enum err render_inbound(const struct rules *rules, struct buf *out)
{
	struct port_list direct, dialed;
	RETURN_IF_ERR(direct_ports(rules, &direct, &dialed));
	/* Only packets to local addresses: else a neighbor that routes through this host could use the sidecar to reach
	 * destinations that it cannot reach itself. */
	RETURN_IF_ERR(buf_append_str(out, "\tchain inbound {\n"
					  "\t\ttype nat hook prerouting priority dstnat; policy accept;\n"
					  "\t\tfib daddr type != local return\n"
					  "\t\tiifname \"lo\" return\n"));
	RETURN_IF_ERR(render_ports("tcp dport", &direct, "return", out));
	RETURN_IF_ERR(render_ports("tcp sport", &dialed, MID_FLOW "return", out));
	/* A connected socket for exactly this peer; a listener does not match (unless it is bound to one address). */
	if (rules->kernel_has_socket)
		RETURN_IF_ERR(buf_append_str(out, "\t\t" MID_FLOW "socket wildcard 0 return\n"));
	return buf_printf(out, "\t\tmeta l4proto 6 redirect to :%d\n\t}\n", RULES_INBOUND_PORT);
}

static enum err render_outbound(const struct rules *rules, struct buf *out)
{
	struct port_list direct, answering;
	RETURN_IF_ERR(direct_outbound(rules, &direct));
	RETURN_IF_ERR(direct_inbound(rules, &answering));
	/* The first rule is the proof that the rules are in force (rules_proof.h).
	 *
	 * Answers of the sidecar on a redirected flow that conntrack has forgotten would leave with the sidecar's port
	 * and be reset. Dropped, they are retransmitted after the next packet of the other side, which restores the
	 * flow. */
	RETURN_IF_ERR(buf_printf(out,
		"\tchain outbound {\n"
		"\t\ttype nat hook output priority -100; policy accept;\n"
		"\t\tip daddr " RULES_PROOF_IP " udp dport %d drop\n"
		"\t\ttcp sport { %d, %d } " MID_FLOW "drop\n",
		RULES_PROOF_PORT, RULES_OUTBOUND_PORT, RULES_INBOUND_PORT));
	RETURN_IF_ERR(render_ports("tcp dport", &direct, "return", out));
	RETURN_IF_ERR(render_ports("tcp sport", &answering, MID_FLOW "return", out));
	RETURN_IF_ERR(buf_append_str(out, "\t\t" EXEMPT "return\n\t\toifname \"lo\" return\n"));
	RETURN_IF_ERR(render_networks(rules, "daddr", "return", out));
	/* The kernel binds a socket to the interface of a link-local destination of IPv6: redirected, it would be
	 * dropped by the loopback guard, and its program would wait. */
	return buf_printf(out,
		"\t\tip6 daddr fe80::/10 meta l4proto 6 counter reject with tcp reset\n"
		"\t\tmeta l4proto 6 redirect to :%d\n\t}\n",
		RULES_OUTBOUND_PORT);
}

/* nat chains see one packet per flow, and only flows that conntrack tracks. The guards drop packets that should have
 * been translated and were not. This one sees new inbound flows after the redirection. Untracked inbound packets pass
 * it, but the outbound guard drops the answers. */
static enum err render_inbound_guard(const struct rules *rules, struct buf *out)
{
	struct port_list direct, dialed;
	RETURN_IF_ERR(direct_ports(rules, &direct, &dialed));
	RETURN_IF_ERR(port_list_add(&direct, RULES_INBOUND_PORT));
	RETURN_IF_ERR(buf_append_str(out, "\tchain " RULES_INBOUND_GUARD " {\n"
					  "\t\ttype nat hook input priority 100; policy accept;\n"
					  "\t\tiif \"lo\" accept\n"
					  "\t\tmeta l4proto != 6 accept\n"));
	RETURN_IF_ERR(render_ports("tcp dport", &direct, "accept", out));
	RETURN_IF_ERR(render_ports("tcp sport", &dialed, MID_FLOW "accept", out));
	RETURN_IF_ERR(render_networks(rules, "saddr", MID_FLOW "accept", out));
	return buf_append_str(out, RULES_INBOUND_GUARD_END);
}

static enum err render_outbound_ports(const struct rules *rules, struct buf *out)
{
	struct port_list direct, answering;
	RETURN_IF_ERR(direct_outbound(rules, &direct));
	RETURN_IF_ERR(direct_inbound(rules, &answering));
	RETURN_IF_ERR(render_ports("tcp dport", &direct, "accept", out));
	RETURN_IF_ERR(render_networks(rules, "daddr", "accept", out));
	return render_ports("tcp sport", &answering, MID_FLOW "accept", out);
}

/* The one chain that sees every packet, so the most frequent cases come first: a rule costs about 20 ns, a hook 50.
 *
 * Here oif is still the interface before nat: a redirection has changed the destination to 127.0.0.1 or ::1. A socket
 * that its program closed has no uid: its last segments, and answers of the kernel, pass if conntrack tracks the flow,
 * which then needs no translation. */
static enum err render_outbound_guard(const struct rules *rules, struct buf *out)
{
	RETURN_IF_ERR(buf_append_str(out, "\tchain " RULES_OUTBOUND_GUARD " {\n"
					  "\t\ttype filter hook output priority filter; policy accept;\n"
					  "\t\toif \"lo\" accept\n"));
	if (rules->keeps_source) /* rerouted: the loopback guard sees where to */
		RETURN_IF_ERR(buf_append_str(out, "\t\tmeta mark " MARK " accept\n"));
	RETURN_IF_ERR(buf_append_str(out, "\t\tip daddr 127.0.0.1 accept\n"));
	RETURN_IF_ERR(buf_append_str(out, "\t\t" EXEMPT "accept\n"
					  "\t\tip6 daddr ::1 accept\n"
					  "\t\tmeta l4proto != 6 accept\n"));
	RETURN_IF_ERR(render_outbound_ports(rules, out));
	return buf_append_str(out, RULES_OUTBOUND_GUARD_END);
}

/* After nat changed the destination to 127.0.0.1 or ::1 the kernel routes again: to a real interface if the socket is
 * bound to it (SO_BINDTODEVICE). Here oif is the final interface. */
static enum err render_loopback_guard(const struct rules *rules, struct buf *out)
{
	return buf_printf(out,
		"\tchain " RULES_LOOPBACK_GUARD " {\n"
		"\t\ttype filter hook postrouting priority filter; policy accept;\n"
		"\t\toif \"lo\" accept\n%s" RULES_LOOPBACK_GUARD_END,
		rules->keeps_source ? "\t\tmeta mark " MARK " counter drop\n" : "");
}

/* Where the sidecar connects to the workload in a caller's name, the workload's answers go to the caller's address:
 * they are marked by their flow, and a routing rule leads them to lo (source_route.h). Whatever loses its mark or its
 * route is an answer that leaves by a real interface: the guards drop it. */
static enum err render_reroute(const struct rules *rules, struct buf *out)
{
	if (!rules->keeps_source)
		return ERR_NONE;
	return buf_printf(out,
		"\n\tchain " RULES_REROUTE " {\n"
		"\t\ttype route hook output priority mangle; policy accept;\n"
		"\t\toif \"lo\" meta skuid %d fib saddr type != local ct mark set " MARK "\n"
		"\t\tct direction reply ct mark " MARK " meta mark set " MARK "\n\t}\n",
		RULES_EXEMPT_ID);
}

enum err rules_render_table(const struct rules *rules, struct buf *out)
{
	typedef enum err render_fn(const struct rules *rules, struct buf *out);
	static render_fn *const chains[] = {
		render_inbound, render_outbound, render_inbound_guard, render_outbound_guard, render_loopback_guard};
	RETURN_IF_ERR(buf_append_str(out, "table inet " RULES_TABLE " {\n"));
	for (size_t i = 0; i < sizeof(chains) / sizeof(chains[0]); i++) {
		RETURN_IF_ERR(buf_append_str(out, i == 0 ? "" : "\n"));
		RETURN_IF_ERR(chains[i](rules, out));
	}
	RETURN_IF_ERR(render_reroute(rules, out));
	return buf_append_str(out, "}\n");
}

/* `delete` fails if the table does not exist; `add` succeeds if it does. */
enum err rules_render_remove(struct buf *out)
{
	return buf_append_str(out, "add table inet " RULES_TABLE "\ndelete table inet " RULES_TABLE "\n");
}

enum err rules_render_replace(struct span table, struct buf *out)
{
	RETURN_IF_ERR(rules_render_remove(out));
	return buf_append(out, table);
}

enum err rules_render_rewrite(struct span table, struct buf *out)
{
	RETURN_IF_ERR(buf_append_str(out, "add table inet " RULES_TABLE "\nflush table inet " RULES_TABLE "\n"));
	return buf_append(out, table);
}

const struct rules_guard RULES_GUARDS[RULES_NUM_GUARDS] = {
	{RULES_INBOUND_GUARD, "nat hook input priority 100", RULES_INBOUND_GUARD_END},
	{RULES_OUTBOUND_GUARD, "filter hook output priority filter", RULES_OUTBOUND_GUARD_END},
	{RULES_LOOPBACK_GUARD, "filter hook postrouting priority filter", RULES_LOOPBACK_GUARD_END},
};

/* The rest from the first `text` on; empty: not found. */
static struct span find(struct span where, const char *text)
{
	const uint8_t *at = where.len == 0 ? NULL : memmem(where.ptr, where.len, text, strlen(text));
	return at == NULL ? span_of((const uint8_t *)"", 0) : span_from(where, (size_t)(at - where.ptr));
}

/* The block of one chain: from its line to the next brace at its depth. Empty: not found. */
static struct span chain_of(struct span table, const char *name)
{
	static const char end[] = "\n\t}\n";
	char head[64];
	CHECK((size_t)snprintf(head, sizeof(head), "\tchain %s {\n", name) < sizeof(head));
	struct span block = find(table, head), rest = find(block, end);
	return rest.len == 0 ? rest : span_of(block.ptr, block.len - rest.len + strlen(end));
}

bool rules_guard_is_present(struct span table, const struct rules_guard *guard)
{
	char head[128];
	int len =
		snprintf(head, sizeof(head), "\tchain %s {\n\t\ttype %s; policy accept;\n", guard->chain, guard->hook);
	CHECK(len > 0 && (size_t)len < sizeof(head));
	struct span block = chain_of(table, guard->chain);
	size_t end_len = strlen(guard->end);
	return span_starts_with(block, span_of_str(head)) && block.len > end_len &&
	       memcmp(block.ptr + block.len - end_len, guard->end, end_len) == 0;
}

uint64_t rules_guard_packets(struct span table, const char *chain)
{
	static const char key[] = "counter packets ";
	struct span rest = find(chain_of(table, chain), key);
	uint64_t sum = 0;
	for (; rest.len > 0; rest = find(rest, key)) {
		rest = span_from(rest, strlen(key));
		sum += number_take(&rest, UINT64_MAX);
	}
	return sum;
}
