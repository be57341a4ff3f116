/* The engine of the store for Kubernetes: one custom resource per key (record_object.h) in the control plane's own
 * namespace. Several replicas share it: compare-and-swap by resourceVersion, and one watch keeps the content in memory.
 *
 * A change that was answered is durable in the API server. A change whose answer was lost is found by the writer's
 * mark before it is answered; if that fails too, the answer is ERR_IO and the change may or may not have happened. */
#pragma once

#include "base/kube/kube_client.h"
#include "control/store/store.h"

/* Reads all records; runs the loop until they are there, at most 30 seconds. Makes the incarnation if there is none.
 * client and namespace are borrowed until store_close(). ERR_UNAVAILABLE, ERR_DENIED (the role lacks a rule),
 * ERR_STATE_DAMAGED. */
enum err store_open_records(struct loop *loop, struct kube_client *client, const char *namespace_name,
	struct store **out, struct why *why) _must_use_;
