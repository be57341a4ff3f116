/* One HTTP/2 connection over a transport, on a loop, common to client and server: reads, writes, keepalive, calls
 * (rpc_call_private.h). Authorization is up to the role.
 *
 * The connection always ends in a task, so it is never freed within a callback. */
#pragma once

#include "base/core/list.h"
#include "base/core/loop.h"
#include "base/rpc/h2_link.h"
#include "base/rpc/rpc.h"
#include "base/rpc/transport.h"

struct rpc_connection;

struct rpc_connection_role {
	enum h2_role h2_role;
	void (*on_handshake)(struct rpc_connection *connection); /* the TLS handshake is done */
	void (*on_settings)(struct rpc_connection *connection);  /* the peer's SETTINGS arrived */
	/* Headers of a stream; call: NULL for a new request. */
	void (*on_headers)(struct rpc_connection *connection, int32_t stream_id, struct rpc_call *call,
		const struct h2_header *headers, size_t num_headers, bool end_stream);
	void (*respond)(
		struct rpc_call *call); /* server: sends response headers before the first message; NULL: client */
	void (*on_message)(struct rpc_call *call, struct span message);
	void (*on_bad_message)(struct rpc_call *call, enum rpc_status status, const char *message);
	void (*on_half_close)(struct rpc_call *call);
	void (*on_call_closed)(
		struct rpc_call *call, enum rpc_status status); /* the stream is closed; the call is freed after this */
	void (*on_deadline)(struct rpc_call *call);
	/* The end, after the on_call_closed of all calls; the role may free the connection's struct. */
	void (*on_dead)(struct rpc_connection *connection, const struct why *why);
};

struct rpc_connection { /* embedded; zeroed is valid to rpc_connection_done() */
	const struct rpc_connection_role *role;
	struct loop *loop;
	struct h2_link *link;
	struct h2_session *h2; /* of the link; NULL before the handshake */
	struct list calls;
	unsigned num_calls;
	uint32_t send_queue_max;
	bool has_secrets;
	bool has_finished_calls;
};

struct rpc_connection_options {
	const struct rpc_connection_role *role;
	struct loop *loop;
	struct transport *transport;  /* adopted */
	uint32_t settings_timeout_ms; /* until the peer's SETTINGS: against silent or slow peers */
	uint32_t patience_ms;         /* h2_link.h */
	uint32_t keepalive_ms;
	uint32_t max_streams;
	uint32_t send_queue_max;
	bool has_secrets; /* what is sent is overwritten in memory when the kernel has it */
	bool always_pings;
};
void rpc_connection_init(struct rpc_connection *connection, const struct rpc_connection_options *options);
void rpc_connection_done(struct rpc_connection *connection); /* at once; calls end without callbacks */
/* Ends it in a task: on_call_closed for each call, then on_dead. */
void rpc_connection_end(struct rpc_connection *connection, const struct why *why);
/* A PING now: the connection ends if nothing arrives within that time. */
void rpc_connection_probe(struct rpc_connection *connection, uint32_t within_ms);
void rpc_connection_flush(struct rpc_connection *connection); /* sends pending output in a task */
