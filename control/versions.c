#include "control/versions.h"
#include "base/core/loop.h"
#include "base/h2/h2_session.h"
#include "base/net/resolver.h"
#include "base/pb/unpack.h"
#include "base/tls/tls_context.h"
#include "control/store/database.h"
#include <http_parser.h>
#include <jansson.h>
#include <seccomp.h>
#include <yaml.h>

void versions_put(struct buf *out)
{
	unsigned long http = http_parser_version();
	const struct scmp_version *seccomp = seccomp_version();
	enum err full = buf_printf(out,
		"%s\n"
		"nghttp2 %s\n"
		"protobuf-c %s\n"
		"libev %d.%d\n"
		"c-ares %s\n"
		"SQLite %s\n"
		"jansson %s\n"
		"libyaml %s\n"
		"http-parser %lu.%lu.%lu\n"
		"libseccomp %u.%u.%u\n",
		tls_library_version(), h2_library_version(), protobuf_c_version(), ev_version_major(),
		ev_version_minor(), resolver_library_version(), database_library_version(), jansson_version_str(),
		yaml_get_version_string(), http >> 16 & 255, http >> 8 & 255, http & 255, seccomp->major,
		seccomp->minor, seccomp->micro);
	(void)full; /* a few hundred bytes */
}
