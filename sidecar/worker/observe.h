/* What a worker's connections and tunnels tell, counted, logged and kept for /why. Called on the worker's thread. */
#pragma once

#include "sidecar/conn/conn.h"
#include "sidecar/report/failures.h"
#include "sidecar/report/port_use.h"
#include "sidecar/report/sidecar_metrics.h"

struct observe {                    /* one a worker, the root's storage; everything in it is borrowed */
	struct metric_shard *shard; /* this worker's own */
	struct access_log *log;     /* the rest is shared by all */
	struct failures *failures;
	struct port_use *ports;
	const struct clock *clock;
};

struct conn_observer observe_conns(struct observe *observe);
struct tunnel_observer observe_tunnels(struct observe *observe);
