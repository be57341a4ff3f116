/* The Discovery service: who is where, and what is allowed, to each sidecar that asks. One stream a sidecar: the mesh's
 * state first and at every change, answers to what it subscribed, on change alone. A change costs the destinations that
 * it changes, once each, and a message to each of their subscribers, in slices. States are coalesced to the latest: a
 * reader that is slow gets fewer of them, never a growing queue. */
#pragma once

#include "base/rpc/rpc.h"
#include "control/registry/registry.h"

struct distributor;

struct distributor *distributor_new(struct loop *loop, struct registry *registry, const struct control_config *config);
void distributor_free(struct distributor *distributor); /* after its streams */
void distributor_set_config(
	struct distributor *distributor, const struct control_config *config); /* borrowed, as the first */
/* Answers about `ip` may be others now; NULL: about any. */
void distributor_registry_changed(struct distributor *distributor, const struct ip_addr *ip);
uint64_t distributor_num_suppressed(const struct distributor *distributor); /* log lines that were only counted */

struct distributor_counts { /* so far */
	uint64_t num_encoded, num_sent, num_slices;
};
const struct distributor_counts *distributor_counts(const struct distributor *distributor);

#define DISTRIBUTE_METHOD_PATH "/handfast.v1.Discovery/Stream"
/* The handlers of an rpc_method. The peer has been authorized as `id` (copied) before. */
void distribute_start(struct distributor *distributor, struct rpc_call *call, const struct spiffe_id *id);
void distribute_message(void *stream, struct rpc_call *call, struct span message);
void distribute_half_close(void *stream, struct rpc_call *call);
void distribute_done(void *stream, struct rpc_call *call);
