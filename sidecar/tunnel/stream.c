#include "sidecar/tunnel/stream.h"
#include "base/core/check.h"
#include "base/core/mem.h"
#include "sidecar/tunnel/tunnel.h"

enum {
	BULK_INTERVAL_MS = 100,
	BULK_BYTES = 512 * 1024, /* in an interval: what a small request does not want to stand behind */
	BULK_REMEMBERED_MS = 500,
	REST_MS = 1000,
	UNWANTED_MS = 5000,       /* for the app to read what came, and to notice the end */
	UNWANTED_TURNS = 4,       /* then others have their turn */
	UNWANTED_LEN = 16 * 1024, /* a turn */
};

static const struct leg_ops stream_ops;
_Static_assert(sizeof(struct stream) <= 168, "what an idle connection costs is a promise");

static struct stream *stream_of_leg(struct leg *leg)
{
	CHECK(leg->ops == &stream_ops);
	return container_of(leg, struct stream, leg);
}

struct stream *stream_new(struct tunnel *tunnel)
{
	struct stream *stream = mem_new(struct stream);
	leg_init(&stream->leg, &stream_ops, tunnel->set->loop);
	stream->tunnel = tunnel;
	stream->budget = tunnel->set->budget;
	stream->is_held = true;
	window_open(&stream->window, loop_now_ms(tunnel->set->loop));
	list_push_front(&tunnel->streams, &stream->link);
	tunnel->num_streams++;
	tunnel->set->num_streams++;
	return stream;
}

static void free_left(struct stream *stream)
{
	CHECK(stream->tunnel == NULL && stream->unanswered == NULL);
	window_close(&stream->window, stream->budget);
	leg_drop_buffered(&stream->leg);
	mem_free(stream);
}

static void unlink_answered(struct tunnel *tunnel, struct stream *stream)
{
	struct stream **at = &tunnel->answered_last;
	while (*at != NULL && *at != stream)
		at = &(*at)->next_answered;
	if (*at != NULL)
		*at = stream->next_answered;
}

/* HTTP/2 is done with it. */
static void leave_tunnel(struct stream *stream)
{
	struct tunnel *tunnel = TAKE_PTR(stream->tunnel);
	CHECK(tunnel != NULL && tunnel->num_streams > 0 && tunnel->set->num_streams >= tunnel->num_streams);
	tunnel_windows_give(tunnel, window_charged(&stream->window));
	list_remove(&stream->link);
	if (stream->is_refused)
		unlink_answered(tunnel, stream);
	tunnel->num_streams--;
	tunnel->set->num_streams--;
	if (stream->is_held)
		return;
	free_left(stream);
}

void stream_discard(struct stream *stream)
{
	stream->is_held = false;
	leave_tunnel(stream);
}

void stream_release(struct stream *stream)
{
	stream->is_held = false;
	leg_detach(&stream->leg);
	leg_drop_buffered(&stream->leg);
	if (stream->tunnel == NULL) {
		free_left(stream);
		return;
	}
	if (!stream->leg.out_ended || !stream->end_received) /* else on_close is on its way */
		stream_reset(stream, H2_CANCEL);
}

/* NULL: HTTP/2 is done with it. */
static struct h2_session *h2_of(const struct stream *stream)
{
	return stream->tunnel == NULL || stream->is_closed ? NULL : stream->tunnel->h2;
}

void stream_reset(struct stream *stream, uint32_t error)
{
	stream->leg.is_reset = true;
	if (h2_of(stream) != NULL)
		h2_stream_reset(h2_of(stream), stream->id, error);
}

void stream_limit(struct stream *stream)
{
	static const struct why why = {
		.err = ERR_LIMIT,
		.expected = "a receiver that reads, or free flow-control memory",
		.got = "bytes were not read for long, and the flow-control memory limit is reached",
		.fix = "find out why the receiver does not read; raise limits.flow_control_memory",
	};
	stream->leg.hit_limit = true;
	if (h2_of(stream) != NULL)
		h2_stream_reset(h2_of(stream), stream->id, H2_ENHANCE_YOUR_CALM);
	leg_lost(&stream->leg, &why);
}

/* --- its tunnel's traffic --- */

static void note_moved(struct stream *stream, size_t len)
{
	uint64_t now_ms = loop_now_ms(stream->leg.loop);
	if ((uint32_t)now_ms - stream->moved_since_ms > BULK_INTERVAL_MS) {
		stream->moved_since_ms = (uint32_t)now_ms;
		stream->moved = 0;
	}
	stream->moved += (uint32_t)len;
	if (stream->moved >= BULK_BYTES)
		stream->tunnel->busy_until_ms = now_ms + BULK_REMEMBERED_MS;
}

