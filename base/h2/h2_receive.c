/* nghttp2's callbacks while it reads: calls the owner's callbacks and enforces the limits. */
#include "base/core/check.h"
#include "base/h2/h2_private.h"

enum { HEADER_BYTES_BROKEN = 4 }; /* times the limit: then the connection ends */

static void break_at_limit(struct h2_session *session, enum err err)
{
	if (err != ERR_NONE)
		h2_session_break(session, ERR_LIMIT, NGHTTP2_ENHANCE_YOUR_CALM);
}

static void count_idle_frame(struct h2_session *session, enum h2_idle_frame kind)
{
	break_at_limit(session, h2_limits_idle_frame(&session->count, &session->limits, kind, &session->detail));
}

/* Resets by the peer, and resets that it caused (MadeYouReset, CVE-2025-8671), share one counter. */
static void count_reset(struct h2_session *session)
{
	if (session->role == H2_SERVER)
		break_at_limit(session, h2_limits_reset(&session->count, &session->limits, &session->detail));
}

static int on_begin_headers(nghttp2_session *nghttp2, const nghttp2_frame *frame, void *arg)
{
	struct h2_session *session = arg;
	h2_headers_clear(&session->headers);
	if (frame->hd.type != NGHTTP2_HEADERS || frame->headers.cat != NGHTTP2_HCAT_REQUEST)
		return 0;
	struct h2_stream *stream = h2_stream_add(session, NULL);
	stream->id = frame->hd.stream_id;
	nghttp2_session_set_stream_user_data(nghttp2, stream->id, stream);
	/* RFC 9218's default would serve streams one after the other; the client's priorities are ignored. */
	const nghttp2_extpri in_turn = {.urgency = NGHTTP2_EXTPRI_DEFAULT_URGENCY, .inc = 1};
	return nghttp2_session_change_extpri_stream_priority(nghttp2, stream->id, &in_turn, 1);
}

static int on_header(nghttp2_session *nghttp2, const nghttp2_frame *frame, nghttp2_rcbuf *name, nghttp2_rcbuf *value,
	uint8_t flags, void *arg)
{
	(void)nghttp2;
	(void)flags;
	struct h2_session *session = arg;
	struct h2_stream *stream = h2_stream_find(session, frame->hd.stream_id);
	if (stream == NULL || stream->is_reset ||
		h2_headers_add(&session->headers, name, value, session->limits.header_bytes) == ERR_NONE)
		return 0;
	/* Decoding continues, because it updates the HPACK table; the fields are dropped. */
	size_t decoded_len = session->headers.decoded_len;
	if (decoded_len > (size_t)session->limits.header_bytes * HEADER_BYTES_BROKEN) {
		break_at_limit(
			session, why_set(&session->detail, ERR_LIMIT,
					 "a header list within SETTINGS_MAX_HEADER_LIST_SIZE", "send smaller headers",
					 "the peer sent a header list of more than %zu bytes", decoded_len));
		return 0;
	}
	stream->is_too_large = true;
	return 0;
}

static void refuse_headers(struct h2_session *session, struct h2_stream *stream)
{
	count_reset(session);
	h2_stream_reset(session, stream->id, NGHTTP2_ENHANCE_YOUR_CALM);
}

static void end_remote(struct h2_session *session, struct h2_stream *stream)
{
	stream->ended_remote = true;
	session->callbacks.on_end(session->arg, stream->id, stream->owner);
}

static void on_headers_complete(struct h2_session *session, struct h2_stream *stream, const nghttp2_frame *frame)
{
	bool end_stream = (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) != 0;
	if (stream->is_too_large) {
		refuse_headers(session, stream);
		return;
	}
	h2_limits_useful(&session->count);
	struct h2_headers headers = session->headers; /* the callback may call any function but feed */
	session->headers = (struct h2_headers){0};
	int32_t id = stream->id;
	session->callbacks.on_headers(session->arg, id, stream->owner, headers.items, headers.num_items, end_stream);
	h2_headers_clear(&headers);
	if (end_stream)
		end_remote(session, stream);
}

static void on_peer_settings(struct h2_session *session)
{
	if (session->has_settings) {
		count_idle_frame(session, H2_IDLE_SETTINGS);
		return;
	}
	session->has_settings = true;
	if (session->callbacks.on_settings != NULL)
		session->callbacks.on_settings(session->arg);
}

static void on_peer_goaway(struct h2_session *session, const nghttp2_goaway *goaway)
{
	session->is_refusing = true;
	if (session->callbacks.on_goaway != NULL)
		session->callbacks.on_goaway(session->arg, goaway->last_stream_id, goaway->error_code);
}

