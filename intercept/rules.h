/* The interception rules as data, and as text for libnftables. Pure.
 *
 * The text is exactly what nft lists, so that the installed rules can be compared with it. One table has the rules of
 * IPv4 and IPv6; no other table is changed. */
#pragma once

#include "base/core/addr.h"
#include "base/core/buf.h"
#include "base/core/fixed_ports.h"
#include "base/net/source_mark.h"

#define RULES_TABLE         "handfast"
#define RULES_MAX_PORTS     64
#define RULES_MAX_GIVEN     60 /* by the operator; the sidecar's ports use the rest */
#define RULES_MAX_NETWORKS  64
#define RULES_TEXT_MAX      32768
#define RULES_OUTBOUND_PORT FIXED_PORT_OUTBOUND
#define RULES_INBOUND_PORT  FIXED_PORT_INBOUND
#define RULES_TUNNEL_PORT   FIXED_PORT_TUNNEL  /* not redirected */
#define RULES_METRICS_PORT  FIXED_PORT_METRICS /* not redirected */
#define RULES_SSH_PORT      22
#define RULES_EXEMPT_ID     FIXED_ID    /* exempt are programs that have it as uid and as gid */
#define RULES_SOURCE_MARK   SOURCE_MARK /* of answers to connections that the sidecar makes in its callers' names */
#define RULES_REROUTE       "reroute"

/* Both in one rule: a workload in the sidecar's group alone could give a program of its own that group (setgid). */
#define RULES_EXEMPT_ID_TEXT FIXED_TEXT(FIXED_ID)
#define RULES_EXEMPT_MATCH   "meta skuid " RULES_EXEMPT_ID_TEXT " meta skgid " RULES_EXEMPT_ID_TEXT " "

/* The chains that drop traffic that nat did not translate, and the last rules of each. They count dropped packets. */
#define RULES_INBOUND_GUARD  "inbound_guard"
#define RULES_OUTBOUND_GUARD "outbound_guard"
#define RULES_LOOPBACK_GUARD "loopback_guard"
#define RULES_INBOUND_GUARD_END                                                                                        \
	"\t\t" RULES_EXEMPT_MATCH "accept\n"                                                                           \
	"\t\tcounter drop\n\t}\n"
#define RULES_OUTBOUND_GUARD_END                                                                                       \
	"\t\tmeta skuid != " RULES_EXEMPT_ID_TEXT " ct state invalid counter drop\n"                                   \
	"\t\tmeta l4proto 6 meta skuid != " RULES_EXEMPT_ID_TEXT " counter reject with tcp reset\n"                    \
	"\t\tct state established,related accept\n"                                                                    \
	"\t\tcounter drop\n\t}\n"

#define RULES_LOOPBACK_GUARD_END "\t\tip daddr 127.0.0.0/8 counter drop\n\t\tip6 daddr ::1 counter drop\n\t}\n"

struct port_list {
	uint16_t ports[RULES_MAX_PORTS]; /* sorted, unique */
	unsigned num;
};

struct rules {
	struct port_list exclude_inbound;
	struct port_list exclude_outbound;
	struct network exclude_networks[RULES_MAX_NETWORKS]; /* outbound */
	unsigned num_exclude_networks;
	bool exempt_ssh;        /* port 22 in both directions, and the answers of established SSH sessions */
	bool keeps_source;      /* the sidecar connects to the workload in its callers' names (mode tproxy) */
	bool kernel_has_socket; /* nf_tables can look up the socket of an inbound packet (nft_socket) */
};

/* Inserts in order; a duplicate is not an error. ERR_LIMIT: the list is full. */
enum err port_list_add(struct port_list *list, uint16_t port) _must_use_;

enum err rules_add_network(struct rules *rules, const struct network *network) _must_use_;

/* The table as `nft list table inet handfast` shows it. */
enum err rules_render_table(const struct rules *rules, struct buf *out) _must_use_;

/* One transaction that writes these rules into the existing chains. Each chain changes atomically and stays at its
 * hook, so no packet passes in between. Fails, and changes nothing, if a chain of the same name has another hook. */
enum err rules_render_rewrite(struct span table, struct buf *out) _must_use_;

/* One transaction that replaces the table. The chains are new: a packet on another CPU can pass the new chain before it
 * is active and the old one after it was removed. */
enum err rules_render_replace(struct span table, struct buf *out) _must_use_;

/* One transaction that removes the table if it exists. */
enum err rules_render_remove(struct buf *out) _must_use_;

struct rules_guard {
	const char *chain, *hook, *end; /* its name, its type and hook, its last rules */
};
#define RULES_NUM_GUARDS 3
extern const struct rules_guard RULES_GUARDS[RULES_NUM_GUARDS];

/* Whether a listed table (without counts) has this guard at its hook, with its last rules. */
bool rules_guard_is_present(struct span table, const struct rules_guard *guard);

/* The number of packets that a guard dropped, from a table listed with counts. */
uint64_t rules_guard_packets(struct span table, const char *chain);
