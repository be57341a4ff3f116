/* Looks into every worker at once and comes back when all have been looked into: each worker writes into a slot of its
 * own on its own thread, and the slots are read on the loop given. */
#pragma once

#include "sidecar/worker/worker.h"

typedef void gather_inspect_fn(void *slot, const struct worker_inside *inside);
typedef void gather_done_fn(void *arg, void *slots, unsigned num); /* zeroed at the start; gone after the call */

void worker_gather(struct worker *const *workers, unsigned num, size_t slot_size, gather_inspect_fn *look,
	struct loop *reply_to, gather_done_fn *on_done, void *arg);