enum io_result stream_pull_body(void *arg, void *owner, uint8_t *to, size_t cap, size_t *out_len)
{
	(void)arg;
	struct stream *stream = owner;
	struct leg *leg = &stream->leg, *other = leg->other;
	if (leg->is_reset || (stream->unanswered == NULL && other == NULL))
		return IO_WANT_READ;
	size_t len = 0;
	enum io_result result = stream->unanswered == NULL
					? other->ops->pull(other, to, cap, &len)
					: stream->tunnel->set->hooks->pull_early(stream, to, cap, &len);
	if (leg->is_reset) /* what was pulled from is lost, and so are we by now */
		return IO_WANT_READ;
	switch (result) {
	case IO_DONE:
		stream->is_at_rest = false;
		leg_count(leg, len);
		note_moved(stream, len);
		*out_len = len;
		return IO_DONE;
	case IO_EOF:
		leg->out_ended = true;
		if (leg->listener != NULL)
			leg->listener->on_ended(leg);
		return IO_EOF;
	case IO_WANT_READ:
	case IO_WANT_WRITE:
	case IO_FAILED:
		return IO_WANT_READ;
	}
	CHECK_UNREACHABLE();
}

/* What was granted to a sender that hardly used it comes back as it goes on. */
static void shrink_window(struct stream *stream)
{
	if (window_shrinks(&stream->window, loop_now_ms(stream->leg.loop)))
		h2_stream_shrink_window(stream->tunnel->h2, stream->id, stream->window.size);
}

/* nghttp2 takes what a window grows by from what it has shrunk by before, and waits for as much to be taken. */
static void widen(struct stream *stream, uint32_t by)
{
	uint32_t given = 0;
	h2_stream_set_window(stream->tunnel->h2, stream->id, stream->window.size);
	uint32_t again = window_regrant(&stream->window, stream->budget, by, &given);
	tunnel_windows_give(stream->tunnel, given);
	if (again > 0)
		h2_stream_consumed(stream->tunnel->h2, stream->id, again);
}

/* Only a full window may grow; the round trip and the identity's share matter only then. */
static void grow_window(struct stream *stream, size_t len, bool keeps_up)
{
	struct tunnel *tunnel = stream->tunnel;
	uint64_t now_ms = loop_now_ms(stream->leg.loop);
	uint32_t size = stream->window.size;
	bool is_full = stream->window.filled + len >= size;
	bool has_share = is_full && keeps_up && tunnel_windows_take(tunnel, size);
	uint32_t rtt_ms = has_share ? tunnel_rtt_ms(tunnel) : 0;
	enum window_change change =
		window_received(&stream->window, stream->budget, len, keeps_up && has_share, now_ms, rtt_ms);
	if (has_share && change != WINDOW_GROWN)
		tunnel_windows_give(tunnel, size);
	if (is_full && keeps_up && !has_share)
		tunnel_set_shed_peer(tunnel);
	switch (change) {
	case WINDOW_SAME:
		break;
	case WINDOW_GROWN:
		widen(stream, size);
		break;
	case WINDOW_OVER_LIMIT:
		tunnel_set_shed(tunnel->set);
		break;
	}
}

void stream_on_data(struct stream *stream, struct span bytes)
{
	if (stream->is_refused || stream->leg.is_reset)
		return;
	struct leg *leg = &stream->leg;
	note_moved(stream, bytes.len);
	shrink_window(stream);
	bool buffered_before = leg->buffered != NULL;
	leg_deliver(leg, bytes);
	if (leg->is_reset)
		return;
	bool keeps = leg->buffered != NULL;
	if (keeps && !buffered_before)
		stream->unread_since_ms = (uint32_t)loop_now_ms(leg->loop);
	grow_window(stream, bytes.len, !buffered_before);
	if (keeps && leg->other != NULL && leg->other->ops->push == NULL && !leg->is_reset)
		leg->other->ops->wake(leg->other);
}

void stream_on_end(struct stream *stream)
{
	struct leg *leg = &stream->leg;
	stream->end_received = true;
	if (leg->listener != NULL && !leg->is_reset)
		leg->listener->on_readable(leg);
}

static void end_unanswered(struct stream *stream, uint32_t error, const struct why *why)
{
	stream->tunnel->set->hooks->on_unanswered_end(stream, error, why);
}

static void lose_after_end(struct stream *stream)
{
	struct why why = {0};
	why_set(&why, ERR_RESET, "no more bytes after the other side has ended and stopped reading",
		"find out why the application keeps sending", "bytes arrived %d ms after the end", UNWANTED_MS);
	leg_lost(&stream->leg, &why);
}

/* What the other side still sends leads nowhere. It is read for a while, so that no reset overtakes the bytes and the
 * end that came; a side that goes on sending is reset then, as it would be without us. */
static void drop_from(struct stream *stream, struct leg *other)
{
	uint8_t scratch[UNWANTED_LEN];
	struct leg *leg = &stream->leg;
	for (unsigned turn = 0; turn < UNWANTED_TURNS; turn++) {
		size_t len = 0;
		enum io_result result = other->ops->pull(other, scratch, sizeof(scratch), &len);
		if (result == IO_EOF) {
			leg->out_ended = true;
			leg->listener->on_ended(leg);
		}
		if (result != IO_DONE)
			return;
		if ((uint32_t)loop_now_ms(leg->loop) - stream->unwanted_since_ms >= UNWANTED_MS) {
			lose_after_end(stream);
			return;
		}
		other->ops->consumed(other, len);
	}
	other->ops->watch(other);
}

