/* Mail to a worker: what worker.h's setters send, and what they do on the worker's own thread. */
#pragma once

#include "sidecar/worker.h"

struct worker_mail; /* embedded in the sender's heap object, or alone; the deliverer owns it */
typedef void worker_mail_fn(struct worker_mail *mail, struct worker *worker);
struct worker_mail {
	struct loop_mail mail;
	struct worker *worker;
	worker_mail_fn *on_deliver;
};
void worker_mail_send(struct worker *worker, struct worker_mail *mail, worker_mail_fn *on_deliver);

/* The worker's insides, on its own thread. */
struct loop *worker_loop(struct worker *worker);
struct view *worker_view(struct worker *worker);
void worker_credentials_changed(struct worker *worker);
void worker_view_changed(struct worker *worker);
void worker_tunnels_drain(struct worker *worker);
struct worker_inside worker_insides(const struct worker *worker);
