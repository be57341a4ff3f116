/* gRPC over HTTP/2, common to client and server: status codes, calls, limits. Specification: gRPC over HTTP2
 * (PROTOCOL-HTTP2). Compression is not supported: grpc-encoding is Unimplemented, a compressed message without it
 * Internal. */
#pragma once

#include "base/core/buf.h"
#include "base/core/err.h"

enum rpc_status {
	RPC_OK = 0,
	RPC_CANCELLED,
	RPC_UNKNOWN,
	RPC_INVALID_ARGUMENT,
	RPC_DEADLINE_EXCEEDED,
	RPC_NOT_FOUND,
	RPC_ALREADY_EXISTS,
	RPC_PERMISSION_DENIED,
	RPC_RESOURCE_EXHAUSTED,
	RPC_FAILED_PRECONDITION,
	RPC_ABORTED,
	RPC_OUT_OF_RANGE,
	RPC_UNIMPLEMENTED,
	RPC_INTERNAL,
	RPC_UNAVAILABLE,
	RPC_DATA_LOSS,
	RPC_UNAUTHENTICATED,
};
const char *rpc_status_name(enum rpc_status status);
/* Why a call ended: "OTHERWISE.GOT: STATUS: MESSAGE". A message of three clauses, as why_format() writes them, gives
 * its own `expected` and `fix`; else those of `otherwise` hold. Returns otherwise->err. `message` may be NULL. */
enum err rpc_status_why(enum rpc_status status, const char *message, const struct why *otherwise, struct why *out);

#define RPC_MESSAGE_MAX_DEFAULT (4u * 1024 * 1024)

/* A call, on the client or the server. */
struct rpc_call;

/* Sends one message (copied into the call's send queue). ERR_LIMIT: the peer does not read and the queue
 * (send_queue_max of the connection's options) is full: skip to the latest state or end the call. ERR_CLOSED: the call
 * is over. */
enum err rpc_call_send(struct rpc_call *call, struct span message) _must_use_;
/* Client: half-closes; no more messages are sent. */
void rpc_call_close_send(struct rpc_call *call);
/* Server: ends the call. `message` (ASCII-escaped here) may be NULL. retry_after_ms 0: none, else sent as
 * grpc-retry-pushback-ms. */
void rpc_call_finish(struct rpc_call *call, enum rpc_status status, const char *message, uint32_t retry_after_ms);
/* Either end: cancels the call at once (RST_STREAM CANCEL), without on_done. */
void rpc_call_cancel(struct rpc_call *call);
void rpc_call_set_arg(struct rpc_call *call, void *arg); /* the call_arg of the callbacks */
/* Request metadata on the server, initial metadata on the client; {NULL,0} when absent. */
struct span rpc_call_metadata(const struct rpc_call *call, const char *name);
