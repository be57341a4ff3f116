#include "cli/cluster/control_forward.h"
#include "base/core/check.h"
#include "base/core/mem.h"
#include "base/net/fd.h"
#include "cli/cluster/api.h"
#include "cli/cluster/checks.h"
#include "cli/cluster/control_pods.h"
#include "cli/cluster/pod_forward.h"
#include "cli/cluster/pod_sidecar.h"
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* PENDING_MAX: what HTTP/2's windows allow is far below. */
enum { TIMEOUT_MS = 30000, PIECE = 16 * 1024, PENDING_MAX = 16 * 1024 * 1024 };

struct control_forward {
	struct api api;
	const char *namespace_;
	json_t *pods; /* those that are ready */
	size_t next;
	const char *pod; /* of the present stream */
	uint16_t port;
	struct pod_forward *stream;
	int fd; /* our end; -1: closed */
	struct loop_io io;
	struct buf pending; /* to the client */
	bool is_open, has_ended;
	struct why detail;
};

/* --- between the client's descriptor and the stream --- */

static void close_end(struct control_forward *forward)
{
	loop_io_stop(&forward->io);
	fd_close(TAKE_FD(forward->fd));
}

static void finish(struct control_forward *forward, const struct why *why)
{
	if (forward->has_ended)
		return;
	forward->has_ended = true;
	forward->detail = *why;
	if (buf_len(&forward->pending) == 0)
		close_end(forward); /* else once the client has it */
}

static void watch(struct control_forward *forward)
{
	unsigned interest = forward->is_open && !forward->has_ended ? LOOP_READ : 0;
	if (forward->fd >= 0)
		loop_io_set_interest(&forward->io, interest | (buf_len(&forward->pending) > 0 ? LOOP_WRITE : 0));
}

static void write_pending(struct control_forward *forward)
{
	while (buf_len(&forward->pending) > 0) {
		struct span bytes = buf_span(&forward->pending);
		ssize_t len = send(forward->fd, bytes.ptr, bytes.len, MSG_NOSIGNAL);
		if (len < 0 && errno == EAGAIN)
			return;
		if (len < 0) { /* the client has closed it */
			close_end(forward);
			return;
		}
		buf_consume(&forward->pending, (size_t)len);
	}
	if (forward->has_ended)
		close_end(forward);
}

static void read_once(struct control_forward *forward)
{
	uint8_t bytes[PIECE];
	struct why why = {0};
	ssize_t len = read(forward->fd, bytes, sizeof bytes);
	if (len < 0 && errno == EAGAIN)
		return;
	if (len <= 0)
		close_end(forward);
	else if (pod_forward_send(forward->stream, span_of(bytes, (size_t)len)) != ERR_NONE) {
		(void)why_set(&why, ERR_LIMIT, "an API server that takes a request of a few KiB",
			"check the network, and any proxy, between here and the API server",
			"64 KiB wait to be sent to pod %.63s", forward->pod);
		finish(forward, &why);
	}
}

static void on_ready(struct loop_io *io, unsigned ready)
{
	struct control_forward *forward = container_of(io, struct control_forward, io);
	if ((ready & LOOP_WRITE) != 0)
		write_pending(forward);
	if ((ready & LOOP_READ) != 0 && forward->fd >= 0 && forward->is_open && !forward->has_ended)
		read_once(forward);
	watch(forward);
}

static void on_open(void *arg)
{
	struct control_forward *forward = arg;
	forward->is_open = true;
	watch(forward);
}

static void on_data(void *arg, struct span bytes)
{
	struct control_forward *forward = arg;
	struct why why = {0};
	if (forward->fd < 0)
		return;
	if (buf_append(&forward->pending, bytes) != ERR_NONE) {
		(void)why_set(&why, ERR_TOO_LARGE, "an answer of a control plane of this release",
			"install the same release of both", "pod %.63s sends more than was asked for", forward->pod);
		buf_clear(&forward->pending);
		finish(forward, &why);
		return;
	}
	write_pending(forward);
	watch(forward);
}

static enum err explain_denied(const char *namespace_, const char *what, struct why *why)
{
	return why_set(why, ERR_DENIED,
		"the verb list on pods, and the verbs get and create on pods/portforward, in the control plane's "
		"namespace",
		"grant them by a Role and a RoleBinding, or use another account; they make an operator of the mesh",
		"this account may not %s namespace %.63s", what, namespace_);
}

