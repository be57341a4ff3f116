/* A call on the server, from its headers to its trailers. Private to base/rpc. */
#pragma once

#include "base/rpc/rpc_call_private.h"
#include "base/rpc/rpc_server.h"

/* Validates a new request and starts its method, or refuses it. `arg`, `peer`: for the method's callbacks. */
void rpc_server_call_start(struct rpc_connection *connection, const struct rpc_method *methods, size_t num_methods,
	void *arg, struct rpc_peer *peer, int32_t stream_id, const struct h2_header *headers, size_t num_headers);
void rpc_server_call_respond(struct rpc_call *call);
void rpc_server_call_on_message(struct rpc_call *call, struct span message);
void rpc_server_call_on_bad_message(struct rpc_call *call, enum rpc_status status, const char *message);
void rpc_server_call_on_half_close(struct rpc_call *call);
void rpc_server_call_on_closed(struct rpc_call *call, enum rpc_status status);
void rpc_server_call_on_deadline(struct rpc_call *call);
