/* The pages whose facts are the workers': asked of each, merged and answered later. */
#pragma once

#include "base/http/http_get.h"
#include "sidecar/worker/worker.h"

/* /connections: the newest of each worker, at most 1,000 a worker, and how many there are. */
void worker_page_connections(
	struct http_request *request, struct worker *const *workers, unsigned num, struct loop *reply_to);
/* /tunnels */
void worker_page_tunnels(
	struct http_request *request, struct worker *const *workers, unsigned num, struct loop *reply_to);

struct worker_totals {
	size_t num_connections, num_tunnels, num_streams;
	int64_t oldest_identity_s;         /* the oldest that still carries a stream; 0: none */
	uint64_t num_refused;              /* by the listeners, out of descriptors; so far */
	unsigned num_full[NUM_CONN_KINDS]; /* workers without room for that kind of connection */
};
typedef void worker_totals_fn(void *arg, const struct worker_totals *totals);
void worker_ask_totals(struct worker *const *workers, unsigned num, struct loop *reply_to, worker_totals_fn *on_totals,
	void *arg); /* for gauges, drain and readiness */
