/* What the files of this folder share about one session: never included outside it. */
#pragma once

#include "base/core/list.h"
#include "base/h2/h2_headers.h"
#include "base/h2/h2_session.h"

struct h2_stream { /* nghttp2's stream user data: exists from our open, or the peer's HEADERS, until on_close */
	struct list_link link;
	void *owner;                /* h2_stream_attach() */
	struct h2_header *trailers; /* with their bytes behind them, one allocation; NULL: none */
	uint32_t num_trailers;
	uint32_t first_window; /* is_unsent: to be granted behind the HEADERS; 0: none */
	int32_t id;
	bool is_unsent : 1;    /* a request whose HEADERS are still queued */
	bool is_ready : 1;     /* the owner said that pull has something */
	bool is_deferred : 1;  /* nghttp2 waits for resume */
	bool is_too_large : 1; /* the header list that is being received */
	bool is_answered : 1;  /* server: response headers were submitted */
	bool is_reset : 1;     /* a reset that we decided, or one that was counted already */
	bool ended_local : 1;
	bool ended_remote : 1;
};

enum h2_activity { H2_AT_REST, H2_FEEDING, H2_PRODUCING };

/* What the PING behind the notice of a shutdown carries; all others carry zeros. */
static const uint8_t H2_SHUTDOWN_PING[8] = {'s', 'h', 'u', 't', 'd', 'o', 'w', 'n'};

struct h2_session {
	struct nghttp2_session *nghttp2;
	struct h2_callbacks callbacks;
	void *arg;
	struct h2_limits limits;
	struct h2_limits_count count;
	struct h2_headers headers; /* the list that is being received */
	struct list streams;
	unsigned num_streams;
	unsigned num_ready; /* streams that have said so: do others wait behind a bulk frame? */

	/* Frames that feed caused, encoded at once so that a broken connection or a flood shows in feed, not later. */
	struct buf pending;
	struct buf *out; /* during produce, and during feed (&pending) */
	uint8_t *frame;  /* room reserved in *out for the DATA frame under way */

	enum h2_role role;
	enum h2_activity activity;
	bool was_wanted; /* on_output_ready was called and produce was not, yet */
	bool has_settings;
	bool is_refusing;           /* no new streams of ours: GOAWAY came, or we said it */
	bool is_draining;           /* the final GOAWAY goes out at the ack of our PING */
	bool has_sent_final_goaway; /* server: the final GOAWAY has left */
	int32_t last_stream_id;     /* has_sent_final_goaway: of the requests that were looked at or refused */
	int32_t late_stream_id;     /* a request after that, to be refused; 0: none */
	bool out_is_full;
	enum err broken; /* ERR_PROTOCOL, ERR_LIMIT: no more input is read */
	struct why why;
};

/* --- h2_stream.c --- */
struct h2_stream *h2_stream_add(struct h2_session *session, void *owner);
void h2_stream_remove(struct h2_session *session, struct h2_stream *stream);
struct h2_stream *h2_stream_find(const struct h2_session *session, int32_t stream_id);
void h2_stream_set_ready(struct h2_session *session, struct h2_stream *stream, bool is_ready);

/* --- h2_receive.c, h2_send.c: nghttp2's callbacks in each direction --- */
void h2_receive_callbacks(nghttp2_session_callbacks *callbacks);
void h2_send_callbacks(nghttp2_session_callbacks *callbacks);
void h2_receive_answer_late(struct h2_session *session);
nghttp2_data_provider h2_send_body(struct h2_session *session);
/* Encodes what is queued, DATA excepted, into `pending`. */
void h2_send_control(struct h2_session *session);

/* --- h2_session.c --- */
/* The connection is over: queues GOAWAY and remembers why. The first reason stays. */
void h2_session_break(struct h2_session *session, enum err err, uint32_t error);
void h2_session_notify(struct h2_session *session); /* something is to be sent */
