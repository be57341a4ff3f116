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
#define RULES_TEXT_MAX      16384
#define RULES_OUTBOUND_PORT 15001 /* what the workload opens */
#define RULES_INBOUND_PORT  15006 /* what comes in without a tunnel */
#define RULES_TUNNEL_PORT   15008 /* tunnels come in unredirected */
#define RULES_METRICS_PORT  15020 /* so do scrapers and probes */
#define RULES_SSH_PORT      22
#define RULES_EXEMPT_ID     1337 /* the sidecar's uid and gid */

struct port_list {
	uint16_t ports[RULES_MAX_PORTS]; /* ascending, each once */
	unsigned num;
};

struct rules {
	struct port_list exclude_inbound;
	struct port_list exclude_outbound;
	struct network exclude_networks[RULES_MAX_NETWORKS]; /* outbound */
	unsigned num_exclude_networks;
	bool spare_ssh; /* port 22 in both directions, and the answers of an SSH session that is open already */
};

/* Keeps the order; a port that is there already is no mistake. ERR_LIMIT when full. */
enum err port_list_add(struct port_list *list, uint16_t port) _must_use_;

enum err rules_add_network(struct rules *rules, const struct network *network) _must_use_;

/* The table as `nft list table inet handfast` shows it. */
enum err rules_render_table(const struct rules *rules, struct buf *out) _must_use_;

/* One transaction that puts the table in the place of whatever table of ours was there. */
enum err rules_render_replace(struct span table, struct buf *out) _must_use_;

/* One transaction after which there is no table of ours, whether there was one or not. */
enum err rules_render_remove(struct buf *out) _must_use_;
