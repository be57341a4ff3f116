/* What one HTTP/2 connection may cost us, and the counters that hold a peer to it. Pure. Work that a peer causes is
 * weighed against work that was of use: a long-lived connection that serves many streams may see many resets, a
 * connection that only resets may not. */
#pragma once

#include "base/core/err.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct h2_limits {                  /* 0: the default in brackets. Each says what it stops. */
	uint32_t max_streams;       /* [100] concurrent streams the peer may open: memory */
	uint32_t header_bytes;      /* [16 KiB] of one header list, decoded: HPACK bombs */
	uint32_t header_table;      /* [4096] HPACK table each way: memory an idle connection */
	uint32_t stream_window;     /* [32 KiB] initial receive window of a stream */
	uint32_t connection_window; /* [1 MiB] receive window of the connection */
	uint32_t frame_bytes;       /* [128 KiB] largest frame accepted */
	uint32_t resets_free; /* [1000] streams reset by the peer, or that it made us reset, without being counted */
	uint32_t
		resets_per_100_served; /* [100] beyond that, resets allowed in proportion to streams that were served */
	uint32_t control_frames_queued; /* [1000] PING/SETTINGS acks waiting to be sent: floods */
	uint32_t
		empty_frames; /* [10000] DATA frames without a byte, or CONTINUATIONs, in a row: work without payload */
};
struct h2_limits h2_limits_with_defaults(const struct h2_limits *limits);

struct h2_limits_count {      /* zeroed at the start */
	uint64_t served;      /* streams that were answered with 2xx and a body */
	uint64_t resets;      /* by the peer, or by us because of what it sent */
	uint32_t idle_frames; /* weighed frames since the last one that was of use */
};

/* A stream was answered with what it asked for: useful work. A refusal is none. */
void h2_limits_served(struct h2_limits_count *count);
/* ERR_LIMIT: more resets than the streams served allow (rapid reset, MadeYouReset). */
enum err h2_limits_reset(struct h2_limits_count *count, const struct h2_limits *limits, struct why *why) _must_use_;
/* A frame that carried nothing of use. A SETTINGS frame costs a walk over all streams, so it weighs more. */
enum h2_idle_frame { H2_IDLE_EMPTY_DATA, H2_IDLE_WINDOW_UPDATE, H2_IDLE_PRIORITY, H2_IDLE_SETTINGS, H2_IDLE_UNKNOWN };
enum err h2_limits_idle_frame(struct h2_limits_count *count, const struct h2_limits *limits, enum h2_idle_frame kind,
	struct why *why) _must_use_;
/* Payload went either way, or a stream was opened. */
void h2_limits_useful(struct h2_limits_count *count);
