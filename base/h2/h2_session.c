#include "base/core/check.h"
#include "base/core/mem.h"
#include "base/h2/h2_private.h"
#include <sys/mman.h>

enum {
	PENDING_MAX = 64 * 1024, /* encoded control frames; the rest stays in nghttp2's queue and is counted there */
	FRAMES_LEAST = 16 * 1024,
};

static void *mem_alloc_for_nghttp2(size_t len, void *arg)
{
	(void)arg;
	return mem_alloc(len > 0 ? len : 1);
}

/* nghttp2 has a buffer of 16 KiB for the frame that is being sent, of which an idle connection used some bytes. Memory
 * that the heap had in use before would stay resident as a whole, fresh pages do not. */
static void *frames_alloc(struct h2_session *session, size_t len)
{
	void *pages = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	CHECK(pages != MAP_FAILED); /* out of memory ends the process, as mem_alloc() does */
	session->frames.pages = pages;
	session->frames.len = len;
	return pages;
}

static void frames_free(struct h2_session *session)
{
	CHECK(munmap(TAKE_PTR(session->frames.pages), session->frames.len) == 0);
}

static void mem_free_for_nghttp2(void *pointer, void *arg)
{
	struct h2_session *session = arg;
	if (pointer != NULL && pointer == session->frames.pages)
		frames_free(session);
	else
		mem_free(pointer);
}

static void *mem_calloc_for_nghttp2(size_t num, size_t size, void *arg)
{
	(void)arg;
	return mem_calloc(num > 0 ? num : 1, size > 0 ? size : 1);
}

/* The buffer is the one large allocation while the session is made. */
static void *mem_realloc_for_nghttp2(void *pointer, size_t len, void *arg)
{
	struct h2_session *session = arg;
	if (pointer == NULL && len >= FRAMES_LEAST && session->nghttp2 == NULL && session->frames.pages == NULL)
		return frames_alloc(session, len);
	if (pointer == NULL || pointer != session->frames.pages)
		return mem_realloc(pointer, len > 0 ? len : 1);
	void *moved = mem_alloc(len);
	memcpy(moved, pointer, len < session->frames.len ? len : session->frames.len);
	frames_free(session);
	return moved;
}

static nghttp2_option *new_options(const struct h2_limits *limits)
{
	nghttp2_option *option;
	CHECK(nghttp2_option_new(&option) == 0);
	nghttp2_option_set_no_auto_window_update(option, 1);
	nghttp2_option_set_no_closed_streams(option, 1);
	nghttp2_option_set_max_deflate_dynamic_table_size(option, limits->header_table_sent);
	nghttp2_option_set_max_outbound_ack(option, limits->control_frames_queued);
	/* Frames of unknown types are skipped, but on_begin_frame counts them. */
	for (unsigned type = NGHTTP2_CONTINUATION + 1; type <= UINT8_MAX; type++)
		nghttp2_option_set_user_recv_extension_type(option, (uint8_t)type);
	/* Debian's limit is a rate that honest clients of a busy tunnel exceed; h2_limits has another. */
	nghttp2_option_set_stream_reset_rate_limit(option, UINT32_MAX, UINT32_MAX);
	return option;
}

static nghttp2_session *new_nghttp2(struct h2_session *session)
{
	nghttp2_session_callbacks *callbacks;
	CHECK(nghttp2_session_callbacks_new(&callbacks) == 0);
	h2_receive_callbacks(callbacks);
	h2_send_callbacks(callbacks);
	nghttp2_option *option = new_options(&session->limits);
	nghttp2_mem mem = {
		session, mem_alloc_for_nghttp2, mem_free_for_nghttp2, mem_calloc_for_nghttp2, mem_realloc_for_nghttp2};
	nghttp2_session *nghttp2;
	int result = session->role == H2_SERVER
			     ? nghttp2_session_server_new3(&nghttp2, callbacks, session, option, &mem)
			     : nghttp2_session_client_new3(&nghttp2, callbacks, session, option, &mem);
	CHECK(result == 0); /* fails only without memory */
	nghttp2_option_del(option);
	nghttp2_session_callbacks_del(callbacks);
	return nghttp2;
}

