/* The lines of --version about what is linked into a program. The names are those of third_party/libraries.def, from
 * which the SBOMs are made, too. */
#pragma once

#include "base/core/buf.h"

enum library {
#define LIBRARY(symbol, from, name, package, archives, license, supplier, page) LIBRARY_##symbol,
#include "third_party/libraries.def"
#undef LIBRARY
	NUM_LIBRARIES
};

/* Appends "NAME VERSION\n"; nothing more when out is full. */
__attribute__((format(printf, 3, 4))) void library_version_put(
	struct buf *out, enum library library, const char *format, ...);

/* The same for a library that comes with gcc, of gcc's version; "unknown" where clang links it. */
void library_version_put_gcc(struct buf *out, enum library library);

/* Those that come with the compiler, in every program. */
void library_version_put_compilers(struct buf *out);
