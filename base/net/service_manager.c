#include "base/net/service_manager.h"

#include "base/core/clock.h"
#include "base/core/err.h"
#include "base/core/log.h"
#include "base/net/fd.h"
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

bool service_manager_is_there(void)
{
	const char *path = getenv("NOTIFY_SOCKET");
	return path != NULL && path[0] != '\0';
}

/* One that is lost would fail the start of a unit (Type=notify), and a manager that stands still must not stop this
 * process. */
enum { WAIT_MS = 5000 };

/* Waits while the manager's queue is full, WAIT_MS at most. */
static enum err send_whole(int fd, const char *state)
{
	uint64_t now_ms = clock_system.mono_ms(&clock_system), end_ms = now_ms + WAIT_MS;
	struct pollfd room = {.fd = fd, .events = POLLOUT};
	while (send(fd, state, strlen(state), MSG_NOSIGNAL) < 0) {
		if (errno != EAGAIN && errno != EINTR && errno != ENOBUFS)
			return err_from_errno(errno);
		now_ms = clock_system.mono_ms(&clock_system);
		if (now_ms >= end_ms)
			return ERR_TIMEOUT;
		(void)poll(&room, 1, (int)(end_ms - now_ms));
	}
	return ERR_NONE;
}

static void notify(const char *state)
{
	struct sockaddr_un to = {.sun_family = AF_UNIX};
	const char *path = getenv("NOTIFY_SOCKET");
	size_t len = path == NULL ? 0 : strlen(path);
	if (len < 2 || len >= sizeof to.sun_path || (path[0] != '/' && path[0] != '@'))
		return;
	memcpy(to.sun_path, path, len);
	if (path[0] == '@')
		to.sun_path[0] = '\0'; /* an abstract name */
	_cleanup_fd_ int fd = -1;
	enum err err = fd_socket(AF_UNIX, SOCK_DGRAM, &fd);
	/* Connected: else poll(2) does not wait for room in its queue. */
	if (err == ERR_NONE && connect(fd, (const struct sockaddr *)&to,
				       (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len)) != 0)
		err = err_from_errno(errno);
	if (err == ERR_NONE)
		err = send_whole(fd, state);
	if (err != ERR_NONE)
		log_warning("service", "the service manager was not notified of %.*s: %s", (int)strcspn(state, "\n"),
			state, err_text(err));
}

void service_manager_ready(void)
{
	char state[64];
	snprintf(state, sizeof state, "MAINPID=%d\nREADY=1\n", (int)getpid());
	notify(state);
}

/* MONOTONIC_USEC is not before the request, which may be of this millisecond. */
void service_manager_reloading(void)
{
	char state[64];
	snprintf(state, sizeof state, "RELOADING=1\nMONOTONIC_USEC=%" PRIu64 "\n",
		(clock_system.mono_ms(&clock_system) + 1) * 1000);
	notify(state);
}

void service_manager_stopping(void)
{
	notify("STOPPING=1\n");
}
