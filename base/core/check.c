#include "base/core/check.h"
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { READER_MS = 100 };

/* Polls first: a writable pipe accepts a whole line, so a reader that stopped does not block the abort. */
_Noreturn void die(const char *line, size_t len)
{
	struct pollfd room = {.fd = STDERR_FILENO, .events = POLLOUT};
	if (poll(&room, 1, READER_MS) == 1) {
		ssize_t written = write(STDERR_FILENO, line, len);
		(void)written;
	}
	abort();
}

_Noreturn void check_failed(const char *what, const char *file, int line)
{
	/* One write(2), not the log: the log may be what failed. */
	char text[512];
	int len = snprintf(text, sizeof text, "check failed: %s at %s:%d\n", what, file, line);
	size_t shown = len < 0 ? 0 : (size_t)len < sizeof text ? (size_t)len : sizeof text - 1;
	die(text, shown);
}
