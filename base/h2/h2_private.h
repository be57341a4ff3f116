/* The session struct. Private to base/h2. */
#pragma once

#include "base/core/list.h"
#include "base/h2/h2_closed.h"
#include "base/h2/h2_headers.h"
#include "base/h2/h2_session.h"

struct h2_stream { /* nghttp2's stream user data; exists from h2_stream_open(), or the peer's HEADERS, until on_close */
	struct list_link link;
	void *owner;                /* h2_stream_attach() */
	struct h2_header *trailers; /* followed by their bytes in one allocation; NULL: none */
	uint32_t num_trailers;
	uint32_t first_window; /* is_unsent: the window to set after the HEADERS; 0: none */
	int32_t id;
	bool is_unsent : 1;    /* a request whose HEADERS are still queued */
	bool is_ready : 1;     /* h2_stream_ready() was called: pull has data */
	bool has_sent : 1;     /* bytes of its body */
	bool is_deferred : 1;  /* deferred in nghttp2 until resumed */
	bool is_to_rest : 1;   /* when no bytes are left nghttp2 frees its DATA frame, which is made anew */
	bool is_at_rest : 1;   /* is_deferred: without a DATA frame in nghttp2 */
	bool is_too_large : 1; /* the header list being received exceeds the limit */
	bool is_answered : 1;  /* server: response headers were submitted */
	bool is_reset : 1;     /* a reset of the owner, or one that is counted already */
	bool is_reset_by_peer : 1;
	bool ended_local : 1;
	bool ended_remote : 1;
};

enum h2_activity { H2_AT_REST, H2_FEEDING, H2_PRODUCING };

/* The payload of the PING after a shutdown notice; all other PINGs have zeros. */
static const uint8_t H2_SHUTDOWN_PING[8] = {'s', 'h', 'u', 't', 'd', 'o', 'w', 'n'};

struct h2_session {
	struct nghttp2_session *nghttp2;
	struct { /* nghttp2's buffer for frames, which has its own pages; NULL: none */
		void *pages;
		size_t len;
	} frames;
	struct h2_callbacks callbacks;
	void *arg;
	struct h2_limits limits;
	struct h2_limits_count count;
	struct h2_headers headers; /* the list that is being received */
	struct list streams;
	unsigned num_streams;
	struct h2_closed closed;

	/* Frames caused by feed, encoded at once so that feed itself returns a protocol error or a flood. */
	struct buf pending;
	struct buf *out; /* during produce, and during feed (&pending) */
	uint8_t *frame;  /* reserved in *out for the current DATA frame */

	enum h2_role role;
	enum h2_activity activity;
	bool output_was_announced; /* on_output_ready was called since the last produce */
	bool has_settings;
	bool is_refusing;           /* no new local streams: GOAWAY was received or sent */
	bool is_draining;           /* the final GOAWAY is sent at the ack of the PING */
	bool has_sent_final_goaway; /* server: the final GOAWAY was sent */
	int32_t last_stream_id;     /* has_sent_final_goaway: the last processed or refused request */
	int32_t late_stream_id;     /* a later request, or a stream that is closed, to be reset; 0: none */
	uint32_t late_error;        /* with late_stream_id */
	bool out_is_full;
	enum err broken; /* ERR_PROTOCOL, ERR_LIMIT: no more input is read */
	struct why detail;
};

/* --- h2_stream.c --- */
struct h2_stream *h2_stream_add(struct h2_session *session, void *owner);
void h2_stream_remove(struct h2_session *session, struct h2_stream *stream);
struct h2_stream *h2_stream_find(const struct h2_session *session, int32_t stream_id);

/* --- h2_receive.c, h2_send.c: nghttp2's callbacks per direction --- */
void h2_receive_callbacks(nghttp2_session_callbacks *callbacks);
void h2_send_callbacks(nghttp2_session_callbacks *callbacks);
void h2_receive_answer_late(struct h2_session *session);
nghttp2_data_provider h2_send_body(struct h2_session *session);
/* Encodes queued frames, except DATA, into `pending`. */
void h2_send_control(struct h2_session *session);

/* --- h2_session.c --- */
/* Ends the connection: queues GOAWAY and stores the reason. The first reason stays. */
void h2_session_break(struct h2_session *session, enum err err, uint32_t error);
void h2_session_notify(struct h2_session *session); /* output is ready */
