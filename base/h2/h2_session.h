/* One HTTP/2 connection (RFC 9113), client or server, as a state machine without I/O and clock: bytes in, bytes out.
 * The only folder that calls nghttp2. Users: tunnels (many CONNECT streams, bulk), and base/rpc/h2_link.h for gRPC and
 * Kubernetes.
 *
 * Sent data is pulled: when the peer's windows allow, h2_session_produce() calls `pull` for each ready stream, which
 * writes into the output. Received data is pushed to on_data; the bytes are borrowed during the call. Credit for
 * received bytes is returned in two parts: the connection's when on_data returns, the stream's by h2_stream_consumed(),
 * so that one slow reader never stalls other streams.
 *
 * No callback may free the session; a callback may call any function on it but feed and produce. */
#pragma once

#include "base/core/buf.h"
#include "base/core/err.h"
#include "base/h2/h2_limits.h"

struct h2_session;

struct h2_header { /* spans are borrowed during the call */
	struct span name, value;
	bool is_unique; /* sent: the value is not repeated, so it is not added to the HPACK table */
};

/* A copy followed by its bytes, in one allocation; release with mem_free(). Never NULL. */
struct h2_header *h2_headers_copy(const struct h2_header *headers, size_t num_headers);
/* The value of the first field of this name (lower case, RFC 9113 8.2.1); ptr NULL: there is none. */
struct span h2_headers_find(const struct h2_header *headers, size_t num_headers, const char *name);

enum h2_role { H2_CLIENT, H2_SERVER };

/* Provides the bytes of a stream: writes at most `cap` bytes to `to`.
 * IO_DONE: *out_len > 0 bytes written, more may follow; IO_EOF: *out_len >= 0 bytes written, the last ones
 * (END_STREAM); IO_WANT_READ: nothing now, h2_stream_ready() follows. */
typedef enum io_result h2_pull_fn(void *arg, void *stream, uint8_t *to, size_t cap, size_t *out_len);

struct h2_callbacks {
	/* Headers of a request (server), a response (client), or trailers. `stream`: set by h2_stream_attach(), NULL
	 * before. */
	void (*on_headers)(void *arg, int32_t stream_id, void *stream, const struct h2_header *headers,
		size_t num_headers, bool end_stream);
	void (*on_data)(void *arg, int32_t stream_id, void *stream, struct span bytes);
	/* The peer's END_STREAM, after its last byte; also where it came with headers (after on_headers). */
	void (*on_end)(void *arg, int32_t stream_id, void *stream);
	void (*on_close)(void *arg, int32_t stream_id, void *stream,
		uint32_t error); /* last callback of a stream; 0: both directions ended, or the peer ended its own and
				  * stopped the other (RFC 9113 8.1) */
	h2_pull_fn *pull;
	void (*on_settings)(void *arg); /* the peer's first SETTINGS arrived */
	void (*on_goaway)(
		void *arg, int32_t last_stream_id, uint32_t error); /* may come twice (graceful, then final) */
	void (*on_ping_ack)(void *arg);
	/* Output is ready: the owner schedules produce. Called at most once until the next produce. Not called in feed:
	 * the owner calls h2_session_has_output() after it. */
	void (*on_output_ready)(void *arg);
};

struct h2_session_options {
	enum h2_role role;
	struct h2_limits limits;
	struct h2_callbacks callbacks;
	void *arg;
};

enum err h2_session_new(const struct h2_session_options *options, struct h2_session **out) _must_use_;
void h2_session_free(struct h2_session *session); /* without on_close for open streams */
DEFINE_CLEANUP(struct h2_session *, h2_session_free)

/* Processes bytes from the peer. ERR_PROTOCOL: a protocol error, GOAWAY is queued: produce, then close. ERR_LIMIT: an
 * abuse limit, GOAWAY(ENHANCE_YOUR_CALM) is queued. *why explains it. */
enum err h2_session_feed(struct h2_session *session, struct span bytes, struct why *why) _must_use_;
/* Appends frames to *out until it is full (its maximum) or nothing is left. IO_DONE: nothing left; IO_WANT_WRITE: *out
 * is full, call again when it has room. */
enum io_result h2_session_produce(struct h2_session *session, struct buf *out) _must_use_;
bool h2_session_has_output(const struct h2_session *session);

/* --- streams --- */
/* Client: a new request; its body (if not end_stream) is pulled once h2_stream_ready() is called. ERR_LIMIT: the peer's
 * MAX_CONCURRENT_STREAMS is reached; ERR_CLOSED: after GOAWAY or out of ids. */
enum err h2_stream_open(struct h2_session *session, const struct h2_header *headers, size_t num_headers,
	bool end_stream, void *stream, int32_t *out_stream_id) _must_use_;
void h2_stream_attach(struct h2_session *session, int32_t stream_id, void *stream);
/* Server: the response; its body is pulled like a request's. */
enum err h2_stream_respond(struct h2_session *session, int32_t stream_id, const struct h2_header *headers,
	size_t num_headers, bool end_stream) _must_use_;
/* Sets the trailers, to be sent after pull returned IO_EOF; must be called before that. Copies them. */
enum err h2_stream_trailers(
	struct h2_session *session, int32_t stream_id, const struct h2_header *headers, size_t num_headers) _must_use_;
void h2_stream_ready(struct h2_session *session, int32_t stream_id); /* pull may be called now */
/* Nothing is to be sent for long: frees what only sending needs. Sends nothing, but needs a produce. */
void h2_stream_rest(struct h2_session *session, int32_t stream_id);
void h2_stream_consumed(struct h2_session *session, int32_t stream_id, size_t len);
void h2_stream_reset(struct h2_session *session, int32_t stream_id, uint32_t error);
void h2_stream_set_window(struct h2_session *session, int32_t stream_id,
	uint32_t bytes); /* receive window, only increases; for a new request sent with its HEADERS */
/* Decreases the window. The owner must not report the same number of consumed bytes (h2_stream_consumed() with 0 if all
 * are among them): they are not granted again. */
void h2_stream_shrink_window(struct h2_session *session, int32_t stream_id, uint32_t bytes);
uint32_t h2_stream_window(const struct h2_session *session, int32_t stream_id);

/* --- connection --- */
void h2_session_set_window(struct h2_session *session, uint32_t bytes);
uint32_t h2_session_streams_left(
	const struct h2_session *session); /* how many more can be opened now; 0 after GOAWAY */
unsigned h2_session_num_streams(const struct h2_session *session);
bool h2_session_has_settings(const struct h2_session *session); /* the peer's SETTINGS arrived */
void h2_session_shutdown(struct h2_session *session); /* sends a GOAWAY notice that still allows streams in flight, and
							 the final one at the ack of a PING */
/* Server: sends the final GOAWAY of a shutdown now, if the peer withholds the ack. No effect without a shutdown. */
void h2_session_shutdown_end(struct h2_session *session);
void h2_session_goaway(struct h2_session *session, uint32_t error); /* final */
bool h2_session_is_done(const struct h2_session *session);          /* nothing is left to send or receive */
void h2_session_ping(struct h2_session *session);
const char *h2_library_version(void);
const char *h2_error_name(uint32_t error); /* "CANCEL", for logs */
