/* Output. The owner's pull writes the payload of a DATA frame directly into the output after nine reserved bytes;
 * nghttp2 selects the stream and the size that the windows allow, and provides the frame header afterwards. */
#include "base/core/check.h"
#include "base/h2/h2_private.h"

enum {
	FRAME_HEADER_LEN = 9,
	/* With its header a frame fills eight records. Each frame is one system call at both applications, and a frame
	 * of 32 KiB costs them a fifth more CPU per byte. What a small answer waits for is the output before it, whose
	 * length its owner limits, however many frames that is. */
	FRAME_MAX = 128 * 1024 - FRAME_HEADER_LEN,
	/* A frame costs 160 bytes while its stream waits, and little to be made anew. With it goes what decides that
	 * a small frame has its turn before a large one: how much its stream sent last. */
	FRAME_LIGHT_MAX = 16 * 1024,
	FRAME_WORTH_STARTING = 4096, /* with less room the output is sent first */
};

_Static_assert(FRAME_WORTH_STARTING < FRAME_MAX, "a frame is worth starting");

static size_t frame_room(const struct h2_session *session)
{
	size_t room = buf_room(session->out);
	return room > FRAME_HEADER_LEN ? room - FRAME_HEADER_LEN : 0;
}

/* Limits a frame to the room that is left; with little room the output is sent first. */
static size_t fit_room(const struct h2_session *session, size_t len)
{
	size_t room = frame_room(session);
	bool is_worth_it = room >= FRAME_WORTH_STARTING || (room > 0 && buf_len(session->out) == 0);
	return room < len && is_worth_it ? room : len;
}

static ssize_t choose_frame_len(nghttp2_session *nghttp2, uint8_t type, int32_t stream_id, int32_t session_window,
	int32_t stream_window, uint32_t peer_max, void *arg)
{
	(void)nghttp2;
	(void)type;
	(void)stream_id;
	struct h2_session *session = arg;
	size_t len = FRAME_MAX;
	size_t window = (size_t)(session_window < stream_window ? session_window : stream_window);
	len = len < window ? len : window;
	len = len < peer_max ? len : peer_max;
	len = len < session->limits.frame_bytes_sent ? len : session->limits.frame_bytes_sent;
	return (ssize_t)fit_room(session, len);
}

static ssize_t finish_body(struct h2_session *session, struct h2_stream *stream, uint32_t *data_flags)
{
	*data_flags |= NGHTTP2_DATA_FLAG_EOF;
	stream->ended_local = true;
	stream->is_ready = false;
	if (stream->trailers == NULL)
		return 0;
	*data_flags |= NGHTTP2_DATA_FLAG_NO_END_STREAM;
	nghttp2_nv fields[H2_HEADERS_SEND_MAX];
	h2_headers_to_nv(stream->trailers, stream->num_trailers, fields);
	return nghttp2_submit_trailer(session->nghttp2, stream->id, fields, stream->num_trailers);
}

/* nghttp2 frees an empty frame that is marked as the last but for trailers, and sends nothing. */
static ssize_t defer(struct h2_stream *stream, uint32_t *data_flags)
{
	stream->is_ready = false;
	stream->is_deferred = true;
	stream->is_at_rest = stream->is_to_rest;
	stream->is_to_rest = false;
	if (!stream->is_at_rest)
		return NGHTTP2_ERR_DEFERRED;
	*data_flags |= NGHTTP2_DATA_FLAG_NO_COPY | NGHTTP2_DATA_FLAG_EOF | NGHTTP2_DATA_FLAG_NO_END_STREAM;
	return 0;
}

static ssize_t pull_body(nghttp2_session *nghttp2, int32_t stream_id, uint8_t *unused, size_t cap, uint32_t *data_flags,
	nghttp2_data_source *source, void *arg)
{
	(void)nghttp2;
	(void)unused;
	(void)source;
	struct h2_session *session = arg;
	struct h2_stream *stream = h2_stream_find(session, stream_id);
	if (stream == NULL)
		return NGHTTP2_ERR_DEFERRED;
	if (!stream->is_ready)
		return defer(stream, data_flags);
	if (session->activity != H2_PRODUCING)
		return NGHTTP2_ERR_PAUSE; /* feed encodes control frames only */
	session->out_is_full = frame_room(session) < cap;
	if (session->out_is_full || buf_reserve(session->out, FRAME_HEADER_LEN + cap, &session->frame) != ERR_NONE)
		return NGHTTP2_ERR_PAUSE;
	size_t len = 0;
	enum io_result result =
		session->callbacks.pull(session->arg, stream->owner, session->frame + FRAME_HEADER_LEN, cap, &len);
	*data_flags |= NGHTTP2_DATA_FLAG_NO_COPY;
	switch (result) {
	case IO_DONE:
		CHECK(len > 0 && len <= cap);
		stream->is_to_rest = !stream->has_sent && len <= FRAME_LIGHT_MAX;
		stream->has_sent = true;
		return (ssize_t)len;
	case IO_EOF:
		CHECK(len <= cap);
		return finish_body(session, stream, data_flags) == 0 ? (ssize_t)len : NGHTTP2_ERR_CALLBACK_FAILURE;
	case IO_WANT_READ:
	case IO_WANT_WRITE:
		return defer(stream, data_flags);
	case IO_FAILED:
		stream->is_reset = true;
		return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE; /* RST_STREAM(INTERNAL_ERROR) */
	}
	CHECK_UNREACHABLE();
}

