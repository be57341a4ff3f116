/* The life of one intercepted connection: the steps of conn_steps.def in order, then one close reason. */
#pragma once

#include "base/core/loop.h"
#include "base/core/shares.h"
#include "base/net/socket.h"
#include "sidecar/conn/close_reason.h"
#include "sidecar/conn/worker_snapshot.h"
#include "sidecar/direct/direct_client.h"
#include "sidecar/direct/direct_server.h"
#include "sidecar/relay/relay.h"
#include "sidecar/report/access_log.h"
#include "sidecar/route/endpoint_limit.h"
#include "sidecar/route/listeners.h"
#include "sidecar/route/loads.h"
#include "sidecar/route/original_dst.h"
#include "sidecar/route/outliers.h"
#include "sidecar/tunnel/pool/tunnel_pool.h"
#include "sidecar/tunnel/tunnel_server.h"

enum conn_kind { CONN_OUTBOUND, CONN_INBOUND, CONN_INBOUND_PLAIN };
#define NUM_CONN_KINDS 3

enum conn_step_id {
#define CONN_STEP(symbol, name, outbound, inbound, inbound_plain, timeout, timeout_reason) symbol,
#include "sidecar/conn/conn_steps.def"
#undef CONN_STEP
	NUM_CONN_STEPS
};

struct conn_timeouts {           /* milliseconds */
	uint64_t resolve;        /* parked until identity, policy or an answer arrives */
	uint64_t connect;        /* to the app, or to the other sidecar including its response */
	uint64_t idle;           /* 0: none */
	uint64_t plaintext_idle; /* for inbound connections without identity, if shorter; 0: same as idle */
};

struct conn;
struct conn_table;

struct conn_dry_run { /* a dry-run rule would decide otherwise; borrowed during the call */
	const char *rule;
	bool would_deny;
	bool was_open; /* decided before, without that rule */
	const struct spiffe_id *id;
	struct addr source;
	uint16_t port;
};

struct conn_observer { /* each may be NULL */
	void (*on_begin)(void *arg, enum conn_kind kind);
	/* Before the first byte passes. after_ms: since the connection was accepted. */
	void (*on_relay)(
		void *arg, enum conn_kind kind, bool encrypted, const struct addr *destination, uint64_t after_ms);
	/* The bytes relayed since the last call: about once per second while the connection is open, and before on_end.
	 */
	void (*on_bytes)(void *arg, enum conn_kind kind, bool encrypted, const struct relay_counts *more);
	void (*on_limit)(void *arg, enum share_limit limit); /* a limit refuses the connection; on_end follows */
	void (*on_end)(void *arg, enum conn_kind kind, enum close_reason reason, const struct access_record *record);
	void *arg;
	void (*on_retry)(void *arg); /* outbound: the next endpoint is tried */
	/* An endpoint of this destination failed and gets no connections for so long; 0: it serves again, and why is
	 * NULL. */
	void (*on_outlier)(void *arg, const struct addr *destination, const struct addr *endpoint, uint32_t pause_ms,
		const struct why *why);
	void (*on_dry_run)(void *arg, const struct conn_dry_run *event);
};

/* In IPv6 a port of 100::6 is not reused for 60 s after its connection (docs/decisions/023). When the ports of 100::6
 * run out, connections to the workload come from 100::8 to 100::f in turn; handfast-init adds these addresses too. */
struct spare_sources {
	unsigned at; /* 0: 100::6 itself; else the place of the spare address, from 1 */
	uint64_t since_ms;
};

/* What the connections of one worker use; everything is borrowed. */
struct conn_env {
	struct loop *loop;
	struct worker_snapshot *snapshot;
	struct conn_table *table;
	struct tunnel_pool *pool;
	struct direct_client *direct;          /* to endpoints that are reached without a tunnel */
	struct loads *loads;                   /* how slow and how full endpoints are */
	struct outliers *outliers;             /* endpoints that failed recently */
	struct endpoint_limit *endpoint_limit; /* NULL: none */
	uint32_t spread;                       /* state of random_spread(): which endpoints of a service are compared */
	struct own_ports own_ports;
	struct conn_timeouts timeouts;
	struct socket_keepalive keepalive; /* of every plain socket */
	struct local_ports ports;          /* for connections that the sidecar opens */
	struct spare_sources spare_sources;
	struct ip_addr app_source_v4, app_source_v6; /* 169.254.15.6, 100::6: the source address of inbound
							connections as the app sees it; family 0: any */
	bool keeps_source;                 /* connections to the workload have their caller's address (mode tproxy) */
	const struct listeners *listeners; /* where the workload listens, if not where its callers dial; NULL: none */
	struct conn_observer observer;
};

/* Start a connection; it ends and frees itself. fd is adopted. */
void conn_start_outbound(struct conn_env *env, int fd, const struct addr *source);
/* Through a listener (borrowed, outlives the connection), without an original destination. */
void conn_start_outbound_to(
	struct conn_env *env, int fd, const struct addr *source, const struct outbound_listener *listener);
void conn_start_inbound_plain(struct conn_env *env, int fd, const struct addr *source);
void conn_start_inbound(struct conn_env *env, struct inbound_stream *stream);
/* A connection with a TLS session of its own, whose peer is verified. `leg` is adopted. */
void conn_start_inbound_direct(struct conn_env *env, struct leg *leg, struct svid *peer, enum key_exchange key_exchange,
	const struct addr *local, const struct addr *remote);
/* Instead: the caller's handshake failed. It is reported as a connection that ended. */
void conn_report_failed_handshake(const struct conn_env *env, const struct direct_failure *failure);
void conn_abandon(struct inbound_stream *stream); /* the peer reset its stream before it was answered */

struct conn_summary { /* for /connections; borrowed during the call */
	enum conn_kind kind;
	const char *step;
	struct addr source, destination;
	const struct spiffe_id *peer;
	struct relay_counts counts;
	uint64_t age_ms;
	bool encrypted;
};
void conn_summary(const struct conn *conn, struct conn_summary *out);
