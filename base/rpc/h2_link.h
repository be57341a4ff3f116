/* One HTTP/2 connection over a transport, on a loop: handshake, reads, writes, keepalive by PING. What streams mean is
 * up to the owner, whose callbacks are those of h2_session.h. Client or server.
 *
 * The connection always ends in a task, so it is never freed within a callback of its own. */
#pragma once

#include "base/core/loop.h"
#include "base/h2/h2_session.h"
#include "base/rpc/transport.h"

struct h2_link;

struct h2_link_events {
	void (*on_handshake)(void *arg); /* TLS is up: h2_link_session() is there. May be NULL */
	void (*on_open)(void *arg);      /* the peer's SETTINGS arrived: streams can be opened */
	void (*on_goaway)(void *arg);    /* no new streams; those that are open go on. May be NULL, and come twice */
	/* The end, of which streams are not notified: the owner ends its streams, and may free the link. */
	void (*on_dead)(void *arg, const struct why *why);
	void (*on_headers)(void *arg, int32_t stream_id, void *stream, const struct h2_header *headers,
		size_t num_headers, bool end_stream);
	void (*on_data)(void *arg, int32_t stream_id, void *stream, struct span bytes);
	void (*on_end)(void *arg, int32_t stream_id, void *stream);
	void (*on_close)(void *arg, int32_t stream_id, void *stream, uint32_t error);
	h2_pull_fn *pull;
	/* All that was ready has become frames, which may still wait to be written: more may be made. May be NULL */
	void (*on_produced)(void *arg);
};

struct h2_link_options {
	struct loop *loop;
	struct transport *transport; /* adopted; may be handshaking */
	enum h2_role role;
	struct h2_limits limits;
	uint32_t open_timeout_ms; /* for the handshake and the peer's SETTINGS: against silent peers */
	/* What the server sends before its handshake is done shows that it runs, and that this client has to wait for
	 * its turn (decision 079): then it has this time again, but no more than h2_link.c's longest wait. 0: it does
	 * not wait.
	 */
	uint32_t patience_ms;
	uint32_t keepalive_ms; /* a PING after so long without input; no answer in the same time ends it */
	bool has_secrets;      /* the output is overwritten in memory when the transport has it */
	bool always_pings;     /* also while input comes: a slow-drip peer cannot answer in time */
	const struct h2_link_events *events;
	void *arg;
};

struct h2_link *h2_link_new(const struct h2_link_options *options);
void h2_link_free(struct h2_link *link); /* at once, without callbacks */
bool h2_link_is_open(const struct h2_link *link);
bool h2_link_is_dead(const struct h2_link *link); /* it has ended; on_dead follows, or is called now */
struct transport *h2_link_transport(const struct h2_link *link);
struct h2_session *h2_link_session(struct h2_link *link); /* NULL before the handshake */
/* A PING now: the connection ends if nothing arrives within that time. No effect before it is open. */
void h2_link_probe(struct h2_link *link, uint32_t within_ms);
void h2_link_flush(struct h2_link *link);                      /* sends pending output in a task */
void h2_link_end(struct h2_link *link, const struct why *why); /* in a task: on_dead */
