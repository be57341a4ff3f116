#include "intercept/rollback.h"
#include "base/core/check.h"
#include "base/core/clock.h"
#include "base/net/fd.h"
#include "base/net/socket.h"
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/un.h>
#include <unistd.h>

#define NAME              "handfast-init-rollback"
#define CONFIRM_ANSWER_MS 5000
#define FIX_CONFIRM       "run `handfast-init confirm` or `handfast-init down`, or wait until its time limit has passed"

static socklen_t guard_name(struct sockaddr_un *out)
{
	*out = (struct sockaddr_un){.sun_family = AF_UNIX};
	_Static_assert(sizeof(NAME) <= sizeof(out->sun_path), "room for the name behind its NUL");
	memcpy(out->sun_path + 1, NAME, sizeof(NAME) - 1); /* a leading NUL: an abstract name */
	return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + sizeof(NAME));
}

static enum err listen_here(int *out_fd, struct why *why)
{
	_cleanup_fd_ int fd = -1;
	struct sockaddr_un name;
	socklen_t len = guard_name(&name);
	RETURN_IF_ERR(fd_socket(AF_UNIX, SOCK_STREAM, &fd));
	if (bind(fd, (struct sockaddr *)&name, len) != 0 && errno == EADDRINUSE)
		return why_set(why, ERR_EXISTS, "no unconfirmed rules", FIX_CONFIRM, "rules wait to be confirmed");
	if (listen(fd, 4) != 0)
		return why_set(why, ERR_SYSTEM, "a socket for the guard", "free memory and file descriptors",
			"cannot create the guard's socket: %s", strerror(errno));
	*out_fd = TAKE_FD(fd);
	return ERR_NONE;
}

/* Accepts one connection; returns whether its peer may confirm. The peer receives one byte as the answer. */
static bool answer_caller(int listening_fd)
{
	_cleanup_fd_ int fd = -1;
	struct addr none;
	struct peer_process peer;
	if (fd_accept(listening_fd, &none, &fd) != ERR_NONE || socket_peer_process(fd, &peer) != ERR_NONE)
		return false;
	return (peer.uid == 0 || peer.uid == geteuid()) && send(fd, "k", 1, MSG_NOSIGNAL) == 1;
}

static bool wait_for_confirmation(int listening_fd, unsigned seconds)
{
	uint64_t deadline_ms = clock_system.mono_ms(&clock_system) + seconds * 1000ull;
	for (;;) {
		uint64_t now_ms = clock_system.mono_ms(&clock_system);
		struct pollfd listener = {.fd = listening_fd, .events = POLLIN};
		if (now_ms >= deadline_ms)
			return false;
		if (poll(&listener, 1, (int)(deadline_ms - now_ms)) == 1 && answer_caller(listening_fd))
			return true;
	}
}

/* Detaches from the terminal and its SIGHUP, and from pipes whose reader waits for their end. */
static void leave_terminal(void)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	setsid();
	for (int fd = 0; fd <= 2 && null >= 0; fd++)
		dup2(null, fd);
	fd_close(null);
}

enum err rollback_arm(unsigned seconds, rollback_fn *on_deadline, void *arg, pid_t *out_guard, struct why *why)
{
	CHECK(seconds > 0 && on_deadline != NULL);
	_cleanup_fd_ int fd = -1;
	RETURN_IF_ERR(listen_here(&fd, why));
	pid_t guard = fork();
	if (guard < 0)
		return why_set(why, ERR_SYSTEM, "a guard process", "free memory, or raise the limit on processes",
			"cannot start the guard process: %s", strerror(errno));
	if (guard > 0) {
		*out_guard = guard;
		return ERR_NONE;
	}
	leave_terminal();
	if (!wait_for_confirmation(fd, seconds))
		on_deadline(arg);
	_exit(0);
}

enum err rollback_confirm(struct why *why)
{
	_cleanup_fd_ int fd = -1;
	struct sockaddr_un name;
	socklen_t len = guard_name(&name);
	char answer;
	RETURN_IF_ERR(fd_socket(AF_UNIX, SOCK_STREAM, &fd));
	if (connect(fd, (struct sockaddr *)&name, len) != 0)
		return why_set(why, ERR_NOT_FOUND, "rules that wait to be confirmed",
			"after the time limit the rules are removed: run `handfast-init up --profile host` again",
			"no rules wait to be confirmed");
	struct pollfd one = {.fd = fd, .events = POLLIN};
	if (poll(&one, 1, CONFIRM_ANSWER_MS) != 1 || recv(fd, &answer, 1, 0) != 1)
		return why_set(why, ERR_DENIED, "the guard to accept the confirmation",
			"confirm as root, or as the user who ran `up`", "the guard refused the confirmation");
	return ERR_NONE;
}
