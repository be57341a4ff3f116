#include "sidecar/versions.h"
#include "base/core/loop.h"
#include "base/core/version.h"
#include "base/h2/h2_session.h"
#include "base/net/resolver.h"
#include "base/tls/tls_context.h"
#include <http_parser.h>
#include <jansson.h>
#include <protobuf-c/protobuf-c.h>
#include <stdio.h>
#include <yaml.h>

int versions_show(void)
{
	unsigned long http = http_parser_version();
	printf("handfast-sidecar %s\n", HANDFAST_VERSION);
	puts(tls_library_version());
	printf("nghttp2 %s\n", h2_library_version());
	printf("protobuf-c %s\n", protobuf_c_version());
	printf("libev %d.%d\n", ev_version_major(), ev_version_minor());
	printf("c-ares %s\n", resolver_library_version());
	printf("jansson %s\n", jansson_version_str());
	printf("libyaml %s\n", yaml_get_version_string());
	printf("http-parser %lu.%lu.%lu\n", http >> 16 & 255, http >> 8 & 255, http & 255);
	return 0;
}