static void on_ping(struct h2_session *session, const nghttp2_frame *frame)
{
	if ((frame->hd.flags & NGHTTP2_FLAG_ACK) == 0)
		return; /* nghttp2 sends the ack; its queue is bounded */
	/* The ack of an earlier PING does not show that the peer has received the shutdown notice. */
	if (memcmp(frame->ping.opaque_data, H2_SHUTDOWN_PING, sizeof(H2_SHUTDOWN_PING)) == 0)
		h2_session_shutdown_end(session);
	if (session->callbacks.on_ping_ack != NULL)
		session->callbacks.on_ping_ack(session->arg);
}

static void on_data_complete(struct h2_session *session, struct h2_stream *stream, const nghttp2_frame *frame)
{
	bool end_stream = (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) != 0;
	if (frame->hd.length == frame->data.padlen && !end_stream)
		count_idle_frame(session, H2_IDLE_EMPTY_DATA);
	if (end_stream && stream != NULL && !stream->is_reset)
		end_remote(session, stream);
}

static int on_frame(nghttp2_session *nghttp2, const nghttp2_frame *frame, void *arg)
{
	(void)nghttp2;
	struct h2_session *session = arg;
	struct h2_stream *stream = h2_stream_find(session, frame->hd.stream_id);
	switch ((nghttp2_frame_type)frame->hd.type) {
	case NGHTTP2_DATA:
		on_data_complete(session, stream, frame);
		break;
	case NGHTTP2_HEADERS:
		if (stream != NULL && !stream->is_reset)
			on_headers_complete(session, stream, frame);
		break;
	case NGHTTP2_RST_STREAM:
		if (stream != NULL && !stream->is_reset) {
			stream->is_reset = true;
			count_reset(session);
		}
		if (stream != NULL)
			stream->is_reset_by_peer = true;
		break;
	case NGHTTP2_SETTINGS:
		if ((frame->hd.flags & NGHTTP2_FLAG_ACK) == 0)
			on_peer_settings(session);
		break;
	case NGHTTP2_PING:
		on_ping(session, frame);
		break;
	case NGHTTP2_GOAWAY:
		on_peer_goaway(session, &frame->goaway);
		break;
	case NGHTTP2_WINDOW_UPDATE:
		count_idle_frame(session, H2_IDLE_WINDOW_UPDATE);
		break;
	case NGHTTP2_PRIORITY:
	case NGHTTP2_PRIORITY_UPDATE:
	case NGHTTP2_PUSH_PROMISE:
	case NGHTTP2_CONTINUATION:
	case NGHTTP2_ALTSVC:
	case NGHTTP2_ORIGIN:
		break;
	}
	return 0;
}

/* nghttp2 ignores a request that arrives after the final GOAWAY. Refusing it shows a peer that has not read the GOAWAY
 * that the request was not processed (RFC 9113 8.7). */
static void note_late_request(struct h2_session *session, int32_t stream_id)
{
	if (!session->has_sent_final_goaway || stream_id % 2 == 0 || stream_id <= session->last_stream_id)
		return;
	session->last_stream_id = stream_id; /* once: later frames of the stream are ignored too */
	session->late_stream_id = stream_id;
	session->late_error = NGHTTP2_REFUSED_STREAM;
}

static void break_protocol(struct h2_session *session, uint32_t error, const char *what, int32_t stream_id)
{
	why_set(&session->detail, ERR_PROTOCOL, "HTTP/2 as in RFC 9113", "check the peer's HTTP/2 implementation",
		"the peer broke HTTP/2: %s, stream %d", what, stream_id);
	h2_session_break(session, ERR_PROTOCOL, error);
}

/* nghttp2 ignores what arrives on a stream that is gone. That is right for DATA (RFC 9113 5.1), and after a reset of
 * ours, which the peer may not have read. HEADERS after an end of its own show that its streams are not ours. */
static void judge_closed(struct h2_session *session, int32_t stream_id)
{
	switch (h2_closed_take(&session->closed, stream_id)) {
	case H2_CLOSED_UNKNOWN:
		break;
	case H2_CLOSED_BY_END:
		break_protocol(session, NGHTTP2_STREAM_CLOSED, "HEADERS after END_STREAM", stream_id);
		break;
	case H2_CLOSED_BY_RESET:
		session->late_stream_id = stream_id;
		session->late_error = NGHTTP2_STREAM_CLOSED;
		break;
	}
}

static void on_begin_headers_frame(struct h2_session *session, int32_t stream_id)
{
	note_late_request(session, stream_id);
	judge_closed(session, stream_id);
	if (session->role == H2_SERVER && stream_id % 2 == 1 && !h2_closed_request(&session->closed, stream_id))
		break_protocol(session, NGHTTP2_PROTOCOL_ERROR, "a request with a lower number than an earlier one",
			stream_id); /* RFC 9113 5.1.1 */
}

