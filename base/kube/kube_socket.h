/* One WebSocket to the API server (RFC 6455), on a connection of its own: what Kubernetes has for streams into a pod.
 * HTTP/1.1, since the API server does not upgrade HTTP/2. Belongs to one loop. */
#pragma once

#include "base/core/loop.h"
#include "base/core/span.h"
#include "base/kube/kube_config.h"

struct kube_socket_options { /* borrowed until the end */
	struct loop *loop;
	const struct kube_config *config;
	const char *path;     /* with its query, percent-encoded */
	const char *protocol; /* the subprotocol, "v4.channel.k8s.io"; a server without it is refused */
	uint32_t timeout_ms;  /* for all of it */
};

struct kube_socket_events {
	void (*on_open)(void *arg);
	void (*on_message)(void *arg, struct span message);
	/* Last; never within a call of this interface. ERR_CLOSED: the server has closed it, after on_open. Before:
	 * status is that of HTTP, and err is as kube_status_explain() has it; 0: there was no HTTP answer. */
	void (*on_end)(void *arg, enum err err, unsigned status, const struct why *why);
};

struct kube_socket;
struct kube_socket *kube_socket_open(
	const struct kube_socket_options *options, const struct kube_socket_events *events, void *arg);
void kube_socket_free(struct kube_socket *socket); /* at any time but within on_open and on_message */
DEFINE_CLEANUP(struct kube_socket *, kube_socket_free)
/* A binary message, after on_open. ERR_LIMIT: more than 64 KiB wait to be sent. */
enum err kube_socket_send(struct kube_socket *socket, struct span message) _must_use_;
