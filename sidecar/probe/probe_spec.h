/* One health probe of the workload that the sidecar makes for kubelet, as a text of the setting `probes`:
 *
 *   NAME http PORT PATH [host=H] [header=NAME:VALUE]... [timeout=S]
 *   NAME tcp PORT [timeout=S]
 *   NAME grpc PORT [service=S] [timeout=S]
 *
 * NAME is the page's path below /probe/: "app/readiness". Space, comma and percent sign in a value are percent-encoded
 * (RFC 3986 2.1). S: seconds that kubelet waits (timeoutSeconds), 1 unless given. Pure. */
#pragma once

#include "base/core/buf.h"

#define PROBES_MAX          256 /* per sidecar */
#define PROBE_TEXT_MAX      4096
#define PROBE_HEADERS_MAX   16
#define PROBE_TIMEOUT_MAX_S 300 /* a probe holds a connection here and one to the workload for that time */

enum probe_kind { PROBE_HTTP, PROBE_TCP, PROBE_GRPC };

struct probe_header {
	char *name, *value;
};

struct probe_spec { /* owns its texts; zeroed is valid to probe_spec_done() */
	char *name; /* "app/readiness" */
	enum probe_kind kind;
	uint16_t port;
	unsigned timeout_s; /* 1 to PROBE_TIMEOUT_MAX_S */
	char *path;         /* http: "/healthz", with a query if any */
	char *host;         /* http: NULL: the address and port that are probed */
	char *service;      /* grpc: "" for the whole server */
	struct probe_header headers[PROBE_HEADERS_MAX];
	size_t num_headers;
};

/* ERR_MALFORMED with *why. */
enum err probe_spec_parse(const char *text, struct probe_spec *out, struct why *why) _must_use_;
void probe_spec_done(struct probe_spec *spec);
/* The request of an http probe to `authority`, which is the Host unless the spec has one. */
enum err probe_spec_request(const struct probe_spec *spec, const char *authority, struct buf *out) _must_use_;
