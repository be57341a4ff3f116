/* Limits of one HTTP/2 connection against abuse, and the counters that enforce them. Pure. Costly frames are allowed in
 * proportion to useful work: a long-lived connection that serves many streams may have many resets, a connection that
 * only resets may not. */
#pragma once

#include "base/core/err.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct h2_limits {                  /* 0: the default in brackets. After it: the abuse that the limit stops. */
	uint32_t max_streams;       /* [100] concurrent streams the peer may open: memory */
	uint32_t header_bytes;      /* [16 KiB] of one header list, decoded: HPACK bombs */
	uint32_t header_table;      /* [4096] HPACK table of what is received: memory per idle connection */
	uint32_t header_table_sent; /* [4096] the most that is used of the peer's: the same */
	uint32_t stream_window;     /* [32 KiB] initial receive window of a stream */
	uint32_t connection_window; /* [1 MiB] receive window of the connection */
	uint32_t frame_bytes;       /* [128 KiB] largest frame accepted */
	uint32_t frame_bytes_sent;  /* [128 KiB] largest frame sent: nghttp2 keeps a buffer for it, from 16 KiB on */
	uint32_t resets_free; /* [1000] resets by the peer, or caused by it, that are always allowed: rapid reset */
	uint32_t resets_per_100_served; /* [100] further resets allowed per 100 served streams: rapid reset */
	uint32_t control_frames_queued; /* [1000] PING/SETTINGS acks waiting to be sent: floods */
	uint32_t empty_frames;          /* [10000] empty DATA frames or CONTINUATIONs in a row: work without payload */
};
struct h2_limits h2_limits_with_defaults(const struct h2_limits *limits);

struct h2_limits_count {      /* zeroed at the start */
	uint64_t served;      /* streams answered with 2xx and a body */
	uint64_t resets;      /* by the peer, or caused by it */
	uint32_t idle_frames; /* weighted frames since the last useful one */
};

/* Counts a stream that was answered with a body: useful work. A refusal does not count. */
void h2_limits_served(struct h2_limits_count *count);
/* Counts a reset. ERR_LIMIT: more resets than the served streams allow (rapid reset, MadeYouReset). */
enum err h2_limits_reset(struct h2_limits_count *count, const struct h2_limits *limits, struct why *why) _must_use_;
/* Counts a frame without payload. A SETTINGS frame iterates over all streams, so its weight is higher. */
enum h2_idle_frame { H2_IDLE_EMPTY_DATA, H2_IDLE_WINDOW_UPDATE, H2_IDLE_PRIORITY, H2_IDLE_SETTINGS, H2_IDLE_UNKNOWN };
enum err h2_limits_idle_frame(struct h2_limits_count *count, const struct h2_limits *limits, enum h2_idle_frame kind,
	struct why *why) _must_use_;
/* Payload was sent or received, or a stream was opened. */
void h2_limits_useful(struct h2_limits_count *count);
