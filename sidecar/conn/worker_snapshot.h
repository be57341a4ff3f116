/* What one worker holds of credentials, policy, networks, answers and time: the interface between connections and the
 * components that supply these. The composition root fills it: each part is replaced whole, by a message that runs on
 * the worker's own thread, and conn_table_snapshot_changed() then rechecks every connection. */
#pragma once

#include "base/core/clock.h"
#include "certs/credentials.h"
#include "policy/decide.h"
#include "sidecar/route/endpoint.h"

struct worker_snapshot {
	struct credentials *credentials; /* NULL until they arrive: connections that need them are parked */
	struct policy *policy;           /* NULL until it arrives: connections are parked */
	struct mesh_networks *networks;  /* NULL until they arrive: connections are parked */
	struct endpoint_table *answers;
	struct trusted_time time;
	enum outbound_mode outbound_mode;
	/* Subscribes to a destination inside the mesh networks; the answer arrives in `answers`. */
	void (*subscribe)(void *arg, const struct addr *destination);
	void *subscribe_arg;
};
