/* Invariants. A failed CHECK() is a bug in the program: it logs a line to stderr and aborts, in release builds too.
 * Untrusted input never reaches a CHECK(): it is refused with an error. */
#pragma once

#include <stddef.h>

#define CHECK(condition)                                                                                               \
	do {                                                                                                           \
		if (__builtin_expect(!(condition), 0))                                                                 \
			check_failed(#condition, __FILE__, __LINE__);                                                  \
	} while (0)

/* For an unreachable case of a switch or end of a function. */
#define CHECK_UNREACHABLE() check_failed("unreachable", __FILE__, __LINE__)

_Noreturn void check_failed(const char *what, const char *file, int line);

/* Writes a last line to standard error and aborts. Waits at most 100 ms for the reader of standard error. */
_Noreturn void die(const char *line, size_t len);