static void explain_end(
	const struct control_forward *forward, enum err err, bool is_forbidden, const struct why *from, struct why *why)
{
	if (is_forbidden)
		(void)explain_denied(forward->namespace_, "forward a port to pods of", why);
	else if (err == ERR_REFUSED)
		(void)why_set(why, ERR_UNAVAILABLE, "a control plane that serves operators at its port on 127.0.0.1",
			"see kubernetes.operator_port in its settings; releases before have no such port",
			"port %u of pod %.63s: %.150s", forward->port, forward->pod, from->got);
	else if (err == ERR_CLOSED)
		(void)why_set(why, ERR_UNAVAILABLE, "a control plane that answers",
			"read its log: `kubectl logs deployment/handfast-control`; then repeat the command",
			"pod %.63s has closed the connection", forward->pod);
	else
		*why = *from;
}

static void on_end(void *arg, enum err err, bool is_forbidden, const struct why *from)
{
	struct control_forward *forward = arg;
	struct why why = {0};
	explain_end(forward, err, is_forbidden, from, &why);
	finish(forward, &why);
}

/* --- the replicas --- */

static enum err read_pods(struct control_forward *forward, struct why *why)
{
	_cleanup_(json_decrefp) json_t *pods = json_array();
	_cleanup_(mem_freep) char *path = control_pods_path(forward->namespace_);
	enum err err = api_list(&forward->api, path, checks_collect, pods, why);
	if (err == ERR_DENIED && strstr(why->got, "may not") != NULL)
		return explain_denied(forward->namespace_, "list pods of", why);
	RETURN_IF_ERR(err);
	return control_pods_ready(pods, forward->namespace_, &forward->pods, why);
}

enum err control_forward_new(const struct command_line *line, struct control_forward **out, struct why *why)
{
	const char *given = command_line_value(line, "control-namespace");
	_cleanup_(control_forward_freep) struct control_forward *forward = mem_new(struct control_forward);
	forward->fd = -1;
	forward->namespace_ = given != NULL ? given : CHECKS_CONTROL_NAMESPACE;
	if (pod_sidecar_name(forward->namespace_) != forward->namespace_)
		return why_set(why, ERR_CONFIG, "the name of a namespace", "correct --control-namespace",
			"--control-namespace is %.100s", forward->namespace_);
	RETURN_IF_ERR(api_open(line, &forward->api, why));
	RETURN_IF_ERR(read_pods(forward, why));
	*out = TAKE_PTR(forward);
	return ERR_NONE;
}

static void end_stream(struct control_forward *forward)
{
	close_end(forward);
	pod_forward_free(TAKE_PTR(forward->stream));
	buf_wipe(&forward->pending); /* a new join token was in it */
}

void control_forward_free(struct control_forward *forward)
{
	if (forward == NULL)
		return;
	end_stream(forward);
	json_decref(forward->pods);
	api_done(&forward->api);
	mem_free(forward);
}

struct loop *control_forward_loop(const struct control_forward *forward)
{
	return forward->api.loop;
}

enum err control_forward_next(struct control_forward *forward, int *out_fd)
{
	static const struct pod_forward_events events = {on_open, on_data, on_end};
	const json_t *pod = json_array_get(forward->pods, forward->next);
	int pair[2];
	end_stream(forward);
	if (pod == NULL)
		return ERR_NOT_FOUND;
	forward->next++;
	forward->pod = checks_name(pod);
	forward->port = control_pods_port(pod);
	forward->is_open = forward->has_ended = false;
	buf_init(&forward->pending, PENDING_MAX);
	CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair) == 0);
	forward->fd = pair[0];
	loop_io_start(forward->api.loop, &forward->io, pair[0], 0, on_ready);
	const struct pod_forward_options options = {.loop = forward->api.loop,
		.config = forward->api.config,
		.namespace_ = forward->namespace_,
		.pod = forward->pod,
		.port = forward->port,
		.timeout_ms = TIMEOUT_MS};
	forward->stream = pod_forward_open(&options, &events, forward);
	*out_fd = pair[1];
	return ERR_NONE;
}

const char *control_forward_pod(const struct control_forward *forward)
{
	return forward->pod;
}

enum err control_forward_ended(const struct control_forward *forward, struct why *why)
{
	if (!forward->has_ended)
		return ERR_NONE;
	*why = forward->detail;
	return why->err;
}
