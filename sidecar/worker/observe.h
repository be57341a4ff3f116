/* Turns the events of a worker's connections and tunnels into metrics, access log lines and entries of /why. Called on
 * the worker's thread. */
#pragma once

#include "sidecar/conn/conn.h"
#include "sidecar/report/dry_runs.h"
#include "sidecar/report/failures.h"
#include "sidecar/report/peers.h"
#include "sidecar/report/port_use.h"
#include "sidecar/report/sidecar_metrics.h"

struct observe {                    /* one per worker, in the root's storage; everything in it is borrowed */
	struct metric_shard *shard; /* of this worker */
	struct access_log *log;     /* this and what follows is shared by all workers */
	struct failures *failures;
	struct port_use *ports;
	struct dry_runs *dry_runs;
	struct peers *peers;
	const struct clock *clock;
};

struct conn_observer observe_conns(struct observe *observe);
struct tunnel_observer observe_tunnels(struct observe *observe);
