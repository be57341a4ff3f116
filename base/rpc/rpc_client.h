/* A gRPC client on one connection and one loop. The owner provides the transport, and reconnects. When the connection
 * ends, every call ends with RPC_UNAVAILABLE, then on_close reports the reason. */
#pragma once

#include "base/core/loop.h"
#include "base/rpc/rpc.h"
#include "base/rpc/transport.h"

struct rpc_client;

#define RPC_CLIENT_METADATA_MAX 2
struct rpc_client_metadata {      /* borrowed while the client lives */
	const char *name, *value; /* NULL: none */
};

struct rpc_client_options {
	struct loop *loop;
	struct transport *transport;                                  /* adopted; may be connecting or handshaking */
	const char *authority;                                        /* ":authority" */
	struct rpc_client_metadata metadata[RPC_CLIENT_METADATA_MAX]; /* of every call; see rpc_client_set_metadata() */
	uint32_t connect_timeout_ms;                                  /* until the peer's SETTINGS; 0: 5,000 */
	uint32_t patience_ms;                                         /* h2_link.h */
	uint32_t keepalive_ms; /* PING after that idle time; the connection ends without an answer in the same time; 0:
				  10,000 */
	uint32_t message_max;  /* 0: the default */
	uint32_t send_queue_max;                                /* 0: 1 MiB */
	void (*on_ready)(void *arg, struct rpc_client *client); /* handshake done and SETTINGS received */
	void (*on_close)(void *arg, struct rpc_client *client,
		const struct why *why); /* once, after the on_done of all calls; the client may be freed here */
	void *arg;
};

struct rpc_call_handlers {
	void (*on_message)(void *call_arg, struct rpc_call *call, struct span message);
	/* Trailers or failure. retry_after_ms: the server's push-back, 0 when none. The call is freed after this. */
	void (*on_done)(void *call_arg, struct rpc_call *call, enum rpc_status status, const char *message,
		uint32_t retry_after_ms);
};

struct rpc_client *rpc_client_new(const struct rpc_client_options *options);
void rpc_client_free(struct rpc_client *client); /* calls end without on_done */
/* For one that must know soon whether the server runs: a PING at once, and the connection ends (ERR_TIMEOUT) if nothing
 * arrives within that time. Without effect while a probe is under way. */
void rpc_client_probe(struct rpc_client *client, uint32_t within_ms);
/* Another first metadata of every call from now on, as of the options; HPACK does not keep it, since it may be a
 * secret. */
void rpc_client_set_metadata(struct rpc_client *client, const char *name, const char *value);
struct tls_session *rpc_client_tls(const struct rpc_client *client);

/* Streaming or unary (send one message, close_send, await one message and on_done). deadline_ms 0: none; it is sent as
 * grpc-timeout and enforced locally. */
enum err rpc_client_call(struct rpc_client *client, const char *path, uint32_t deadline_ms,
	const struct rpc_call_handlers *handlers, void *call_arg, struct rpc_call **out_call) _must_use_;
