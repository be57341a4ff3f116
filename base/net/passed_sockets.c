#include "base/net/passed_sockets.h"

#include "base/core/check.h"
#include "base/core/mem.h"
#include "base/net/fd.h"
#include "base/net/passed_fds.h"
#include "base/net/socket.h"
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

/* Each message is one byte: SOCKETS or OUTPUTS, with descriptors, or END. */
enum { PER_MESSAGE = PASSED_FDS_MAX, SOCKETS = 'S', OUTPUTS = 'O', END = 'E', NUM_OUTPUTS = 2, LINE_MAX_LEN = 512 };

struct passed_sockets {
	int fds[PASSED_SOCKETS_MAX];
	size_t num;
	int outputs[NUM_OUTPUTS]; /* -1: none */
};

struct received {  /* with one message */
	char kind; /* of the message */
	struct passed_fds passed;
};

static enum err send_message(int fd, char kind, const int *sockets, size_t num)
{
	return passed_fds_send(fd, span_of(&kind, 1), sockets, num);
}

enum err passed_sockets_send(int fd, const int *sockets, size_t num, struct why *why)
{
	static const int outputs[NUM_OUTPUTS] = {STDOUT_FILENO, STDERR_FILENO};
	enum err err = num > PASSED_SOCKETS_MAX ? ERR_LIMIT : send_message(fd, OUTPUTS, outputs, NUM_OUTPUTS);
	for (size_t at = 0; at < num && err == ERR_NONE; at += PER_MESSAGE)
		err = send_message(fd, SOCKETS, sockets + at, num - at < PER_MESSAGE ? num - at : PER_MESSAGE);
	if (err == ERR_NONE)
		err = send_message(fd, END, NULL, 0);
	return err == ERR_NONE ? ERR_NONE
			       : why_set(why, err, "a process that takes the listening sockets", "try it again",
					 "cannot send %zu sockets: %s", num, err_text(err));
}

static bool is_listening(int fd)
{
	int listens = 0, type = 0;
	socklen_t len = sizeof(int);
	return getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &len) == 0 && listens != 0 &&
	       getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &len) == 0 && type == SOCK_STREAM;
}

/* One byte and its descriptors. ERR_LIMIT: this process may not have as many descriptors. */
static enum err receive_message(int fd, int timeout_ms, struct received *out)
{
	struct pollfd readable = {.fd = fd, .events = POLLIN};
	size_t len;
	out->passed.num = 0;
	int ready = poll(&readable, 1, timeout_ms);
	if (ready <= 0)
		return ready == 0 ? ERR_TIMEOUT : err_from_errno(errno);
	return passed_fds_receive(fd, &out->kind, 1, &len, &out->passed);
}

/* Keeps what fits its kind, and closes the rest. */
static void keep(struct passed_sockets *sockets, const struct received *received)
{
	bool are_outputs = received->kind == OUTPUTS && received->passed.num == NUM_OUTPUTS && sockets->outputs[0] < 0;
	for (size_t i = 0; i < received->passed.num; i++) {
		int fd = received->passed.fds[i];
		if (are_outputs)
			sockets->outputs[i] = fd;
		else if (received->kind == SOCKETS && sockets->num < PASSED_SOCKETS_MAX && is_listening(fd))
			sockets->fds[sockets->num++] = fd;
		else
			fd_close(fd);
	}
}

/* The rest of a line of text that came in place of sockets. */
static enum err refused(int fd, int timeout_ms, char first, struct why *why)
{
	char line[LINE_MAX_LEN] = {first};
	struct received next = {.passed = {.num = 0}};
	for (size_t len = 1; len + 1 < sizeof line; len++) {
		if (receive_message(fd, timeout_ms, &next) != ERR_NONE || next.kind == '\n')
			break;
		line[len] = next.kind;
	}
	return why_set(why, ERR_REFUSED, "listening sockets of the other process",
		"restart that process instead, if its release has no such command", "it answered: %s", line);
}

