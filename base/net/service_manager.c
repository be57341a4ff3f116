#include "base/net/service_manager.h"

#include "base/core/clock.h"
#include "base/net/fd.h"
#include <inttypes.h>
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
	if (fd_socket(AF_UNIX, SOCK_DGRAM, &fd) != ERR_NONE)
		return;
	(void)!sendto(fd, state, strlen(state), MSG_NOSIGNAL, (const struct sockaddr *)&to,
		(socklen_t)(offsetof(struct sockaddr_un, sun_path) + len));
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
