#include "base/h2/h2_limits.h"
#include "base/core/check.h"

enum {
	MAX_STREAMS = 100,
	HEADER_BYTES = 16 * 1024,
	HEADER_TABLE = 4096,
	STREAM_WINDOW = 32 * 1024,
	CONNECTION_WINDOW = 1024 * 1024,
	FRAME_BYTES = 128 * 1024,
	RESETS_FREE = 1000,
	RESETS_PER_100_SERVED = 100,
	CONTROL_FRAMES_QUEUED = 1000,
	EMPTY_FRAMES = 10000,
	SETTINGS_WEIGHT = 20,
};

static uint32_t or_default(uint32_t value, uint32_t fallback)
{
	return value != 0 ? value : fallback;
}

struct h2_limits h2_limits_with_defaults(const struct h2_limits *limits)
{
	return (struct h2_limits){
		.max_streams = or_default(limits->max_streams, MAX_STREAMS),
		.header_bytes = or_default(limits->header_bytes, HEADER_BYTES),
		.header_table = or_default(limits->header_table, HEADER_TABLE),
		.header_table_sent = or_default(limits->header_table_sent, HEADER_TABLE),
		.stream_window = or_default(limits->stream_window, STREAM_WINDOW),
		.connection_window = or_default(limits->connection_window, CONNECTION_WINDOW),
		.frame_bytes = or_default(limits->frame_bytes, FRAME_BYTES),
		.frame_bytes_sent = or_default(limits->frame_bytes_sent, FRAME_BYTES),
		.resets_free = or_default(limits->resets_free, RESETS_FREE),
		.resets_per_100_served = or_default(limits->resets_per_100_served, RESETS_PER_100_SERVED),
		.control_frames_queued = or_default(limits->control_frames_queued, CONTROL_FRAMES_QUEUED),
		.empty_frames = or_default(limits->empty_frames, EMPTY_FRAMES),
	};
}

void h2_limits_served(struct h2_limits_count *count)
{
	count->served++;
	count->idle_frames = 0;
}

enum err h2_limits_reset(struct h2_limits_count *count, const struct h2_limits *limits, struct why *why)
{
	count->resets++;
	/* Divides first: no overflow, and the allowance is per full hundred. */
	uint64_t allowed = limits->resets_free + count->served / 100 * limits->resets_per_100_served +
			   count->served % 100 * limits->resets_per_100_served / 100;
	if (count->resets <= allowed)
		return ERR_NONE;
	return why_set(why, ERR_LIMIT, "resets in proportion to served streams",
		"check the peer's log: it opens streams and resets them",
		"the peer caused %llu stream resets; %llu streams were served", (unsigned long long)count->resets,
		(unsigned long long)count->served);
}

static uint32_t idle_weight(enum h2_idle_frame kind)
{
	switch (kind) {
	case H2_IDLE_EMPTY_DATA:
	case H2_IDLE_WINDOW_UPDATE:
	case H2_IDLE_PRIORITY:
	case H2_IDLE_UNKNOWN:
		return 1;
	case H2_IDLE_SETTINGS:
		return SETTINGS_WEIGHT;
	}
	CHECK_UNREACHABLE();
}

enum err h2_limits_idle_frame(
	struct h2_limits_count *count, const struct h2_limits *limits, enum h2_idle_frame kind, struct why *why)
{
	count->idle_frames += idle_weight(kind);
	if (count->idle_frames <= limits->empty_frames)
		return ERR_NONE;
	return why_set(why, ERR_LIMIT, "frames with payload",
		"check the peer: it floods this connection with empty frames",
		"the peer sent %u frames without payload in a row", count->idle_frames);
}

void h2_limits_useful(struct h2_limits_count *count)
{
	count->idle_frames = 0;
}
