#include "intercept/cni/versions.h"
#include "base/core/loop.h"
#include "base/h2/h2_session.h"
#include "base/net/resolver.h"
#include "base/tls/tls_context.h"
#include <http_parser.h>
#include <jansson.h>
#include <yaml.h>

void versions_put(struct buf *out)
{
	unsigned long http = http_parser_version();
	enum err full = buf_printf(out,
		"%s\n"
		"nghttp2 %s\n"
		"libev %d.%d\n"
		"c-ares %s\n"
		"jansson %s\n"
		"libyaml %s\n"
		"http-parser %lu.%lu.%lu\n",
		tls_library_version(), h2_library_version(), ev_version_major(), ev_version_minor(),
		resolver_library_version(), jansson_version_str(), yaml_get_version_string(), http >> 16 & 255,
		http >> 8 & 255, http & 255);
	(void)full; /* a few hundred bytes */
}
