/* The Discovery service: distributes the mesh's state, policy and answers about destinations. One stream per sidecar:
 * the mesh's state first and at every change, and answers to its subscriptions when they change. A change is resolved
 * and encoded once per destination that it affects, and costs one message per subscriber, in slices. States are
 * coalesced to the latest: a slow reader gets fewer of them, never a growing queue. */
#pragma once

#include "base/rpc/rpc.h"
#include "control/distribute/policy_source.h"
#include "control/registry/registry.h"

struct distributor;

struct distributor *distributor_new(struct loop *loop, struct registry *registry, const struct control_config *config);
void distributor_free(struct distributor *distributor); /* after its streams */
void distributor_set_config(
	struct distributor *distributor, const struct control_config *config); /* borrowed, as the first */

/* Before the first stream, or with distributor_policies_changed() for all. Copied; zeroed: none. */
void distributor_set_policies(struct distributor *distributor, const struct policy_source *source);
const struct policy_source *distributor_policies(const struct distributor *distributor); /* borrowed */
/* The source has changed for the workloads that `concerns` is true of; NULL: for none, but it may be known now. Only
 * their sidecars get a new state. */
void distributor_policies_changed(
	struct distributor *distributor, bool (*concerns)(void *arg, const struct spiffe_id *id), void *arg);
/* Each sidecar with a stream here; is_in_force: it has confirmed the policy that it is to have now. */
void distributor_each_sidecar(const struct distributor *distributor,
	void (*visit)(void *arg, const struct spiffe_id *id, bool is_in_force), void *arg);
/* The policy of a workload as its sidecars are to have it, in discovery.proto's form. ERR_UNAVAILABLE: it is not known
 * yet, see policy_source.h. */
enum err distributor_policy_of(
	const struct distributor *distributor, const struct spiffe_id *id, struct buf *out) _must_use_;
uint64_t distributor_policy_marks(const struct distributor *distributor); /* grows with each change of the above */

/* Who has asked about which destination on a stream that is open, by stream; since_s: in seconds since 1970, not
 * before the stream. At most `max` of them, of each identity equally many (fair_rows.h); returns how many there are. */
struct distributor_interest { /* borrowed */
	const struct spiffe_id *id;
	const struct addr *destination;
	int64_t since_s;
};
typedef void distributor_interest_fn(void *arg, const struct distributor_interest *interest);
uint64_t distributor_each_interest(
	const struct distributor *distributor, uint64_t max, distributor_interest_fn *each, void *arg);

const struct control_config *distributor_config(const struct distributor *distributor); /* borrowed */

/* Answers about `ip` may have changed; NULL: about any. */
void distributor_registry_changed(struct distributor *distributor, const struct ip_addr *ip);
/* What the limits count: subscriptions, names of services, and one per stream. */
uint64_t distributor_num_charged(const struct distributor *distributor);
uint64_t distributor_num_suppressed(const struct distributor *distributor); /* log lines that were suppressed */

struct distributor_counts { /* so far */
	uint64_t num_encoded, num_sent, num_slices;
};
const struct distributor_counts *distributor_counts(const struct distributor *distributor);

#define DISTRIBUTE_METHOD_PATH "/handfast.v1.Discovery/Stream"
/* The handlers of an rpc_method. The peer was authorized as `id` (copied) before. */
void distribute_start(struct distributor *distributor, struct rpc_call *call, const struct spiffe_id *id,
	const struct ip_addr *from); /* its host, as the connection has it */
void distribute_message(void *stream, struct rpc_call *call, struct span message);
void distribute_half_close(void *stream, struct rpc_call *call);
void distribute_done(void *stream, struct rpc_call *call);
