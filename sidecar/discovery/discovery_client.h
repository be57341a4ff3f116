/* The client of the Discovery API: keeps a stream open while there is a connection to the control plane, subscribes to
 * the destinations that workers need, and passes answers, mesh networks and policy to callbacks. When the stream ends,
 * the last known state stays in use, and the next stream subscribes to all destinations again. Main thread only. */
#pragma once

#include "base/core/loop.h"
#include "base/rpc/rpc_client.h"
#include "sidecar/policy/policy.h"
#include "sidecar/route/endpoint.h"

struct discovery_client;

struct discovery_options { /* all borrowed; the callbacks' arguments are borrowed during the call */
	struct loop *loop;
	struct trust_domain own_domain;
	const char *release;      /* of this program */
	size_t max_subscriptions; /* 0: 16,384; above it the least recently used one is dropped */
	void (*on_mesh)(void *arg, struct mesh_networks *networks, struct policy *policy);
	void (*on_answer)(void *arg, struct answer *answer);
	void *arg;
};

struct discovery_client *discovery_client_new(const struct discovery_options *options);
void discovery_client_free(struct discovery_client *client);
/* A connection that is open; NULL: it has closed. The client opens the stream on it, and again after each failure while
 * the connection is open. */
void discovery_client_attach(struct discovery_client *client, struct rpc_client *connection);
/* Subscribes; if the destination is subscribed already, reports the known answer again. */
void discovery_client_subscribe(struct discovery_client *client, const struct addr *destination);
size_t discovery_client_num_subscriptions(const struct discovery_client *client);
const struct why *discovery_client_last_failure(const struct discovery_client *client); /* err ERR_NONE: none */
