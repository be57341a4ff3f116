/* The modes of the load. Every mode is bounded in time: `seconds`, then five more for requests under way. */
#pragma once

#include "base/core/addr.h"
#include "base/core/loop.h"
#include "bench/load/histogram.h"

enum { MODE_GRACE_MS = 5000 };

struct mode_options {
	struct addr to;
	uint64_t connections;
	uint64_t seconds;
	uint64_t count; /* requests in all; 0: as many as fit into the time */
	uint64_t request_len, response_len;
	uint64_t rate;         /* open: requests per second */
	uint64_t downloads;    /* open: connections that download without end beside the requests */
	uint64_t download_len; /* open: bytes per download */
};

struct mode_result {
	uint64_t done, failed, num_bytes, elapsed_us;
	uint64_t download_bytes;
	struct histogram latency;
};

typedef void mode_fn(struct loop *loop, const struct mode_options *options, struct mode_result *out);

mode_fn mode_keepalive; /* closed loop: each connection sends its next request after the answer */
mode_fn mode_connect;   /* closed loop: one new connection per request */
mode_fn mode_open;      /* requests at their intended times, independent of answers; latency counts from those times */
mode_fn mode_idle;      /* opens connections, sends one request on each, prints "ready" and holds them until SIGTERM */
