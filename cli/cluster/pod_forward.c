#include "cli/cluster/pod_forward.h"
#include "base/core/check.h"
#include "base/core/mem.h"
#include "base/kube/kube_socket.h"

/* The channels of a forwarded port: each message begins with one of them, and the first of a channel has the port in
 * two bytes. */
enum { DATA = 0, FAILURE = 1, PORT_BYTES = 2, PIECE_MAX = 16 * 1024, FAILURE_MAX = 400 };

struct pod_forward {
	const struct pod_forward_events *events;
	void *arg;
	struct kube_socket *socket;
	char *path;
	bool has_begun[2]; /* by channel */
	bool is_over;
};

static void end(struct pod_forward *forward, enum err err, bool is_forbidden, const struct why *why)
{
	if (forward->is_over)
		return;
	forward->is_over = true;
	forward->events->on_end(forward->arg, err, is_forbidden, why);
}

static void on_open(void *arg)
{
	const struct pod_forward *forward = arg;
	forward->events->on_open(forward->arg);
}

static void fail_with(struct pod_forward *forward, struct span text)
{
	struct why why = {0};
	int len = (int)(text.len < FAILURE_MAX ? text.len : FAILURE_MAX);
	enum err err = why_set(&why, ERR_REFUSED, "a program that listens at the port in the pod",
		"see the log of the pod, and that of its node's kubelet", "%.*s", len, (const char *)text.ptr);
	end(forward, err, false, &why);
}

static void on_message(void *arg, struct span message)
{
	struct pod_forward *forward = arg;
	if (forward->is_over || message.len == 0 || message.ptr[0] > FAILURE)
		return;
	unsigned channel = message.ptr[0];
	struct span bytes = span_from(message, 1);
	if (!forward->has_begun[channel])
		bytes = span_from(bytes, bytes.len < PORT_BYTES ? bytes.len : PORT_BYTES);
	forward->has_begun[channel] = true;
	if (bytes.len == 0)
		return;
	if (channel == FAILURE)
		fail_with(forward, bytes);
	else
		forward->events->on_data(forward->arg, bytes);
}

static void on_end(void *arg, enum err err, unsigned status, const struct why *why)
{
	end(arg, err, status == 403, why);
}

struct pod_forward *pod_forward_open(
	const struct pod_forward_options *options, const struct pod_forward_events *events, void *arg)
{
	static const struct kube_socket_events of_socket = {on_open, on_message, on_end};
	struct pod_forward *forward = mem_new(struct pod_forward);
	*forward = (struct pod_forward){.events = events, .arg = arg};
	forward->path = mem_printf(
		"/api/v1/namespaces/%s/pods/%s/portforward?ports=%u", options->namespace_, options->pod, options->port);
	const struct kube_socket_options socket = {.loop = options->loop,
		.config = options->config,
		.path = forward->path,
		.protocol = "v4.channel.k8s.io",
		.timeout_ms = options->timeout_ms};
	forward->socket = kube_socket_open(&socket, &of_socket, forward);
	return forward;
}

void pod_forward_free(struct pod_forward *forward)
{
	if (forward == NULL)
		return;
	kube_socket_free(forward->socket);
	mem_free(forward->path);
	mem_free(forward);
}

enum err pod_forward_send(struct pod_forward *forward, struct span bytes)
{
	uint8_t message[1 + PIECE_MAX] = {DATA};
	while (bytes.len > 0) {
		size_t len = bytes.len < PIECE_MAX ? bytes.len : PIECE_MAX;
		memcpy(message + 1, bytes.ptr, len);
		RETURN_IF_ERR(kube_socket_send(forward->socket, span_of(message, 1 + len)));
		bytes = span_from(bytes, len);
	}
	return ERR_NONE;
}
