/* The call struct of client and server. Private to base/rpc. A call lives as long as its HTTP/2 stream; its callbacks
 * can end earlier (is_silent). */
#pragma once

#include "base/core/list.h"
#include "base/rpc/rpc_connection.h"
#include "base/rpc/rpc_frame.h"

struct rpc_metadata {
	struct h2_header *items; /* followed by their bytes, one allocation */
	size_t num_items;
};

struct rpc_call {
	struct list_link link; /* in its connection */
	struct rpc_connection *connection;
	void *arg;
	union {
		const struct rpc_method *method;          /* server */
		const struct rpc_call_handlers *handlers; /* client; borrowed, as methods are */
	};
	struct rpc_frame_reader reader;
	struct buf send_queue;
	struct rpc_metadata metadata;
	struct loop_timer deadline;
	int32_t stream_id;
	bool is_silent;    /* no more callbacks to its owner */
	bool has_message;  /* at least one was received */
	bool is_over;      /* no more messages in either direction: finished, canceled or failed */
	bool has_response; /* response headers were sent (server) or received (client) */
	bool send_closed;
	bool sent_all; /* pull returned the last byte */
	bool ended_remote;
	bool awaits_reset;           /* server: finished while the client still sends */
	enum rpc_status http_status; /* client: the status of a response without grpc-status */
};

struct rpc_call *rpc_call_new(struct rpc_connection *connection, uint32_t message_max);
void rpc_call_free(struct rpc_call *call);
void rpc_call_set_metadata(struct rpc_call *call, const struct h2_header *headers, size_t num_headers);
void rpc_call_start_deadline(struct rpc_call *call, uint32_t ms);

/* --- of the stream, for rpc_connection.c --- */
void rpc_call_feed(struct rpc_call *call, struct span bytes);
void rpc_call_feed_end(struct rpc_call *call);
enum io_result rpc_call_pull(struct rpc_call *call, uint8_t *to, size_t cap, size_t *out_len);
