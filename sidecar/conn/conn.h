/* The life of one intercepted connection: the steps of conn_steps.def in their order, one close reason at the end. */
#pragma once

#include "base/core/loop.h"
#include "base/core/shares.h"
#include "base/net/socket.h"
#include "sidecar/conn/close_reason.h"
#include "sidecar/conn/worker_snapshot.h"
#include "sidecar/relay/relay.h"
#include "sidecar/report/access_log.h"
#include "sidecar/route/original_dst.h"
#include "sidecar/route/outliers.h"
#include "sidecar/tunnel/pool/tunnel_pool.h"
#include "sidecar/tunnel/tunnel_server.h"

enum conn_kind { CONN_OUTBOUND, CONN_INBOUND, CONN_INBOUND_PLAIN };
#define NUM_CONN_KINDS 3

enum conn_step_id {
#define CONN_STEP(symbol, name, outbound, inbound, inbound_plain, deadline, late) symbol,
#include "sidecar/conn/conn_steps.def"
#undef CONN_STEP
	NUM_CONN_STEPS
};

struct conn_timeouts {           /* milliseconds */
	uint64_t resolve;        /* parked for identity, policy or an answer */
	uint64_t connect;        /* to the app, or to the other sidecar and its answer */
	uint64_t idle;           /* 0: never */
	uint64_t plaintext_idle; /* of inbound connections without identity, if shorter; 0: as the others */
};

struct conn;
struct conn_table;

struct conn_observer { /* may be NULL each */
	void (*on_begin)(void *arg, enum conn_kind kind);
	/* after_ms: since it was taken. */
	void (*on_relay)(
		void *arg, enum conn_kind kind, bool encrypted, const struct addr *destination, uint64_t after_ms);
	/* So many more bytes were handed on; about once per second while it lives, and before on_end. */
	void (*on_bytes)(void *arg, enum conn_kind kind, bool encrypted, const struct relay_counts *more);
	void (*on_limit)(void *arg, enum share_limit limit); /* a connection is refused; on_end follows */
	void (*on_end)(void *arg, enum conn_kind kind, enum close_reason reason, const struct access_record *record);
	void *arg;
	void (*on_retry)(void *arg); /* outbound: the next endpoint is tried */
};

/* In IPv6 a port of 100::6 rests for 60 s after its connection (docs/decisions/023). While they run out, connections to
 * the workload come from 100::8 to 100::f in turn, which handfast-init adds too. */
struct spare_sources {
	unsigned at; /* 0: 100::6 itself */
	uint64_t since_ms;
};

/* What the connections of one worker stand on; everything borrowed. */
struct conn_env {
	struct loop *loop;
	struct worker_snapshot *snapshot;
	struct conn_table *table;
	struct tunnel_pool *pool;
	struct outliers *outliers; /* endpoints that failed lately */
	uint32_t spread;           /* random_spread(): which endpoint of a service is the first to be tried */
	struct own_ports own_ports;
	struct conn_timeouts timeouts;
	struct socket_keepalive keepalive; /* of every plain socket */
	struct local_ports ports;          /* for connections of ours */
	struct spare_sources spare_sources;
	struct ip_addr app_source_v4, app_source_v6; /* 169.254.15.6, 100::6: where the app sees inbound connections
							come from; family 0: any */
	struct conn_observer observer;
};

/* Begins the life of a connection; it ends by itself. fd is adopted. */
void conn_start_outbound(struct conn_env *env, int fd, const struct addr *source);
void conn_start_inbound_plain(struct conn_env *env, int fd, const struct addr *source);
void conn_start_inbound(struct conn_env *env, struct inbound_stream *stream);
void conn_abandon(struct inbound_stream *stream); /* the peer gave its stream up before we answered */

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
