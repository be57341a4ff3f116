/* A gRPC server on one loop: connections over TLS or plain descriptors, methods by path, unary and streaming (a unary
 * call is a stream with one message in each direction). Limits per connection: streams, message size, handshake time,
 * idle time. */
#pragma once

#include "base/core/loop.h"
#include "base/net/socket.h"
#include "base/rpc/rpc.h"
#include "base/rpc/transport.h"

struct rpc_server;
struct rpc_peer; /* one connection; lives at least as long as its calls */

struct rpc_method {
	const char *path; /* "/handfast.v1.Identity/Stream" */
	/* Exactly one request message: none, or a second one, ends the call with UNIMPLEMENTED (gRPC status codes:
	 * request cardinality violation). */
	bool is_unary;
	uint32_t message_max; /* bytes; 0: the default */
	uint32_t deadline_ms; /* the server's maximum per call; 0: none (streams) */
	/* Called before any message is parsed: RPC_OK, or the status of the refusal. NULL: always allowed. */
	enum rpc_status (*on_authorize)(void *arg, const struct rpc_peer *peer, const char **out_message);
	/* A call begins; calls rpc_call_set_arg(). */
	void (*on_start)(void *arg, struct rpc_call *call, struct rpc_peer *peer);
	void (*on_message)(void *call_arg, struct rpc_call *call, struct span message);
	void (*on_half_close)(void *call_arg, struct rpc_call *call); /* the client sends no more; may be NULL */
	void (*on_done)(void *call_arg, struct rpc_call *call); /* the call ended, for any reason; frees call_arg */
};

enum rpc_limit { RPC_LIMIT_CONNECTIONS, RPC_LIMIT_HANDSHAKES };

struct rpc_server_options {
	struct loop *loop;
	const struct rpc_method *methods; /* borrowed */
	size_t num_methods;
	void *arg;
	uint32_t max_connections; /* 0: 12,000 */
	uint32_t max_handshakes;  /* concurrent; 0: 256: handshake floods. At the limit, the oldest of a source with
				   * many is evicted for a source with few. */
	uint32_t handshake_timeout_ms; /* 0: 5,000 */
	uint32_t max_streams;          /* per connection; 0: 100 */
	uint32_t send_queue_max;       /* bytes per call; 0: 1 MiB: slow readers */
	bool has_secrets;              /* what is sent is overwritten in memory when the kernel has it */
	uint32_t keepalive_ms; /* PING after that idle time; closed without an answer in the same time; 0: 20,000 */
	uint32_t anonymous_lifetime_ms; /* lifetime of a TLS connection without client certificate, unless it is
					   identified (rpc_peer_identified()); 0: 5,000 */
	void (*on_connect)(void *arg, struct rpc_peer *peer);    /* handshake done; may be NULL */
	void (*on_disconnect)(void *arg, struct rpc_peer *peer); /* may be NULL */
	/* A connection ended before its TLS handshake did; may be NULL. `from` is borrowed. */
	void (*on_handshake_failed)(void *arg, const struct addr *from, const struct why *why);
	/* A limit was reached, and the connection of `from` is closed: the new one, or an evicted one. May be NULL. */
	void (*on_limit)(void *arg, enum rpc_limit limit, const struct addr *from);
};

struct rpc_server *rpc_server_new(const struct rpc_server_options *options);
void rpc_server_free(struct rpc_server *server); /* closes every connection */
/* Whether a connection from there would be adopted, so that what it costs is not spent in vain; an older one that has
 * to give way is closed. */
bool rpc_server_makes_room(struct rpc_server *server, const struct addr *from);
/* Whether a source with several handshakes has one that is that old. */
bool rpc_server_has_old_handshake(struct rpc_server *server, uint32_t older_than_ms);
/* Ends the oldest handshake of the source with most, if it is that old and `from` has fewer. False: there is none. */
bool rpc_server_end_handshake_for(struct rpc_server *server, const struct addr *from, uint32_t older_than_ms);
void rpc_server_adopt(
	struct rpc_server *server, struct transport *transport, const struct addr *from); /* a new connection */
void rpc_server_drain(struct rpc_server *server); /* GOAWAY to all; connections close when their calls end */
unsigned rpc_server_num_peers(const struct rpc_server *server);
unsigned rpc_server_num_handshakes(const struct rpc_server *server); /* now */

struct svid *rpc_peer_svid(const struct rpc_peer *peer);       /* NULL: no client certificate */
struct tls_session *rpc_peer_tls(const struct rpc_peer *peer); /* NULL: plain */
const struct addr *rpc_peer_addr(const struct rpc_peer *peer); /* TCP source */
enum err rpc_peer_process(
	const struct rpc_peer *peer, struct peer_process *out) _must_use_; /* Unix sockets: SO_PEERCRED */
int rpc_peer_fd(const struct rpc_peer *peer); /* borrowed, for the facts that a socket has of its peer */
/* A call has proven who it is: like one with a certificate, it stays, and does not give way. */
void rpc_peer_identified(struct rpc_peer *peer);
void rpc_peer_close(struct rpc_peer *peer);
void rpc_peer_set_arg(struct rpc_peer *peer, void *arg);
void *rpc_peer_arg(const struct rpc_peer *peer);