static enum err receive_all(int fd, int timeout_ms, struct passed_sockets *sockets, struct why *why)
{
	struct received received = {.kind = SOCKETS};
	enum err err = ERR_NONE;
	while (err == ERR_NONE && (received.kind == SOCKETS || received.kind == OUTPUTS)) {
		err = receive_message(fd, timeout_ms, &received);
		keep(sockets, &received);
	}
	if (err != ERR_NONE)
		return why_set(why, err, "listening sockets of the other process",
			"see its log; raise the limit of open files if it is reached",
			"%zu sockets have come, and not all: %s", sockets->num, err_text(err));
	return received.kind == END ? ERR_NONE : refused(fd, timeout_ms, received.kind, why);
}

enum err passed_sockets_receive(int fd, int timeout_ms, struct passed_sockets **out, struct why *why)
{
	struct passed_sockets *sockets = mem_new(struct passed_sockets);
	for (size_t i = 0; i < NUM_OUTPUTS; i++)
		sockets->outputs[i] = -1;
	enum err err = receive_all(fd, timeout_ms, sockets, why);
	if (err == ERR_NONE)
		*out = sockets;
	else
		passed_sockets_free(sockets);
	return err;
}

enum err passed_sockets_use_outputs(struct passed_sockets *sockets, struct why *why)
{
	static const int numbers[NUM_OUTPUTS] = {STDOUT_FILENO, STDERR_FILENO};
	for (size_t i = 0; i < NUM_OUTPUTS; i++)
		if (sockets->outputs[i] < 0 || dup2(sockets->outputs[i], numbers[i]) < 0)
			return why_set(why, ERR_SYSTEM, "the output of the other process", "try it again",
				"cannot use its standard output");
	return ERR_NONE;
}

void passed_sockets_free(struct passed_sockets *sockets)
{
	if (sockets == NULL)
		return;
	while (sockets->num > 0)
		fd_close(sockets->fds[--sockets->num]);
	for (size_t i = 0; i < NUM_OUTPUTS; i++)
		if (sockets->outputs[i] >= 0)
			fd_close(sockets->outputs[i]);
	mem_free(sockets);
}

static int take_at(struct passed_sockets *sockets, size_t index)
{
	int fd = sockets->fds[index];
	memmove(&sockets->fds[index], &sockets->fds[index + 1], (--sockets->num - index) * sizeof(int));
	return fd;
}

int passed_sockets_take(struct passed_sockets *sockets, const struct addr *at)
{
	for (size_t i = 0; sockets != NULL && i < sockets->num; i++) {
		struct addr own;
		if (socket_local_addr(sockets->fds[i], &own) == ERR_NONE && addr_eq(&own, at))
			return take_at(sockets, i);
	}
	return -1;
}

static bool has_path(int fd, const char *path)
{
	struct sockaddr_un own = {0};
	socklen_t len = sizeof own;
	return getsockname(fd, (struct sockaddr *)&own, &len) == 0 && own.sun_family == AF_UNIX &&
	       strncmp(own.sun_path, path, sizeof own.sun_path) == 0;
}

int passed_sockets_take_unix(struct passed_sockets *sockets, const char *path)
{
	for (size_t i = 0; sockets != NULL && i < sockets->num; i++)
		if (has_path(sockets->fds[i], path))
			return take_at(sockets, i);
	return -1;
}

int passed_sockets_take_any(struct passed_sockets *sockets, struct addr *at)
{
	if (sockets == NULL || sockets->num == 0)
		return -1;
	int fd = take_at(sockets, sockets->num - 1);
	if (socket_local_addr(fd, at) != ERR_NONE)
		*at = (struct addr){.port = 0};
	return fd;
}

bool passed_sockets_are_of_this_network(const struct passed_sockets *sockets)
{
	uint64_t own, theirs;
	if (sockets->num == 0 || socket_own_network_namespace(&own) != ERR_NONE ||
		socket_network_namespace(sockets->fds[0], &theirs) != ERR_NONE)
		return true;
	return own == theirs;
}

size_t passed_sockets_num(const struct passed_sockets *sockets)
{
	return sockets == NULL ? 0 : sockets->num;
}
