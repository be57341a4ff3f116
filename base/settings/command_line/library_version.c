#include "base/settings/command_line/library_version.h"
#include "base/core/check.h"
#include <gnu/libc-version.h>
#include <stdarg.h>
#include <stdio.h>

static const char *const names[] = {
#define LIBRARY(symbol, from, name, package, archives, license, supplier, page) [LIBRARY_##symbol] = (name),
#include "third_party/libraries.def"
#undef LIBRARY
};

void library_version_put(struct buf *out, enum library library, const char *format, ...)
{
	char version[64];
	va_list arguments;
	CHECK(library < NUM_LIBRARIES);
	va_start(arguments, format);
	vsnprintf(version, sizeof version, format, arguments);
	va_end(arguments);
	enum err full = buf_printf(out, "%s %s\n", names[library], version);
	(void)full; /* a few hundred bytes */
}

const char *library_version_of_gcc(void)
{
#ifdef __clang__
	return "unknown";
#else
	return __VERSION__;
#endif
}

void library_version_put_compilers(struct buf *out)
{
	library_version_put(out, LIBRARY_GLIBC, "%s", gnu_get_libc_version());
	library_version_put(out, LIBRARY_LIBGCC, "%s", library_version_of_gcc());
}