static void submit_settings(struct h2_session *session)
{
	const struct h2_limits *limits = &session->limits;
	const nghttp2_settings_entry entries[] = {
		{NGHTTP2_SETTINGS_HEADER_TABLE_SIZE, limits->header_table},
		{NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, limits->stream_window},
		{NGHTTP2_SETTINGS_MAX_FRAME_SIZE, limits->frame_bytes},
		{NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, limits->header_bytes},
		/* The others are for one role; the last one disables RFC 7540's priority tree of a server. */
		session->role == H2_CLIENT
			? (nghttp2_settings_entry){NGHTTP2_SETTINGS_ENABLE_PUSH, 0}
			: (nghttp2_settings_entry){NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, limits->max_streams},
		{NGHTTP2_SETTINGS_NO_RFC7540_PRIORITIES, 1},
	};
	/* A client sends by RFC 7540's priority tree, in which all streams take turns. */
	size_t num_entries = sizeof(entries) / sizeof(entries[0]) - (session->role == H2_CLIENT ? 1 : 0);
	CHECK(nghttp2_submit_settings(session->nghttp2, NGHTTP2_FLAG_NONE, entries, num_entries) == 0);
	h2_session_set_window(session, limits->connection_window);
}

enum err h2_session_new(const struct h2_session_options *options, struct h2_session **out)
{
	struct h2_limits limits = h2_limits_with_defaults(&options->limits);
	if (limits.frame_bytes < 16 * 1024 || limits.frame_bytes > 0xffffff || limits.stream_window > INT32_MAX ||
		limits.connection_window > INT32_MAX)
		return ERR_CONFIG; /* RFC 9113 6.5.2 */
	const struct h2_callbacks *callbacks = &options->callbacks;
	CHECK(callbacks->on_headers != NULL && callbacks->on_data != NULL && callbacks->on_end != NULL);
	CHECK(callbacks->on_close != NULL && callbacks->pull != NULL && callbacks->on_output_ready != NULL);
	struct h2_session *session = mem_new(struct h2_session);
	session->role = options->role;
	session->limits = limits;
	session->callbacks = options->callbacks;
	session->arg = options->arg;
	buf_init(&session->pending, PENDING_MAX);
	session->nghttp2 = new_nghttp2(session);
	session->output_was_announced = true; /* the owner produces the preface without a callback */
	submit_settings(session);
	*out = session;
	return ERR_NONE;
}

void h2_session_free(struct h2_session *session)
{
	if (session == NULL)
		return;
	CHECK(session->activity == H2_AT_REST); /* no callback may free it */
	nghttp2_session_del(session->nghttp2);
	LIST_EACH_REMOVABLE(&session->streams, struct h2_stream, stream, link)
		h2_stream_remove(session, stream);
	CHECK(session->num_streams == 0);
	h2_headers_clear(&session->headers);
	buf_done(&session->pending);
	mem_free(session);
}

void h2_session_notify(struct h2_session *session)
{
	if (session->activity != H2_AT_REST || session->output_was_announced)
		return;
	session->output_was_announced = true;
	session->callbacks.on_output_ready(session->arg);
}

void h2_session_break(struct h2_session *session, enum err err, uint32_t error)
{
	CHECK(err != ERR_NONE);
	if (session->broken != ERR_NONE)
		return;
	session->broken = err;
	session->is_refusing = true;
	if (session->detail.err == ERR_NONE)
		why_set(&session->detail, err, "HTTP/2 as in RFC 9113", "check the peer's HTTP/2 implementation",
			"the connection failed: %s", h2_error_name(error));
	session->detail.err = err;
	(void)nghttp2_session_terminate_session(session->nghttp2, error);
}

static enum err judge_feed(struct h2_session *session, ssize_t result)
{
	if (result == NGHTTP2_ERR_FLOODED) {
		why_set(&session->detail, ERR_LIMIT, "a peer that reads the answers to its frames",
			"check the peer: it floods this connection with PING or SETTINGS",
			"%u acks are waiting to be sent", session->limits.control_frames_queued);
		h2_session_break(session, ERR_LIMIT, NGHTTP2_ENHANCE_YOUR_CALM);
	} else if (result < 0) {
		why_set(&session->detail, ERR_PROTOCOL, "HTTP/2 as in RFC 9113", "check that the peer speaks HTTP/2",
			"the peer broke HTTP/2: %s", nghttp2_strerror((int)result));
		h2_session_break(session, ERR_PROTOCOL, NGHTTP2_PROTOCOL_ERROR);
	}
	h2_receive_answer_late(session);
	h2_send_control(session);
	return session->broken;
}

