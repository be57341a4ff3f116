#include "base/core/check.h"
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

_Noreturn void check_failed(const char *what, const char *file, int line)
{
	/* One write, without the log: the log may be what is broken. */
	char text[512];
	int len = snprintf(text, sizeof text, "check failed: %s at %s:%d\n", what, file, line);
	size_t shown = len < 0 ? 0 : (size_t)len < sizeof text ? (size_t)len : sizeof text - 1;
	ssize_t written = write(STDERR_FILENO, text, shown);
	(void)written;
	abort();
}
