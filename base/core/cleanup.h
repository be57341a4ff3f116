/* Cleanup attributes: the compiler releases owning locals at the end of their scope; TAKE_* transfers ownership out.
 *
 *	_cleanup_(buf_done) struct buf reply = BUF_INIT(4096);
 *	_cleanup_(credentials_unrefp) struct credentials *fresh = NULL;
 *	...
 *	*out = TAKE_PTR(fresh);
 */
#pragma once

#include <stddef.h>

/* unused: clang warns about variables that exist only for their cleanup; gcc does not. */
#define _cleanup_(function) __attribute__((cleanup(function), unused))
#define _must_use_          __attribute__((warn_unused_result))
#define _printf_(fmt, args) __attribute__((format(printf, fmt, args)))
#define _unused_            __attribute__((unused))

#define TAKE_PTR(pointer)                                                                                              \
	({                                                                                                             \
		__typeof__(pointer) taken_ = (pointer);                                                                \
		(pointer) = NULL;                                                                                      \
		taken_;                                                                                                \
	})

#define TAKE_FD(fd)                                                                                                    \
	({                                                                                                             \
		int taken_ = (fd);                                                                                     \
		(fd) = -1;                                                                                             \
		taken_;                                                                                                \
	})

/* Defines NAMEp(), the cleanup function of a pointer that is released with NAME(). */
#define DEFINE_CLEANUP(type, name)                                                                                     \
	static inline void name##p(type *pointer)                                                                      \
	{                                                                                                              \
		if (*pointer != NULL)                                                                                  \
			name(*pointer);                                                                                \
	}

#define container_of(pointer, type, member) ((type *)(void *)((char *)(pointer)-offsetof(type, member)))
