/* The client of the Discovery API: keeps a stream open while there is a connection to the control plane, subscribes to
 * the destinations that workers need, and passes answers, mesh networks and policy to callbacks. When the stream ends,
 * the last known state stays in use, and the next stream subscribes to all destinations again. Main thread only. */
#pragma once

#include "base/core/loop.h"
#include "base/rpc/rpc_client.h"
#include "policy/policy.h"
#include "sidecar/route/endpoint.h"

struct discovery_client;

struct discovery_options { /* all borrowed; the callbacks' arguments are borrowed during the call */
	struct loop *loop;
	struct trust_domain own_domain;
	const char *release;         /* of this program */
	const char *const *services; /* names whose addresses on_mesh is to have, at most 64; the array is copied */
	size_t num_services;
	size_t max_subscriptions; /* 0: 16,384; above it the least recently used one is dropped */
	void (*on_mesh)(void *arg, struct mesh_networks *networks, struct policy *policy);
	void (*on_answer)(void *arg, struct answer *answer);
	/* Before either of them: what was kept of this client is out of date. must_not_be_used: it is behind a policy,
	 * or has in plaintext what no longer is. NULL: nothing is kept. */
	void (*on_stale)(void *arg, bool must_not_be_used);
	void *arg;
};

struct discovery_client *discovery_client_new(const struct discovery_options *options);
void discovery_client_free(struct discovery_client *client);
/* A connection that is open; NULL: it has closed. The client opens the stream on it, and again after each failure while
 * the connection is open. */
void discovery_client_attach(struct discovery_client *client, struct rpc_client *connection);
/* Subscribes; if the destination is subscribed already, reports the known answer again. */
void discovery_client_subscribe(struct discovery_client *client, const struct addr *destination);
/* For a restart without a control plane (decision 074): appends mesh state and answers, as many as there is room for.
 * They are for this identity, until not_after_s. Nothing is appended while there is no mesh state.
 * ERR_LIMIT: the mesh state is too large; what was kept before must go. */
struct kept_for {
	struct span id;
	int64_t not_after_s;
};
enum err discovery_client_keep(
	const struct discovery_client *client, const struct kept_for *for_, struct buf *out) _must_use_;
/* Takes such bytes over as if they had been received; they are subscribed to. now_s against not_after_s.
 * ERR_WRONG_PEER: of another identity. ERR_EXPIRED. ERR_MALFORMED: nothing is taken over. */
enum err discovery_client_take_kept(
	struct discovery_client *client, struct span bytes, struct span id, int64_t now_s, struct why *why) _must_use_;
/* The answers, that of the destination used last first. False: enough. */
typedef bool discovery_answer_fn(void *arg, const struct answer *answer);
void discovery_client_each_answer(const struct discovery_client *client, discovery_answer_fn *each, void *arg);
size_t discovery_client_num_subscriptions(const struct discovery_client *client);
const struct why *discovery_client_last_failure(const struct discovery_client *client); /* err ERR_NONE: none */
