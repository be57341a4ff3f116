/* The discovery client's struct, shared by its files: discovery_client.c has the stream, discovery_kept.c what outlives
 * the process. Only files of this folder include this header. */
#pragma once

#include "sidecar/discovery/discovery_client.h"
#include "sidecar/discovery/messages.h"
#include "sidecar/discovery/subscription.h"

enum { DISCOVERY_MESSAGE_MAX = 256 * 1024, MESH_KEPT_MAX = 2 << 20 };

struct discovery_client {
	struct discovery_options options;
	const char *services[NAMED_SERVICES_MAX]; /* of the options */
	struct subscription_set *subscriptions;
	struct rpc_client *connection;
	struct rpc_call *call; /* NULL: no stream */
	struct loop_timer again;
	uint64_t mesh_version;  /* of this stream */
	struct buf mesh;        /* the message with the mesh state in use, to be kept; empty: none */
	bool is_mesh_too_large; /* of the mesh state in use: nothing is kept */
	struct why failure;
};

/* discovery_kept.c. Before an answer or the mesh state is in use. An answer that was plaintext and no longer is must
 * not come back: its bytes would leave in plaintext. */
bool discovery_kept_has_plaintext(const struct discovery_client *client, const struct addr *destination);
void discovery_kept_stale(struct discovery_client *client, bool must_not_be_used);
void discovery_kept_mesh(struct discovery_client *client, struct span message);
