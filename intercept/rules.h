/* The interception rules as data, and as the text that libnftables takes. Pure.
 *
 * The text is written exactly as nft lists it, so that what the kernel holds can be compared with what we would write.
 * One table of our own holds IPv4 and IPv6; nothing outside it is touched. */
#pragma once

#include "base/core/addr.h"
#include "base/core/buf.h"

#define RULES_TABLE         "handfast"
#define RULES_MAX_PORTS     64
#define RULES_MAX_GIVEN     60 /* by the operator; our own ports take the other places */
#define RULES_MAX_NETWORKS  64
#define RULES_TEXT_MAX      32768
#define RULES_OUTBOUND_PORT 15001 /* what the workload opens */
#define RULES_INBOUND_PORT  15006 /* what comes in without a tunnel */
#define RULES_TUNNEL_PORT   15008 /* tunnels come in unredirected */
#define RULES_METRICS_PORT  15020 /* so do scrapers and probes */
#define RULES_SSH_PORT      22
#define RULES_EXEMPT_ID     1337 /* the sidecar's uid and gid */

/* The chains that stop what nat did not translate, and how each ends. They count what they stop. */
#define RULES_INBOUND_GUARD  "inbound_guard"
#define RULES_OUTBOUND_GUARD "outbound_guard"
#define RULES_LOOPBACK_GUARD "loopback_guard"
#define RULES_INBOUND_GUARD_END                                                                                        \
	"\t\tmeta skuid 1337 accept\n"                                                                                 \
	"\t\tmeta skgid 1337 accept\n"                                                                                 \
	"\t\tcounter drop\n\t}\n"
#define RULES_OUTBOUND_GUARD_END                                                                                       \
	"\t\tmeta skuid != 1337 ct state invalid counter drop\n"                                                       \
	"\t\tmeta l4proto tcp meta skuid != 1337 counter reject with tcp reset\n"                                      \
	"\t\tct state established,related accept\n"                                                                    \
	"\t\tcounter drop\n\t}\n"

#define RULES_LOOPBACK_GUARD_END "\t\tip daddr 127.0.0.0/8 counter drop\n\t\tip6 daddr ::1 counter drop\n\t}\n"

struct port_list {
	uint16_t ports[RULES_MAX_PORTS]; /* ascending, each once */
	unsigned num;
};

struct rules {
	struct port_list exclude_inbound;
	struct port_list exclude_outbound;
	struct network exclude_networks[RULES_MAX_NETWORKS]; /* outbound */
	unsigned num_exclude_networks;
	bool exempt_ssh;        /* port 22 in both directions, and the answers of an SSH session that is open already */
	bool kernel_has_socket; /* nf_tables can look up the socket of a packet that comes in (nft_socket) */
};

/* Keeps the order; a port that is there already is no error. ERR_LIMIT when full. */
enum err port_list_add(struct port_list *list, uint16_t port) _must_use_;

enum err rules_add_network(struct rules *rules, const struct network *network) _must_use_;

/* The table as `nft list table inet handfast` shows it. */
enum err rules_render_table(const struct rules *rules, struct buf *out) _must_use_;

/* One transaction that puts these rules into the chains that stand. Each chain changes from its old rules to its new
 * ones at one moment and never leaves its hook, so no packet passes between the two. Fails, and changes nothing, where
 * a chain of the same name has another hook. */
enum err rules_render_rewrite(struct span table, struct buf *out) _must_use_;

/* One transaction that puts the table in the place of whatever table of ours was there. The chains are new ones: a
 * packet on another processor may meet the new chain before it counts and the old one after. */
enum err rules_render_replace(struct span table, struct buf *out) _must_use_;

/* One transaction after which there is no table of ours, whether there was one or not. */
enum err rules_render_remove(struct buf *out) _must_use_;

struct rules_guard {
	const char *chain, *hook, *end; /* its name, its type and hook, and the rules that close it */
};
#define RULES_NUM_GUARDS 3
extern const struct rules_guard RULES_GUARDS[RULES_NUM_GUARDS];

/* Whether a listed table (without counts) has this guard at its hook, with its closing rules in place. */
bool rules_guard_is_present(struct span table, const struct rules_guard *guard);

/* How many packets a guard has stopped, from a table that was listed with its counts. */
uint64_t rules_guard_packets(struct span table, const char *chain);
