/* The admin pages that show data of the workers: gathered from each worker, merged, and answered when all are done. */
#pragma once

#include "base/http/http_get.h"
#include "sidecar/worker/worker.h"

/* /connections: the newest connections, at most 1,000 per worker, and the total number. */
void worker_page_connections(
	struct http_request *request, struct worker *const *workers, unsigned num, struct loop *reply_to);
/* /connections?by=source: all open inbound connections, counted by what policy decides by: identity, source address and
 * port; each such source once. Of a worker, its first 4,000 of them: "total" less "shown" is the number of the other
 * connections. */
void worker_page_sources(
	struct http_request *request, struct worker *const *workers, unsigned num, struct loop *reply_to);
/* /tunnels: the tunnels, and the endpoints that are set aside since they failed. */
void worker_page_tunnels(
	struct http_request *request, struct worker *const *workers, unsigned num, struct loop *reply_to);

struct worker_totals {
	size_t num_connections, num_tunnels, num_streams;
	size_t num_ejected;                /* endpoints that are set aside now */
	int64_t oldest_identity_s;         /* of the oldest identity whose tunnel still carries a stream; 0: none */
	uint64_t num_refused;              /* by the listeners for lack of descriptors, in total */
	unsigned num_full[NUM_CONN_KINDS]; /* workers without room for that kind of connection */
};
typedef void worker_totals_fn(void *arg, const struct worker_totals *totals);
void worker_gather_totals(struct worker *const *workers, unsigned num, struct loop *reply_to,
	worker_totals_fn *on_totals, void *arg); /* for gauges, drain and readiness */
