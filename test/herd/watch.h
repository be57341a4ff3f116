/* A light Discovery stream: it subscribes to the addresses of services, confirms what comes as a sidecar does, and
 * keeps none of it but what it needs to count. */
#pragma once

#include "base/core/addr.h"
#include "base/rpc/rpc_client.h"

#define WATCH_MAX 64 /* subscriptions */

enum watch_event {
	WATCH_MESH,    /* the mesh's state and policy have come */
	WATCH_ANSWERS, /* and an answer to each subscription, for the first time */
};

struct watch { /* zeroed: no stream */
	struct addr destinations[WATCH_MAX];
	size_t num;
	struct rpc_call *call;
	size_t num_answers;           /* to how many there was one */
	uint8_t known[WATCH_MAX][16]; /* the digest of the newest answer to each; zeros: none */
	void (*on_event)(void *arg, enum watch_event event);
	void *arg;
};

/* Opens the stream; the connection is borrowed. NULL: it has ended, and its calls with it. */
void watch_attach(struct watch *watch, struct rpc_client *connection);
