#include "sidecar/versions.h"
#include "base/core/loop.h"
#include "base/h2/h2_session.h"
#include "base/net/resolver.h"
#include "base/sandbox/sandbox.h"
#include "base/settings/command_line/library_version.h"
#include "base/tls/tls_context.h"
#include <http_parser.h>
#include <jansson.h>
#include <protobuf-c/protobuf-c.h>
#include <yaml.h>

void versions_put(struct buf *out)
{
	unsigned long http = http_parser_version();
	const struct sandbox_version seccomp = sandbox_library_version();
	library_version_put(out, LIBRARY_BORINGSSL, "%s", tls_library_version());
	library_version_put_gcc(out, LIBRARY_LIBSTDCXX);
	library_version_put(out, LIBRARY_NGHTTP2, "%s", h2_library_version());
	library_version_put(out, LIBRARY_PROTOBUF_C, "%s", protobuf_c_version());
	library_version_put(out, LIBRARY_LIBEV, "%d.%d", ev_version_major(), ev_version_minor());
	library_version_put(out, LIBRARY_CARES, "%s", resolver_library_version());
	library_version_put(out, LIBRARY_JANSSON, "%s", jansson_version_str());
	library_version_put(out, LIBRARY_YAML, "%s", yaml_get_version_string());
	library_version_put(out, LIBRARY_HTTP_PARSER, "%lu.%lu.%lu", http >> 16 & 255, http >> 8 & 255, http & 255);
	library_version_put(out, LIBRARY_SECCOMP, "%u.%u.%u", seccomp.major, seccomp.minor, seccomp.micro);
}
