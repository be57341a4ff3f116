/* What one worker knows right now, and how its connections ask for more: the seam between the life of a connection and
 * what identity, discovery and policy have learnt. Filled by the composition root; each piece is replaced whole, by
 * mail, on the worker's own thread, and snapshot_changed() then looks at every connection again. */
#pragma once

#include "base/core/clock.h"
#include "certs/credentials.h"
#include "sidecar/policy/decide.h"
#include "sidecar/route/endpoint.h"

struct worker_snapshot {
	struct credentials *credentials; /* NULL: none yet: connections that need them are parked */
	struct policy *policy;           /* NULL: not arrived: connections are parked */
	struct mesh_networks *networks;  /* NULL: not arrived: connections are parked */
	struct endpoint_table *answers;
	struct trusted_time time;
	enum outbound_mode outbound_mode;
	bool discovery_is_live; /* a stream to the control plane stands now (for reasons in logs only) */
	/* A destination inside the mesh's networks that nobody asked about yet; the answer comes through `answers`. */
	void (*ask)(void *arg, const struct addr *destination);
	void *ask_arg;
};
