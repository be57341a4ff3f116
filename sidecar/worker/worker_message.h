/* Messages to a worker: what the setters of worker.h post, and what each message does on the worker's thread. */
#pragma once

#include "sidecar/worker/worker.h"

struct worker_message; /* embedded in the sender's heap object, or alone; the deliverer owns it */
typedef void worker_message_fn(struct worker_message *message, struct worker *worker);
struct worker_message {
	struct loop_message message;
	struct worker *worker;
	worker_message_fn *on_deliver;
};
void worker_post(struct worker *worker, struct worker_message *message, worker_message_fn *on_deliver);

/* The parts of a worker; only for its own thread. */
struct loop *worker_loop(struct worker *worker);
struct worker_snapshot *worker_snapshot(struct worker *worker);
void worker_credentials_changed(struct worker *worker);
void worker_snapshot_changed(struct worker *worker);
void worker_tunnels_drain(struct worker *worker);
struct worker_listeners *worker_listeners(struct worker *worker);
struct worker_inside worker_insides(const struct worker *worker);
