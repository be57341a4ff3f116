#include "sidecar/commands.h"

#include "base/core/clock.h"
#include "base/net/fd.h"
#include "base/net/socket.h"
#include "sidecar/admin_socket.h"
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { PROBE_MS = 2000, PAUSE_MS = 200, ANSWER_MAX = 512 };

static bool is_io_ready(int fd, short events)
{
	struct pollfd one = {.fd = fd, .events = events};
	return poll(&one, 1, PROBE_MS) > 0;
}

static bool exchange(int fd, const char *request, char *answer, size_t cap)
{
	size_t len = 0;
	if (!is_io_ready(fd, POLLOUT) || socket_connect_result(fd) != ERR_NONE ||
		send(fd, request, strlen(request), MSG_NOSIGNAL) != (ssize_t)strlen(request))
		return false;
	while (len + 1 < cap && is_io_ready(fd, POLLIN)) {
		ssize_t got = read(fd, answer + len, cap - 1 - len);
		if (got <= 0)
			break;
		len += (size_t)got;
	}
	answer[len] = '\0';
	return true;
}

static bool is_ready(uint16_t port, char *answer, size_t cap)
{
	_cleanup_fd_ int fd = -1;
	struct addr addr = {.port = port};
	answer[0] = '\0';
	if (ip_addr_parse(SPAN_LITERAL("127.0.0.1"), &addr.ip) != ERR_NONE ||
		socket_connect(&addr, &(struct socket_connect_options){0}, &fd) != ERR_NONE)
		return false;
	return exchange(fd, "GET /healthz/ready HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n", answer,
		       cap) &&
	       span_starts_with(span_of_str(answer), SPAN_LITERAL("HTTP/1.1 200"));
}

enum cli_exit command_wait(const struct command_line *line, const struct sidecar_config *config, uint64_t timeout_ms)
{
	uint64_t end_ms = clock_system.mono_ms(&clock_system) + timeout_ms;
	char answer[ANSWER_MAX];
	struct why why = {0};
	while (!is_ready(config->metrics_port, answer, sizeof(answer))) {
		if (clock_system.mono_ms(&clock_system) >= end_ms) {
			char *body = strstr(answer, "\r\n\r\n");
			if (body != NULL)
				body[4 + strcspn(body + 4, "\n")] = '\0';
			return command_line_fail(line,
				why_set(&why, ERR_REFUSED, "a sidecar that is ready within the timeout",
					"run `handfast check` and `handfast why`", "the sidecar is not ready: %s",
					body != NULL ? body + 4 : "no answer at the metrics port"),
				&why);
		}
		(void)poll(NULL, 0, PAUSE_MS);
	}
	return command_line_answer(line, "ready");
}

enum cli_exit command_send(const struct command_line *line, const struct sidecar_config *config)
{
	char answer[ANSWER_MAX];
	struct why why = {0};
	enum err err = admin_socket_send(config->admin_socket, line->command->words, answer, sizeof(answer), &why);
	if (err != ERR_NONE)
		return command_line_fail(line, err == ERR_DENIED ? err : ERR_UNAVAILABLE, &why);
	return command_line_answer(line, answer);
}
