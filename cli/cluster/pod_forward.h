/* A port of a pod's loopback interface as a stream of bytes, forwarded by the API server (pods/portforward over
 * WebSocket, v4.channel.k8s.io; decision 054). Belongs to one loop. */
#pragma once

#include "base/core/loop.h"
#include "base/core/span.h"
#include "base/kube/kube_config.h"

struct pod_forward_options { /* borrowed until the end */
	struct loop *loop;
	const struct kube_config *config;
	const char *namespace_, *pod; /* names, which become part of a path */
	uint16_t port;
	uint32_t timeout_ms; /* for all of it */
};

struct pod_forward_events {
	void (*on_open)(void *arg);
	void (*on_data)(void *arg, struct span bytes);
	/* Last. ERR_CLOSED: the stream has ended. ERR_REFUSED: the pod's node reports why->got, as where nothing
	 * listens at the port; ERR_DENIED with `is_forbidden`: this account may not forward ports of the pod. Else the
	 * API server cannot be reached, or has another reason. */
	void (*on_end)(void *arg, enum err err, bool is_forbidden, const struct why *why);
};

struct pod_forward;
struct pod_forward *pod_forward_open(
	const struct pod_forward_options *options, const struct pod_forward_events *events, void *arg);
void pod_forward_free(struct pod_forward *forward); /* at any time but within an event */
DEFINE_CLEANUP(struct pod_forward *, pod_forward_free)
/* After on_open. ERR_LIMIT: more than 64 KiB wait to be sent. */
enum err pod_forward_send(struct pod_forward *forward, struct span bytes) _must_use_;