/* RFC 9113 8.1: RST_STREAM(NO_ERROR) after the peer's END_STREAM. What came is whole and is handed on with its end. */
static void on_unwanted(struct stream *stream)
{
	struct leg *leg = &stream->leg;
	stream->is_unwanted = true;
	stream->unwanted_since_ms = (uint32_t)loop_now_ms(leg->loop);
	if (leg->other != NULL)
		drop_from(stream, leg->other);
}

void stream_on_close(struct stream *stream, uint32_t error)
{
	struct tunnel *tunnel = stream->tunnel;
	stream->is_closed = true;
	if (stream->unanswered != NULL) {
		end_unanswered(stream, error, NULL); /* releases it */
	} else if (error == H2_NO_ERROR && stream->is_held && !stream->leg.out_ended && !stream->leg.is_reset) {
		on_unwanted(stream);
	} else if (error != H2_NO_ERROR && stream->is_held) {
		struct why why = {0};
		why_set(&why, ERR_RESET, "a stream that both sides end", "run `handfast why` beside the other sidecar",
			"the stream was reset: RST_STREAM %s", h2_error_name(error));
		tunnel_name_peer(tunnel, &why);
		leg_lost(&stream->leg, &why);
	}
	leave_tunnel(stream);
	tunnel->set->hooks->on_room(tunnel);
}

void stream_cut(struct stream *stream, const struct why *why)
{
	stream->is_closed = true;
	stream->leg.is_withdrawn = stream->tunnel->is_withdrawn;
	stream->leg.is_too_old = stream->tunnel->is_too_old;
	if (stream->unanswered != NULL)
		end_unanswered(stream, H2_CANCEL, why);
	else if (stream->is_held && !(stream->leg.out_ended && stream->end_received))
		leg_lost(&stream->leg, why);
	leave_tunnel(stream);
}

/* --- as a leg --- */

static enum io_result stream_leg_pull(struct leg *leg, uint8_t *to, size_t cap, size_t *out_len)
{
	struct stream *stream = stream_of_leg(leg);
	size_t len = leg_take_buffered(leg, to, cap);
	if (len > 0) {
		leg->ops->consumed(leg, len);
		*out_len = len;
		return IO_DONE;
	}
	if (!stream->end_received)
		return IO_WANT_READ;
	leg->in_ended = true;
	return IO_EOF;
}

static void stream_leg_wake(struct leg *leg)
{
	struct stream *stream = stream_of_leg(leg);
	if (stream->is_unwanted && leg->other != NULL && !leg->is_reset && !leg->out_ended)
		drop_from(stream, leg->other);
	else if (h2_of(stream) != NULL && !leg->is_reset)
		h2_stream_ready(h2_of(stream), stream->id);
}

static void stream_leg_consumed(struct leg *leg, size_t len)
{
	struct stream *stream = stream_of_leg(leg);
	uint32_t settled = window_settle(&stream->window, stream->budget, len);
	if (stream->tunnel != NULL)
		tunnel_windows_give(stream->tunnel, settled);
	if (h2_of(stream) != NULL)
		h2_stream_consumed(h2_of(stream), stream->id, len - settled);
	stream->unread_since_ms = (uint32_t)loop_now_ms(leg->loop);
}

static void stream_leg_watch(struct leg *leg)
{
	(void)leg; /* HTTP/2 reports by itself */
}

static void stream_leg_inspect(struct leg *leg, const struct leg_inspection *inspection)
{
	struct stream *stream = stream_of_leg(leg);
	if (stream->is_at_rest || h2_of(stream) == NULL || inspection->now_ms - leg->active_ms < REST_MS)
		return;
	stream->is_at_rest = true;
	h2_stream_rest(h2_of(stream), stream->id);
}

static void stream_leg_reset(struct leg *leg)
{
	stream_reset(stream_of_leg(leg), H2_CANCEL);
}

static void stream_leg_free(struct leg *leg)
{
	stream_release(stream_of_leg(leg));
}

static const struct svid *stream_leg_peer(const struct leg *leg)
{
	const struct tunnel *tunnel = container_of(leg, const struct stream, leg)->tunnel;
	return tunnel == NULL ? NULL : tunnel_peer(tunnel);
}

static const struct leg_ops stream_ops = {
	.pull = stream_leg_pull,
	.wake = stream_leg_wake,
	.consumed = stream_leg_consumed,
	.watch = stream_leg_watch,
	.inspect = stream_leg_inspect,
	.reset = stream_leg_reset,
	.free = stream_leg_free,
	.peer = stream_leg_peer,
};
