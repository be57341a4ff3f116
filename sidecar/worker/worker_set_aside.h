/* The endpoints that workers have set aside since they failed (decision 087). */
#pragma once

#include "sidecar/worker/worker.h"

struct set_aside_endpoints {          /* borrowed during the call */
	const struct addr *addresses; /* one that several workers have set aside stands there for each */
	size_t num;
};
/* Whether a worker has it set aside. */
bool set_aside_has(const struct set_aside_endpoints *endpoints, const struct addr *address);
typedef void set_aside_fn(void *arg, const struct set_aside_endpoints *endpoints);
void worker_gather_set_aside(
	struct worker *const *workers, unsigned num, struct loop *reply_to, set_aside_fn *on_set_aside, void *arg);
