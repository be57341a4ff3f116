#include "intercept/cni/plugin.h"
#include "base/core/clock.h"
#include "base/net/fd.h"
#include "base/net/socket.h"
#include "base/sandbox/sandbox.h"
#include "intercept/cni/message.h"
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum {
	ANSWER_MS = 40000, /* longer than the agent's own limits together; runtimes wait two minutes or more */
	OUTPUT_MAX = CNI_CONFIG_MAX + 4096,
};

static enum err read_input(struct buf *out)
{
	for (;;) {
		uint8_t *room;
		RETURN_IF_ERR(buf_reserve(out, buf_room(out) < 65536 ? buf_room(out) : 65536, &room));
		ssize_t len = read(STDIN_FILENO, room, buf_room(out) < 65536 ? buf_room(out) : 65536);
		if (len < 0 && errno == EINTR)
			continue;
		if (len < 0)
			return ERR_IO;
		if (len == 0)
			return buf_room(out) == 0 ? ERR_TOO_LARGE : ERR_NONE;
		buf_commit(out, (size_t)len);
	}
}

static enum err later(struct why *why, enum err err, const char *socket, const char *what)
{
	return why_set(why, err, "an answer of the node's agent",
		"look at the pod of the DaemonSet handfast-cni on this node", "the agent at %s %s: %s", socket, what,
		err_text(err));
}

static enum err receive_line(int fd, struct buf *in)
{
	int unasked = -1;
	uint64_t end = clock_system.mono_ms(&clock_system) + ANSWER_MS;
	enum err err = ERR_UNAVAILABLE;
	while (err == ERR_NONE || err == ERR_UNAVAILABLE) {
		uint64_t now = clock_system.mono_ms(&clock_system);
		struct pollfd one = {.fd = fd, .events = POLLIN};
		if (now >= end)
			err = ERR_TIMEOUT;
		else if (poll(&one, 1, (int)(end - now)) >= 0)
			err = message_receive(fd, in, &unasked);
		if (buf_len(in) > 0 && buf_span(in).ptr[buf_len(in) - 1] == '\n')
			break;
	}
	fd_close(unasked);
	return buf_len(in) > 0 && buf_span(in).ptr[buf_len(in) - 1] == '\n' ? ERR_NONE : err;
}

static enum err ask(const struct cni_request *request, int netns, struct message_answer *out, struct why *why)
{
	_cleanup_(buf_done) struct buf line = BUF_INIT(MESSAGE_MAX), in = BUF_INIT(MESSAGE_MAX);
	_cleanup_fd_ int fd = -1;
	struct message_question question = {.checks = request->command == CNI_CHECK, .pod = request->pod};
	enum err err = message_question_put(&question, &line);
	if (err == ERR_NONE)
		err = socket_connect_unix(request->socket, &fd, NULL);
	if (err != ERR_NONE)
		return later(why, err, request->socket, "cannot be reached");
	err = message_send(fd, buf_span(&line), netns);
	if (err == ERR_NONE)
		err = receive_line(fd, &in);
	if (err == ERR_NONE)
		err = message_answer_parse(buf_span(&in), out);
	return err == ERR_NONE ? ERR_NONE : later(why, err, request->socket, "does not answer");
}

/* ADD and CHECK of a pod. */
static enum err run_for_pod(const struct cni_request *request, enum cni_code *out_code, struct why *why)
{
	struct message_answer answer;
	_cleanup_fd_ int netns = open(request->netns, O_RDONLY | O_CLOEXEC);
	if (netns < 0) {
		*out_code = CNI_IO_FAILURE;
		return why_set(why, err_from_errno(errno), "the pod's network namespace", "see the runtime's log",
			"cannot open %s: %m", request->netns);
	}
	*out_code = CNI_TRY_AGAIN_LATER;
	RETURN_IF_ERR(ask(request, netns, &answer, why));
	switch (answer.verdict) {
	case MESSAGE_DONE:
	case MESSAGE_PASSED:
		return ERR_NONE;
	case MESSAGE_LATER:
		*why = answer.detail;
		return ERR_UNAVAILABLE;
	case MESSAGE_FAILED:
		*out_code = CNI_RULES_FAILED;
		*why = answer.detail;
		return ERR_SYSTEM;
	}
	return ERR_PROTOCOL;
}

/* STATUS does not ask for the agent: README. The rules live in the pod's namespace and end with it: DEL has nothing to
 * give back, and does not open a namespace in which a container may still run. */
static enum err run(const struct cni_request *request, enum cni_code *out_code, struct why *why)
{
	bool is_for_pod = (request->command == CNI_ADD || request->command == CNI_CHECK) &&
			  request->pod.name[0] != '\0' && !request->is_excluded;
	return is_for_pod ? run_for_pod(request, out_code, why) : ERR_NONE;
}

static struct cni_environment read_environment(void)
{
	return (struct cni_environment){.command = getenv("CNI_COMMAND"),
		.container_id = getenv("CNI_CONTAINERID"),
		.netns = getenv("CNI_NETNS"),
		.args = getenv("CNI_ARGS")};
}

/* Before a byte of the runtime's is read. The runtime's log has what the plugin writes to its standard error. */
static void confine(void)
{
	struct why why = {0};
	char text[sizeof why];
	if (sandbox_close(&why) != ERR_NONE || sandbox_enter(SANDBOX_COMMAND, &why) != ERR_NONE)
		fprintf(stderr, "handfast-cni: running without a system call filter: %s\n",
			why_format(&why, text, sizeof text));
}

int plugin_run(void)
{
	_cleanup_(buf_done) struct buf config = BUF_INIT(CNI_CONFIG_MAX), out = BUF_INIT(OUTPUT_MAX);
	_cleanup_(cni_request_done) struct cni_request request = {.version = "1.0.0"};
	struct cni_environment environment = read_environment();
	enum cni_code code = CNI_IO_FAILURE;
	struct why why = {0};
	confine();
	enum err err = read_input(&config);
	if (err != ERR_NONE)
		err = why_set(&why, err, "at most 1 MiB of JSON on standard input", "see the runtime's log",
			"cannot read the network's configuration: %s", err_text(err));
	if (err == ERR_NONE)
		err = cni_request_parse(&environment, buf_span(&config), &request, &code, &why);
	if (err == ERR_NONE)
		err = run(&request, &code, &why);
	enum err put = err == ERR_NONE ? cni_result_put(&request, &out) : cni_error_put(&request, code, &why, &out);
	fwrite(buf_span(&out).ptr, 1, buf_len(&out), stdout);
	return put == ERR_NONE && err == ERR_NONE && fflush(stdout) == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
