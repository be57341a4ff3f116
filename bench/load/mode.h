/* What to do with the far end. Every mode is bounded in time: `seconds`, then a grace of five for what is under way. */
#pragma once

#include "base/core/addr.h"
#include "base/core/loop.h"
#include "bench/load/histogram.h"

enum { MODE_GRACE_MS = 5000 };

struct mode_options {
	struct addr to;
	uint64_t connections;
	uint64_t seconds;
	uint64_t count; /* requests in all; 0: as many as there is time for */
	uint64_t request_len, response_len;
	uint64_t rate;         /* open: requests a second */
	uint64_t downloads;    /* open: connections that download without end meanwhile */
	uint64_t download_len; /* open: bytes a download */
};

struct mode_result {
	uint64_t done, failed, num_bytes, elapsed_us;
	uint64_t download_bytes;
	struct histogram latency;
};

typedef void mode_fn(struct loop *loop, const struct mode_options *options, struct mode_result *out);

mode_fn mode_keepalive; /* closed loop: each connection asks again when it has its answer */
mode_fn mode_connect;   /* closed loop: a new connection a request */
mode_fn mode_open;      /* requests at their intended times, whatever the answers do; latency counts from those times */
mode_fn mode_idle;      /* opens, asks once, says "ready" on a line and holds until SIGTERM */
