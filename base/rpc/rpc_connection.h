/* One transport with HTTP/2 on it, on a loop: what client and server have in common. It reads, writes, watches over
 * silence, and carries calls (rpc_call_private.h); who may call what is its role's affair.
 *
 * Everything that ends it goes through one task, so no callback ever finds its connection gone beneath it. */
#pragma once

#include "base/core/list.h"
#include "base/core/loop.h"
#include "base/h2/h2_session.h"
#include "base/rpc/rpc.h"
#include "base/rpc/transport.h"

struct rpc_connection;

struct rpc_connection_role {
	enum h2_role h2_role;
	void (*on_handshake)(struct rpc_connection *connection); /* TLS is done */
	void (*on_settings)(struct rpc_connection *connection);  /* HTTP/2 is there */
	/* Headers of a stream; call: NULL for a request that is new. */
	void (*on_headers)(struct rpc_connection *connection, int32_t stream_id, struct rpc_call *call,
		const struct h2_header *headers, size_t num_headers, bool end_stream);
	void (*respond)(
		struct rpc_call *call); /* a server: response headers, before the first message; NULL: a client */
	void (*on_message)(struct rpc_call *call, struct span message);
	void (*on_bad_message)(struct rpc_call *call, enum rpc_status status, const char *message);
	void (*on_half_close)(struct rpc_call *call);
	void (*on_call_closed)(
		struct rpc_call *call, enum rpc_status status); /* the stream is gone; the call is freed after */
	void (*on_deadline)(struct rpc_call *call);
	/* The end, after every call's on_call_closed; the role may free what the connection is in. */
	void (*on_dead)(struct rpc_connection *connection, const struct why *why);
};

enum rpc_connection_state {
	RPC_CONNECTION_HANDSHAKE,
	RPC_CONNECTION_AWAITING_SETTINGS,
	RPC_CONNECTION_OPEN,
	RPC_CONNECTION_DEAD
};

struct rpc_connection { /* embedded; zeroed is valid to rpc_connection_done() */
	const struct rpc_connection_role *role;
	struct loop *loop;
	struct transport *transport;
	struct h2_session *h2;
	struct list calls;
	unsigned num_calls;
	struct buf out;
	struct loop_io io;
	struct loop_task step_task, end_task;
	struct loop_timer greeting, keepalive;
	uint32_t keepalive_ms, max_streams, send_queue_max;
	enum rpc_connection_state state;
	bool always_pings; /* not only after silence: a peer that dribbles cannot answer in time */
	bool ping_is_out, heard;
	bool is_blocked, is_stuck; /* the kernel takes no more; and has not since the last keepalive */
	bool has_more_to_read, has_finished_calls;
	struct why why;
};

struct rpc_connection_options {
	const struct rpc_connection_role *role;
	struct loop *loop;
	struct transport *transport;  /* adopted */
	uint32_t settings_timeout_ms; /* until the peer's SETTINGS: a silent or slow peer */
	uint32_t keepalive_ms;
	uint32_t max_streams;
	uint32_t send_queue_max;
	bool always_pings;
};
void rpc_connection_init(struct rpc_connection *connection, const struct rpc_connection_options *options);
void rpc_connection_done(struct rpc_connection *connection); /* at once; calls end without a word */
/* Ends it in a task: on_call_closed for each call, then on_dead. */
void rpc_connection_end(struct rpc_connection *connection, const struct why *why);
void rpc_connection_flush(struct rpc_connection *connection); /* something is to be sent, in a task */
