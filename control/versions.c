#include "control/versions.h"
#include "base/core/loop.h"
#include "base/core/version.h"
#include "base/h2/h2_session.h"
#include "base/pb/unpack.h"
#include "base/tls/tls_context.h"
#include "control/store/database.h"
#include <http_parser.h>
#include <seccomp.h>
#include <stdio.h>
#include <yaml.h>

int versions_show(void)
{
	unsigned long http = http_parser_version();
	const struct scmp_version *seccomp = seccomp_version();
	printf("handfast-control %s\n", HANDFAST_VERSION);
	puts(tls_library_version());
	printf("nghttp2 %s\n", h2_library_version());
	printf("protobuf-c %s\n", protobuf_c_version());
	printf("libev %d.%d\n", ev_version_major(), ev_version_minor());
	printf("SQLite %s\n", database_library_version());
	printf("libyaml %s\n", yaml_get_version_string());
	printf("http-parser %lu.%lu.%lu\n", http >> 16 & 255, http >> 8 & 255, http & 255);
	printf("libseccomp %u.%u.%u\n", seccomp->major, seccomp->minor, seccomp->micro);
	return 0;
}
