/* Inspects all workers in parallel and calls back when all are done: each worker writes into its own slot on its own
 * thread, and on_done reads the slots on `reply_to`. */
#pragma once

#include "sidecar/worker/worker.h"

typedef void gather_inspect_fn(void *slot, const struct worker_inside *inside);
typedef void gather_done_fn(void *arg, void *slots, unsigned num); /* zeroed at the start; freed after the call */

void worker_gather(struct worker *const *workers, unsigned num, size_t slot_size, gather_inspect_fn *inspect,
	struct loop *reply_to, gather_done_fn *on_done, void *arg);