enum err h2_session_feed(struct h2_session *session, struct span bytes, struct why *why)
{
	CHECK(session->activity == H2_AT_REST);
	enum err err = session->broken;
	if (err == ERR_NONE) {
		session->activity = H2_FEEDING;
		session->detail = (struct why){0};
		err = judge_feed(session, nghttp2_session_mem_recv(session->nghttp2, bytes.ptr, bytes.len));
		session->activity = H2_AT_REST;
	}
	if (err != ERR_NONE && why != NULL)
		*why = session->detail;
	return err;
}

bool h2_session_has_output(const struct h2_session *session)
{
	return buf_len(&session->pending) > 0 || nghttp2_session_want_write(session->nghttp2) != 0;
}

void h2_session_set_window(struct h2_session *session, uint32_t bytes)
{
	if (bytes > INT32_MAX || session->broken != ERR_NONE ||
		(int32_t)bytes <= nghttp2_session_get_effective_local_window_size(session->nghttp2))
		return;
	CHECK(!nghttp2_is_fatal(
		nghttp2_session_set_local_window_size(session->nghttp2, NGHTTP2_FLAG_NONE, 0, (int32_t)bytes)));
	h2_session_notify(session);
}

uint32_t h2_session_streams_left(const struct h2_session *session)
{
	if (session->role == H2_SERVER || session->is_refusing || session->broken != ERR_NONE)
		return 0;
	uint32_t max = nghttp2_session_get_remote_settings(session->nghttp2, NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS);
	return max > session->num_streams ? max - session->num_streams : 0;
}

unsigned h2_session_num_streams(const struct h2_session *session)
{
	return session->num_streams;
}

bool h2_session_has_settings(const struct h2_session *session)
{
	return session->has_settings;
}

void h2_session_shutdown(struct h2_session *session)
{
	if (session->role == H2_CLIENT) { /* a server opens no streams: none can be in flight */
		h2_session_goaway(session, NGHTTP2_NO_ERROR);
		return;
	}
	if (session->broken != ERR_NONE || session->is_draining)
		return;
	session->is_draining = true;
	CHECK(nghttp2_submit_shutdown_notice(session->nghttp2) == 0);
	CHECK(nghttp2_submit_ping(session->nghttp2, NGHTTP2_FLAG_NONE, H2_SHUTDOWN_PING) == 0);
	h2_session_notify(session);
}

void h2_session_shutdown_end(struct h2_session *session)
{
	if (!session->is_draining)
		return;
	session->is_draining = false;
	h2_session_goaway(session, NGHTTP2_NO_ERROR);
}

void h2_session_goaway(struct h2_session *session, uint32_t error)
{
	if (session->broken != ERR_NONE)
		return;
	session->is_refusing = true;
	if (error != NGHTTP2_NO_ERROR) {
		h2_session_break(session, ERR_CLOSED, error);
	} else {
		int32_t last = nghttp2_session_get_last_proc_stream_id(session->nghttp2);
		(void)nghttp2_submit_goaway(session->nghttp2, NGHTTP2_FLAG_NONE, last, error, NULL, 0);
	}
	h2_session_notify(session);
}

bool h2_session_is_done(const struct h2_session *session)
{
	if (buf_len(&session->pending) > 0 || nghttp2_session_want_write(session->nghttp2) != 0)
		return false;
	return session->broken != ERR_NONE || nghttp2_session_want_read(session->nghttp2) == 0;
}

void h2_session_ping(struct h2_session *session)
{
	if (session->broken != ERR_NONE)
		return;
	CHECK(nghttp2_submit_ping(session->nghttp2, NGHTTP2_FLAG_NONE, NULL) == 0);
	h2_session_notify(session);
}
