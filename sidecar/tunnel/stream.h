/* A stream of a tunnel as a leg. Inside this folder only. It lives while HTTP/2 knows it or it has an owner. */
#pragma once

#include "base/core/list.h"
#include "base/h2/h2_session.h"
#include "sidecar/leg/leg_ops.h"
#include "sidecar/tunnel/window.h"

/* RFC 9113 7, those that tunnels use */
enum { H2_NO_ERROR = 0, H2_PROTOCOL_ERROR = 1, H2_REFUSED_STREAM = 7, H2_CANCEL = 8, H2_ENHANCE_YOUR_CALM = 11 };

struct tunnel;

struct stream {
	struct leg leg;
	struct tunnel *tunnel;        /* NULL: HTTP/2 is done with it */
	struct list_link link;        /* in its tunnel */
	struct stream *next_answered; /* a refused one, on its way out */
	int32_t id;
	bool is_closed;             /* HTTP/2 has closed it */
	bool is_held;               /* a leg, or something that will be one */
	bool end_received;          /* END_STREAM; `buffered` may still hold bytes */
	bool is_refused;            /* answered with something else than 200: what it sends is dropped */
	bool is_unwanted;           /* the peer has ended and asks for no more of ours */
	bool is_at_rest;            /* nothing was sent for REST_MS: what only sending needs was freed */
	uint32_t unwanted_since_ms; /* as all times here the low bits: only short intervals are distinguished */
	void *unanswered; /* until the answer to CONNECT: the attempt of the pool, the inbound stream of the server */
	struct window window;
	uint32_t unread_since_ms;           /* while `buffered` holds bytes */
	struct flow_control_memory *budget; /* that window is charged to */
	uint32_t moved;                     /* since moved_since_ms: is it bulk? */
	uint32_t moved_since_ms;
};

struct stream *stream_new(struct tunnel *tunnel); /* held by the caller; id to be set */
void stream_release(struct stream *stream);       /* no longer held: canceled unless it has ended */
void stream_discard(struct stream *stream);       /* HTTP/2 never knew it */
void stream_reset(struct stream *stream, uint32_t error);
void stream_cut(struct stream *stream, const struct why *why); /* its tunnel is lost */
void stream_limit(struct stream *stream);                      /* reset because of the memory limit */

/* HTTP/2's side */
enum io_result stream_pull_body(void *arg, void *stream, uint8_t *to, size_t cap, size_t *out_len);
void stream_on_data(struct stream *stream, struct span bytes);
void stream_on_end(struct stream *stream);
void stream_on_close(struct stream *stream, uint32_t error);
