#include "intercept/cni/versions.h"
#include "base/core/loop.h"
#include "base/h2/h2_session.h"
#include "base/net/resolver.h"
#include "base/sandbox/sandbox.h"
#include "base/settings/command_line/library_version.h"
#include "base/tls/tls_context.h"
#include <http_parser.h>
#include <jansson.h>
#include <yaml.h>

void versions_put(struct buf *out)
{
	LIBRARY_PUT_BORINGSSL(out);
	LIBRARY_PUT_LIBSTDCXX(out);
	LIBRARY_PUT_NGHTTP2(out);
	LIBRARY_PUT_LIBEV(out);
	LIBRARY_PUT_CARES(out);
	LIBRARY_PUT_JANSSON(out);
	LIBRARY_PUT_YAML(out);
	LIBRARY_PUT_HTTP_PARSER(out);
	LIBRARY_PUT_SECCOMP(out);
}