static int commit_data_frame(nghttp2_session *nghttp2, nghttp2_frame *frame, const uint8_t *frame_header, size_t len,
	nghttp2_data_source *source, void *arg)
{
	(void)nghttp2;
	(void)frame;
	(void)source;
	struct h2_session *session = arg;
	/* pull_body() has reserved its room in the same produce. */
	CHECK(session->activity == H2_PRODUCING && session->out != NULL && session->frame != NULL);
	memcpy(session->frame, frame_header, FRAME_HEADER_LEN);
	session->frame = NULL;
	buf_commit(session->out, FRAME_HEADER_LEN + len);
	if (len > 0)
		h2_limits_useful(&session->count);
	return 0;
}

static ssize_t append_control(nghttp2_session *nghttp2, const uint8_t *bytes, size_t len, int flags, void *arg)
{
	(void)nghttp2;
	(void)flags;
	struct h2_session *session = arg;
	CHECK(session->out != NULL);
	size_t room = buf_room(session->out);
	size_t part = len < room ? len : room;
	if (part == 0 || buf_append(session->out, span_of(bytes, part)) != ERR_NONE) {
		session->out_is_full = true;
		return NGHTTP2_ERR_WOULDBLOCK;
	}
	return (ssize_t)part;
}

static void on_goaway_sent(struct h2_session *session, const nghttp2_goaway *goaway)
{
	if (goaway->error_code != NGHTTP2_NO_ERROR)
		h2_session_break(session, ERR_PROTOCOL, goaway->error_code);
	if (session->role == H2_CLIENT || goaway->last_stream_id == INT32_MAX) /* a shutdown notice */
		return;
	session->has_sent_final_goaway = true;
	session->last_stream_id = goaway->last_stream_id;
}

static void on_request_sent(struct h2_session *session, struct h2_stream *stream)
{
	stream->is_unsent = false;
	if (stream->first_window > 0)
		h2_stream_set_window(session, stream->id, stream->first_window);
	stream->first_window = 0;
}

static int on_frame_sent(nghttp2_session *nghttp2, const nghttp2_frame *frame, void *arg)
{
	(void)nghttp2;
	struct h2_session *session = arg;
	if (frame->hd.type == NGHTTP2_HEADERS) {
		struct h2_stream *stream = h2_stream_find(session, frame->hd.stream_id);
		if (stream != NULL)
			on_request_sent(session, stream);
	}
	if (frame->hd.type == NGHTTP2_RST_STREAM && session->role == H2_SERVER) {
		/* Neither sent by the owner nor counted by on_invalid_frame: caused by the peer. */
		struct h2_stream *stream = h2_stream_find(session, frame->hd.stream_id);
		if (stream != NULL && !stream->is_reset) {
			stream->is_reset = true;
			if (h2_limits_reset(&session->count, &session->limits, &session->detail) != ERR_NONE)
				h2_session_break(session, ERR_LIMIT, NGHTTP2_ENHANCE_YOUR_CALM);
		}
	}
	if (frame->hd.type == NGHTTP2_GOAWAY)
		on_goaway_sent(session, &frame->goaway);
	return 0;
}

void h2_send_callbacks(nghttp2_session_callbacks *callbacks)
{
	nghttp2_session_callbacks_set_send_callback(callbacks, append_control);
	nghttp2_session_callbacks_set_send_data_callback(callbacks, commit_data_frame);
	nghttp2_session_callbacks_set_data_source_read_length_callback(callbacks, choose_frame_len);
	nghttp2_session_callbacks_set_on_frame_send_callback(callbacks, on_frame_sent);
}

nghttp2_data_provider h2_send_body(struct h2_session *session)
{
	return (nghttp2_data_provider){.source = {.ptr = session}, .read_callback = pull_body};
}

void h2_send_control(struct h2_session *session)
{
	if (nghttp2_session_get_outbound_queue_size(session->nghttp2) == 0)
		return;
	CHECK(session->activity == H2_FEEDING && session->out == NULL);
	session->out = &session->pending;
	int result = nghttp2_session_send(session->nghttp2);
	session->out = NULL;
	if (result != 0)
		h2_session_break(session, ERR_PROTOCOL, NGHTTP2_INTERNAL_ERROR);
}

static bool drain_pending(struct h2_session *session, struct buf *out)
{
	size_t room = buf_room(out);
	struct span bytes = buf_span(&session->pending);
	size_t part = bytes.len < room ? bytes.len : room;
	if (part > 0 && buf_append(out, span_of(bytes.ptr, part)) == ERR_NONE)
		buf_consume(&session->pending, part);
	buf_trim(&session->pending);
	return buf_len(&session->pending) == 0;
}

enum io_result h2_session_produce(struct h2_session *session, struct buf *out)
{
	CHECK(session->activity == H2_AT_REST && session->out == NULL);
	session->output_was_announced = false;
	if (!drain_pending(session, out))
		return IO_WANT_WRITE;
	session->activity = H2_PRODUCING;
	session->out = out;
	session->out_is_full = false;
	int result = nghttp2_session_send(session->nghttp2);
	session->out = NULL;
	session->activity = H2_AT_REST;
	if (result != 0)
		h2_session_break(session, ERR_PROTOCOL, NGHTTP2_INTERNAL_ERROR);
	return session->out_is_full ? IO_WANT_WRITE : IO_DONE;
}