/* Called after nghttp2 has skipped the frame: before, it would not send RST_STREAM for an unknown stream. */
void h2_receive_answer_late(struct h2_session *session)
{
	int32_t stream_id = session->late_stream_id;
	if (stream_id == 0)
		return;
	session->late_stream_id = 0;
	CHECK(nghttp2_submit_rst_stream(session->nghttp2, NGHTTP2_FLAG_NONE, stream_id, session->late_error) == 0);
	count_reset(session);
}

static void on_begin_priority(struct h2_session *session, int32_t stream_id)
{
	count_idle_frame(session, H2_IDLE_PRIORITY);
	if (stream_id == 0) /* RFC 9113 6.3; nghttp2 skips the frame unread */
		break_protocol(session, NGHTTP2_PROTOCOL_ERROR, "a PRIORITY frame without a stream", stream_id);
}

/* Here, because on_frame is not called for skipped frames. */
static int on_begin_frame(nghttp2_session *nghttp2, const nghttp2_frame_hd *hd, void *arg)
{
	(void)nghttp2;
	h2_receive_answer_late(arg);
	if (hd->type == NGHTTP2_HEADERS)
		on_begin_headers_frame(arg, hd->stream_id);
	if (hd->type == NGHTTP2_PRIORITY)
		on_begin_priority(arg, hd->stream_id);
	else if (hd->type > NGHTTP2_CONTINUATION)
		count_idle_frame(arg, H2_IDLE_UNKNOWN);
	return 0;
}

static int skip_extension(nghttp2_session *nghttp2, void **payload, const nghttp2_frame_hd *hd, void *arg)
{
	(void)nghttp2;
	(void)payload;
	(void)hd;
	(void)arg;
	return NGHTTP2_ERR_CANCEL;
}

static int on_data_chunk(
	nghttp2_session *nghttp2, uint8_t flags, int32_t stream_id, const uint8_t *bytes, size_t len, void *arg)
{
	(void)flags;
	struct h2_session *session = arg;
	struct h2_stream *stream = h2_stream_find(session, stream_id);
	h2_limits_useful(&session->count);
	if (stream != NULL && !stream->is_reset)
		session->callbacks.on_data(session->arg, stream_id, stream->owner, span_of(bytes, len));
	return nghttp2_session_consume_connection(nghttp2, len);
}

static int on_invalid_frame(nghttp2_session *nghttp2, const nghttp2_frame *frame, int error, void *arg)
{
	(void)nghttp2;
	struct h2_session *session = arg;
	struct h2_stream *stream = h2_stream_find(session, frame->hd.stream_id);
	if (stream != NULL && stream->is_reset)
		return 0;
	if (stream != NULL)
		stream->is_reset = true; /* nghttp2 queued the RST_STREAM; it is counted here */
	why_set(&session->detail, ERR_PROTOCOL, "HTTP/2 as in RFC 9113", "check the peer's HTTP/2 implementation",
		"the peer broke HTTP/2: %s in a frame of type %u", nghttp2_strerror(error), frame->hd.type);
	count_reset(session);
	return 0;
}

/* RFC 9113 8.1: after its END_STREAM a peer may send RST_STREAM(NO_ERROR) to stop the other direction. Before it, the
 * stream is truncated. */
static uint32_t close_error(const struct h2_stream *stream, uint32_t error)
{
	return error == NGHTTP2_NO_ERROR && !stream->ended_remote ? NGHTTP2_CANCEL : error;
}

static int on_stream_close(nghttp2_session *nghttp2, int32_t stream_id, uint32_t error, void *arg)
{
	struct h2_session *session = arg;
	struct h2_stream *stream = h2_stream_find(session, stream_id);
	if (stream == NULL)
		return 0;
	if (stream->ended_remote || stream->is_reset_by_peer)
		h2_closed_add(&session->closed, stream_id, !stream->ended_remote);
	session->callbacks.on_close(session->arg, stream_id, stream->owner, close_error(stream, error));
	nghttp2_session_set_stream_user_data(nghttp2, stream_id, NULL);
	h2_stream_remove(session, stream);
	return 0;
}

void h2_receive_callbacks(nghttp2_session_callbacks *callbacks)
{
	nghttp2_session_callbacks_set_on_begin_frame_callback(callbacks, on_begin_frame);
	nghttp2_session_callbacks_set_unpack_extension_callback(callbacks, skip_extension);
	nghttp2_session_callbacks_set_on_begin_headers_callback(callbacks, on_begin_headers);
	nghttp2_session_callbacks_set_on_header_callback2(callbacks, on_header);
	nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, on_frame);
	nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, on_data_chunk);
	nghttp2_session_callbacks_set_on_invalid_frame_recv_callback(callbacks, on_invalid_frame);
	nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, on_stream_close);
}
