#include "base/core/check.h"
#include "base/core/mem.h"
#include "base/h2/h2_private.h"

struct h2_stream *h2_stream_add(struct h2_session *session, void *owner)
{
	struct h2_stream *stream = mem_new(struct h2_stream);
	stream->owner = owner;
	list_push_front(&session->streams, &stream->link);
	session->num_streams++;
	return stream;
}

void h2_stream_remove(struct h2_session *session, struct h2_stream *stream)
{
	CHECK(session->num_streams > 0);
	list_remove(&stream->link);
	session->num_streams--;
	mem_free(stream->trailers);
	mem_free(stream);
}

struct h2_stream *h2_stream_find(const struct h2_session *session, int32_t stream_id)
{
	struct h2_stream *stream = nghttp2_session_get_stream_user_data(session->nghttp2, stream_id);
	if (stream != NULL)
		return stream;
	/* nghttp2 finds a request only after its HEADERS are encoded; earlier ones are at the head of the list. */
	stream = LIST_FIRST(&session->streams, struct h2_stream, link);
	while (stream != NULL && stream->is_unsent && stream->id != stream_id)
		stream = LIST_NEXT(&session->streams, stream, link);
	return stream != NULL && stream->is_unsent ? stream : NULL;
}

enum err h2_stream_open(struct h2_session *session, const struct h2_header *headers, size_t num_headers,
	bool end_stream, void *owner, int32_t *out_stream_id)
{
	CHECK(session->role == H2_CLIENT);
	if (session->is_refusing || session->broken != ERR_NONE)
		return ERR_CLOSED;
	if (h2_session_streams_left(session) == 0)
		return ERR_LIMIT;
	nghttp2_nv fields[H2_HEADERS_SEND_MAX];
	h2_headers_to_nv(headers, num_headers, fields);
	struct h2_stream *stream = h2_stream_add(session, owner);
	nghttp2_data_provider body = h2_send_body(session);
	int32_t id =
		nghttp2_submit_request(session->nghttp2, NULL, fields, num_headers, end_stream ? NULL : &body, stream);
	if (id < 0) { /* no stream id is left */
		h2_stream_remove(session, stream);
		session->is_refusing = true;
		return ERR_CLOSED;
	}
	CHECK(id > 0 && id % 2 == 1); /* RFC 9113 5.1.1 */
	stream->id = id;
	stream->is_unsent = true;
	stream->ended_local = end_stream;
	*out_stream_id = id;
	h2_session_notify(session);
	return ERR_NONE;
}

void h2_stream_attach(struct h2_session *session, int32_t stream_id, void *owner)
{
	struct h2_stream *stream = h2_stream_find(session, stream_id);
	if (stream != NULL)
		stream->owner = owner;
}

/* Useful work: not a refusal, and not an error without a body. */
static bool is_service(const struct h2_header *headers, size_t num_headers, bool end_stream)
{
	struct span status = h2_headers_find(headers, num_headers, ":status");
	return !end_stream && status.len == 3 && status.ptr[0] == '2';
}

enum err h2_stream_respond(struct h2_session *session, int32_t stream_id, const struct h2_header *headers,
	size_t num_headers, bool end_stream)
{
	CHECK(session->role == H2_SERVER);
	struct h2_stream *stream = h2_stream_find(session, stream_id);
	if (stream == NULL || stream->is_answered || stream->is_reset || session->broken != ERR_NONE)
		return ERR_CLOSED;
	nghttp2_nv fields[H2_HEADERS_SEND_MAX];
	h2_headers_to_nv(headers, num_headers, fields);
	nghttp2_data_provider body = h2_send_body(session);
	if (nghttp2_submit_response(session->nghttp2, stream_id, fields, num_headers, end_stream ? NULL : &body) != 0)
		return ERR_CLOSED;
	stream->is_answered = true;
	stream->ended_local = end_stream;
	if (is_service(headers, num_headers, end_stream))
		h2_limits_served(&session->count);
	h2_session_notify(session);
	return ERR_NONE;
}

