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

/* The row of each library, by what it reports itself. The file that puts one includes the header of what it calls.
 * Which ones a program has, test/lint/hardening.py compares with what is linked. */
#define LIBRARY_PUT_BORINGSSL(out) library_version_put(out, LIBRARY_BORINGSSL, "%s", tls_library_version())
#define LIBRARY_PUT_CARES(out)     library_version_put(out, LIBRARY_CARES, "%s", resolver_library_version())
#define LIBRARY_PUT_HTTP_PARSER(out)                                                                                   \
	library_version_put(out, LIBRARY_HTTP_PARSER, "%lu.%lu.%lu", http_parser_version() >> 16 & 255,                \
		http_parser_version() >> 8 & 255, http_parser_version() & 255)
#define LIBRARY_PUT_JANSSON(out)    library_version_put(out, LIBRARY_JANSSON, "%s", jansson_version_str())
#define LIBRARY_PUT_LIBEV(out)      library_version_put(out, LIBRARY_LIBEV, "%d.%d", ev_version_major(), ev_version_minor())
#define LIBRARY_PUT_LIBSTDCXX(out)  library_version_put(out, LIBRARY_LIBSTDCXX, "%s", library_version_of_gcc())
#define LIBRARY_PUT_NGHTTP2(out)    library_version_put(out, LIBRARY_NGHTTP2, "%s", h2_library_version())
#define LIBRARY_PUT_PROTOBUF_C(out) library_version_put(out, LIBRARY_PROTOBUF_C, "%s", protobuf_c_version())
#define LIBRARY_PUT_SECCOMP(out)                                                                                       \
	library_version_put(out, LIBRARY_SECCOMP, "%u.%u.%u", sandbox_library_version().major,                         \
		sandbox_library_version().minor, sandbox_library_version().micro)
#define LIBRARY_PUT_SQLITE(out) library_version_put(out, LIBRARY_SQLITE, "%s", database_library_version())
#define LIBRARY_PUT_YAML(out)   library_version_put(out, LIBRARY_YAML, "%s", yaml_get_version_string())

/* Appends "NAME VERSION\n"; nothing more when out is full. */
__attribute__((format(printf, 3, 4))) void library_version_put(
	struct buf *out, enum library library, const char *format, ...);

/* Of a library that comes with gcc; "unknown" where clang links it. */
const char *library_version_of_gcc(void);

/* Those that come with the compiler, in every program. */
void library_version_put_compilers(struct buf *out);
