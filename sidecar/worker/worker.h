/* One worker: a thread with its own loop, listeners, tunnels and connections. Workers share no mutable state but what
 * the reports count and keep (sidecar/report), the flow-control memory limit and the connections per endpoint.
 * Credentials, policy, networks, answers and time reach a worker as messages. Every function here may be called from
 * the main thread at any time unless its comment excludes that. */
#pragma once

#include "base/core/metrics.h"
#include "sidecar/conn/conn_table.h"
#include "sidecar/tunnel/pool/tunnel_pool.h"
#include "sidecar/tunnel/tunnel_server.h"

struct worker;

struct worker_ports {
	uint16_t outbound, inbound_plain, tunnel; /* 15001, 15006, 15008; 0: none */
};

struct worker_options { /* everything but the plain values is borrowed and outlives the worker */
	unsigned index;
	struct worker_ports ports;
	const struct listeners *listeners;
	bool keeps_source; /* mode tproxy */
	struct own_ports own_ports;
	bool ipv6;
	struct conn_limits conn_limits; /* of this worker */
	struct conn_timeouts timeouts;
	struct socket_keepalive keepalive;
	struct tunnel_limits limits;
	struct tls_context *client_context, *server_context;
	struct tls_context *istio_context;  /* of a client, for mutual TLS without a tunnel: DIRECT_ALPN */
	struct tls_context *direct_context; /* for mutual TLS without a tunnel; NULL: no listener takes it */
	uint32_t max_direct_handshakes;     /* of such callers, of this worker, under way at once; 0: 256 */
	struct flow_control_memory *budget;
	struct endpoint_limit *endpoint_limit; /* NULL: none */
	struct passed_sockets
		*passed; /* listening sockets that are taken where they fit; NULL: none; during worker_new() */
	bool is_held;    /* accepts nothing until worker_resume() */
	const struct clock *clock;
	enum outbound_mode outbound_mode;
	struct ip_addr app_source_v4, app_source_v6;
	struct conn_observer conn_observer;        /* called on the worker's thread */
	struct tunnel_observer tunnel_observer;    /* likewise */
	void (*on_paused)(void *arg, bool paused); /* out of descriptors or connections; on the worker's thread */
	/* Subscribe to this destination: on the worker's thread, so it must post the request to the main loop. */
	void (*on_subscribe)(void *arg, const struct addr *destination);
	void *arg;
};

/* Opens the listeners (ERR_SYSTEM and *why if a port is in use) but does not start the thread. */
enum err worker_new(const struct worker_options *options, struct worker **out, struct why *why) _must_use_;
/* Accepted tunnels go to these workers in turn: the kernel's own distribution can put all tunnels of a peer on one. */
void worker_set_siblings(
	struct worker *worker, struct worker *const *workers, unsigned num); /* before start; borrowed */
void worker_start(struct worker *worker);
/* Ends the thread. Workers with siblings are all stopped before the first is freed: they post messages to each other.
 */
void worker_stop(struct worker *worker);
void worker_free(struct worker *worker); /* stops it too, and ends its connections as drained */

/* --- updates of the worker snapshot; each takes a reference of its own --- */
void worker_set_credentials(
	struct worker *worker, struct credentials *credentials); /* NULL: none (withdrawn, expired) */
void worker_set_policy(struct worker *worker, struct policy *policy);
void worker_set_networks(struct worker *worker, struct mesh_networks *networks);
void worker_put_answer(struct worker *worker, struct answer *answer);
void worker_set_outbound_mode(struct worker *worker, enum outbound_mode mode); /* open connections, too */
void worker_set_time(struct worker *worker, const struct trusted_time *time);

/* Tunnels send GOAWAY; connections continue, and new ones are still accepted. */
void worker_drain(struct worker *worker);

/* --- from one process to the next --- */
void worker_resume(struct worker *worker); /* where is_held, or after worker_hold() */
void worker_hold(struct worker *worker);   /* accepts nothing until worker_resume() */
/* Before start: takes another socket that listens where this worker does. Adopts fd, closes it if it fits nowhere. */
void worker_adopt(struct worker *worker, int fd, const struct addr *at);
/* Before worker_hand_over(): the listening sockets, which stay the worker's: num of them at most. Returns how many. */
size_t worker_sockets(const struct worker *worker, int *out, size_t num);
/* Accepts nothing more, as another process does, and drains. */
void worker_hand_over(struct worker *worker);

/* --- inspection: `inspect` runs on the worker's thread, then `on_inspected` on `reply_to` --- */
struct worker_inside { /* borrowed during the call */
	const struct conn_table *conns;
	const struct tunnel_pool *pool;
	const struct tunnel_server *server;
	const struct outliers *outliers;
	uint64_t now_ms;      /* of its loop */
	uint64_t num_refused; /* connections that the listeners refused for lack of descriptors, in total */
};
typedef void worker_inspect_fn(void *arg, const struct worker_inside *inside);
typedef void worker_inspected_fn(void *arg);
void worker_inspect(struct worker *worker, worker_inspect_fn *inspect, struct loop *reply_to,
	worker_inspected_fn *on_inspected, void *arg);