enum err h2_stream_trailers(
	struct h2_session *session, int32_t stream_id, const struct h2_header *headers, size_t num_headers)
{
	CHECK(num_headers <= H2_HEADERS_SEND_MAX);
	struct h2_stream *stream = h2_stream_find(session, stream_id);
	if (stream == NULL || stream->ended_local || stream->is_reset)
		return ERR_CLOSED;
	mem_free(stream->trailers);
	stream->trailers = h2_headers_copy(headers, num_headers);
	stream->num_trailers = (uint32_t)num_headers;
	return ERR_NONE;
}

/* A stream that closes meanwhile has nothing to resume. */
static void resume(struct h2_session *session, struct h2_stream *stream)
{
	const nghttp2_data_provider body = h2_send_body(session);
	int result = stream->is_at_rest
			     ? nghttp2_submit_data(session->nghttp2, NGHTTP2_FLAG_END_STREAM, stream->id, &body)
			     : nghttp2_session_resume_data(session->nghttp2, stream->id);
	CHECK(!nghttp2_is_fatal(result) && result != NGHTTP2_ERR_DATA_EXIST);
	stream->is_deferred = stream->is_at_rest = false;
	h2_session_notify(session);
}

void h2_stream_ready(struct h2_session *session, int32_t stream_id)
{
	struct h2_stream *stream = h2_stream_find(session, stream_id);
	if (stream == NULL || stream->ended_local)
		return;
	stream->is_ready = true;
	if (stream->is_deferred)
		resume(session, stream);
}

void h2_stream_rest(struct h2_session *session, int32_t stream_id)
{
	struct h2_stream *stream = h2_stream_find(session, stream_id);
	if (stream == NULL || !stream->is_deferred || stream->is_at_rest || session->broken != ERR_NONE)
		return;
	stream->is_to_rest = true;
	resume(session, stream);
}

void h2_stream_consumed(struct h2_session *session, int32_t stream_id, size_t len)
{
	if (session->broken != ERR_NONE)
		return;
	CHECK(!nghttp2_is_fatal(nghttp2_session_consume_stream(session->nghttp2, stream_id, len)));
	if (nghttp2_session_get_outbound_queue_size(session->nghttp2) > 0)
		h2_session_notify(session);
}

void h2_stream_reset(struct h2_session *session, int32_t stream_id, uint32_t error)
{
	struct h2_stream *stream = h2_stream_find(session, stream_id);
	if (stream == NULL || stream->is_reset || session->broken != ERR_NONE)
		return;
	stream->is_reset = true;
	CHECK(nghttp2_submit_rst_stream(session->nghttp2, NGHTTP2_FLAG_NONE, stream_id, error) == 0);
	h2_session_notify(session);
}

void h2_stream_set_window(struct h2_session *session, int32_t stream_id, uint32_t bytes)
{
	struct h2_stream *stream = h2_stream_find(session, stream_id);
	if (stream != NULL && stream->is_unsent) { /* not in nghttp2 yet */
		stream->first_window = bytes;
		return;
	}
	if (bytes <= h2_stream_window(session, stream_id) || bytes > INT32_MAX || session->broken != ERR_NONE)
		return;
	CHECK(!nghttp2_is_fatal(
		nghttp2_session_set_local_window_size(session->nghttp2, NGHTTP2_FLAG_NONE, stream_id, (int32_t)bytes)));
	h2_session_notify(session);
}

void h2_stream_shrink_window(struct h2_session *session, int32_t stream_id, uint32_t bytes)
{
	const struct h2_stream *stream = h2_stream_find(session, stream_id);
	if (stream == NULL || stream->is_unsent || bytes >= h2_stream_window(session, stream_id) ||
		session->broken != ERR_NONE)
		return;
	CHECK(!nghttp2_is_fatal(
		nghttp2_session_set_local_window_size(session->nghttp2, NGHTTP2_FLAG_NONE, stream_id, (int32_t)bytes)));
}

uint32_t h2_stream_window(const struct h2_session *session, int32_t stream_id)
{
	int32_t window = nghttp2_session_get_stream_effective_local_window_size(session->nghttp2, stream_id);
	return window > 0 ? (uint32_t)window : 0;
}
