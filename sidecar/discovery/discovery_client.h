/* Who is where and what is allowed, from the control plane to this process: holds the Discovery stream while there is a
 * connection, asks what workers ask, hands on what comes. What was learnt stays when the stream goes (last known good),
 * and is asked for again on the next one. Main thread only. */
#pragma once

#include "base/core/loop.h"
#include "base/rpc/rpc_client.h"
#include "sidecar/policy/policy.h"
#include "sidecar/route/endpoint.h"

struct discovery_client;

struct discovery_options { /* borrowed all; what the callbacks get is borrowed during the call */
	struct loop *loop;
	struct trust_domain own_domain;
	const char *release;      /* of this program */
	size_t max_subscriptions; /* 0: 16,384: beyond it the least recently asked goes */
	void (*on_mesh)(void *arg, struct mesh_networks *networks, struct policy *policy);
	void (*on_answer)(void *arg, struct answer *answer);
	void (*on_live)(void *arg, bool is_live); /* the first state of a stream has come; or the stream is gone */
	void *arg;
};

struct discovery_client *discovery_client_new(const struct discovery_options *options);
void discovery_client_free(struct discovery_client *client);
/* A connection that is up; NULL: it is gone. The stream is opened on it, and again after a failure as long as it is up.
 */
void discovery_client_attach(struct discovery_client *client, struct rpc_client *connection);
void discovery_client_ask(struct discovery_client *client, const struct addr *destination); /* again: cheap */
size_t discovery_client_num_subscriptions(const struct discovery_client *client);
const struct why *discovery_client_last_failure(const struct discovery_client *client); /* err ERR_NONE: none */
