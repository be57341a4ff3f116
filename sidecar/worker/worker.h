/* One worker: a thread with its own loop, listeners, tunnels and connections. Workers share nothing mutable but
 * counters and the flow-control memory limit. What the process learns reaches a worker as message; every function here
 * may be called from the main thread at any time unless it says otherwise. */
#pragma once

#include "base/core/metrics.h"
#include "sidecar/conn/conn_table.h"
#include "sidecar/tunnel/pool/tunnel_pool.h"
#include "sidecar/tunnel/tunnel_server.h"

struct worker;

struct worker_ports {
	uint16_t outbound, inbound_plain, tunnel; /* 15001, 15006, 15008 */
};

struct worker_options { /* everything but the plain values is borrowed and outlives the worker */
	unsigned index;
	struct worker_ports ports;
	struct own_ports own_ports;
	bool ipv6;
	struct conn_limits conn_limits; /* of this worker */
	struct conn_timeouts timeouts;
	struct socket_keepalive keepalive;
	struct tunnel_limits limits;
	struct tls_context *client_context, *server_context;
	struct flow_control_memory *budget;
	const struct clock *clock;
	enum outbound_mode outbound_mode;
	struct ip_addr app_source_v4, app_source_v6;
	struct conn_observer conn_observer;        /* called on the worker's thread */
	struct tunnel_observer tunnel_observer;    /* likewise */
	void (*on_paused)(void *arg, bool paused); /* out of descriptors or connections; on the worker's thread */
	void (*on_ask)(
		void *arg, const struct addr *destination); /* on the worker's thread: message it to whoever knows */
	void *arg;
};

/* Opens the listeners (ERR_SYSTEM and *why when a port is taken) but does not run yet. */
enum err worker_new(const struct worker_options *options, struct worker **out, struct why *why) _must_use_;
/* Accepted tunnels are handed to these in turn: the kernel's own spreading can put all of a peer's tunnels on one. */
void worker_set_siblings(
	struct worker *worker, struct worker *const *workers, unsigned num); /* before start; borrowed */
void worker_start(struct worker *worker);
/* Ends the thread. With siblings, stop all before the first is freed: they send each other message. */
void worker_stop(struct worker *worker);
void worker_free(struct worker *worker); /* stops it too, and cuts what is left as drained */

/* --- what the process has learnt; references are taken --- */
void worker_set_credentials(
	struct worker *worker, struct credentials *credentials); /* NULL: none (withdrawn, expired) */
void worker_set_policy(struct worker *worker, struct policy *policy);
void worker_set_networks(struct worker *worker, struct mesh_networks *networks);
void worker_put_answer(struct worker *worker, struct answer *answer);
void worker_set_time(struct worker *worker, const struct trusted_time *time);
void worker_set_discovery_live(struct worker *worker, bool is_live);

/* Tunnels say GOAWAY; connections go on and new ones are still taken. */
void worker_drain(struct worker *worker);

/* --- looking in: `look` runs on the worker's thread, then `on_inspected` on the loop given --- */
struct worker_inside { /* borrowed during the call */
	const struct conn_table *conns;
	const struct tunnel_pool *pool;
	const struct tunnel_server *server;
	uint64_t num_refused; /* by the listeners, out of descriptors; so far */
};
typedef void worker_inspect_fn(void *arg, const struct worker_inside *inside);
typedef void worker_inspected_fn(void *arg);
void worker_inspect(struct worker *worker, worker_inspect_fn *look, struct loop *reply_to,
	worker_inspected_fn *on_inspected, void *arg);
