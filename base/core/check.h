/* Invariants. A failed CHECK() is a bug of ours and ends the process with a line on stderr; it stays on in release
 * builds. Bytes from outside never reach one: they return an error. */
#pragma once

#include <stddef.h>

#define CHECK(condition)                                                                                               \
	do {                                                                                                           \
		if (__builtin_expect(!(condition), 0))                                                                 \
			check_failed(#condition, __FILE__, __LINE__);                                                  \
	} while (0)

/* For the arm of a switch or the end of a function that cannot be reached. */
#define CHECK_UNREACHABLE() check_failed("unreachable", __FILE__, __LINE__)

_Noreturn void check_failed(const char *what, const char *file, int line);

/* The last line of a process, which then aborts. Waits at most 100 ms for the reader of standard error. */
_Noreturn void die(const char *line, size_t len);
