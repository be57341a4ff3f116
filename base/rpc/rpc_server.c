#include "base/rpc/rpc_server.h"
#include "base/core/check.h"
#include "base/core/mem.h"
#include "base/rpc/rpc_server_call.h"

enum {
	MAX_CONNECTIONS = 12000,
	MAX_HANDSHAKES = 256,
	HANDSHAKE_TIMEOUT_MS = 5000,
	MAX_STREAMS = 100,
	SEND_QUEUE_MAX = 1024 * 1024,
	KEEPALIVE_MS = 20000,
	ANONYMOUS_LIFETIME_MS = 5000,
};

struct rpc_peer {
	struct rpc_connection connection;
	struct rpc_server *server;
	struct rpc_peer *next, **prev;
	struct rpc_peer *next_shaking, **prev_shaking; /* prev_shaking NULL: the handshake is done */
	struct addr from;
	struct loop_timer lifetime; /* of an anonymous one */
	bool is_known;              /* on_connect was called */
	void *arg;
};

struct rpc_server {
	struct rpc_server_options options;
	struct rpc_peer *peers;
	struct rpc_peer *shaking, **last_shaking; /* handshakes under way, oldest first */
	unsigned num_peers, num_handshakes;
	bool is_draining;
};

static struct rpc_peer *peer_of(struct rpc_connection *connection)
{
	return container_of(connection, struct rpc_peer, connection);
}

/* --- handshakes under way --- */

static void shaking_add(struct rpc_server *server, struct rpc_peer *peer)
{
	peer->prev_shaking = server->last_shaking;
	*server->last_shaking = peer;
	server->last_shaking = &peer->next_shaking;
	server->num_handshakes++;
}

static void shaking_remove(struct rpc_server *server, struct rpc_peer *peer)
{
	*peer->prev_shaking = peer->next_shaking;
	if (peer->next_shaking != NULL)
		peer->next_shaking->prev_shaking = peer->prev_shaking;
	else
		server->last_shaking = peer->prev_shaking;
	peer->next_shaking = NULL;
	peer->prev_shaking = NULL;
	server->num_handshakes--;
}

/* Who has an IPv6 network has 2^64 addresses. */
static bool is_same_source(const struct addr *a, const struct addr *b)
{
	size_t len = a->ip.family == AF_INET6 ? 8 : sizeof(a->ip.bytes);
	return a->ip.family == b->ip.family && memcmp(a->ip.bytes, b->ip.bytes, len) == 0;
}

static unsigned num_shaking_from(const struct rpc_server *server, const struct addr *source)
{
	unsigned num = 0;
	for (const struct rpc_peer *peer = server->shaking; peer != NULL; peer = peer->next_shaking)
		num += is_same_source(&peer->from, source);
	return num;
}

/* The oldest handshake of a source that has more of them than the newcomer's would: a single host that opens
 * connections and says nothing must not keep everybody else out (C10). NULL: nobody has too many. */
static struct rpc_peer *find_hog(const struct rpc_server *server, const struct addr *newcomer)
{
	unsigned fair = num_shaking_from(server, newcomer) + 1;
	for (struct rpc_peer *peer = server->shaking; peer != NULL; peer = peer->next_shaking)
		if (num_shaking_from(server, &peer->from) > fair)
			return peer;
	return NULL;
}

/* --- the life of a peer --- */

static void release_peer(struct rpc_peer *peer)
{
	struct rpc_server *server = peer->server;
	if (!peer->is_known)
		shaking_remove(server, peer);
	else if (server->options.on_disconnect != NULL)
		server->options.on_disconnect(server->options.arg, peer);
	*peer->prev = peer->next;
	if (peer->next != NULL)
		peer->next->prev = peer->prev;
	server->num_peers--;
	loop_timer_stop(&peer->lifetime);
	rpc_connection_done(&peer->connection);
	mem_free(peer);
}

static void on_lifetime_over(struct loop_timer *timer)
{
	struct rpc_peer *peer = container_of(timer, struct rpc_peer, lifetime);
	struct why why = {0};
	(void)why_set(&why, ERR_TIMEOUT, "an anonymous connection for a moment", "attest, then reconnect with the SVID",
		"%u ms", peer->server->options.anonymous_lifetime_ms);
	rpc_connection_end(&peer->connection, &why);
}

static void on_handshake(struct rpc_connection *connection)
{
	struct rpc_peer *peer = peer_of(connection);
	struct rpc_server *server = peer->server;
	peer->is_known = true;
	shaking_remove(server, peer);
	if (rpc_peer_tls(peer) != NULL && rpc_peer_svid(peer) == NULL)
		loop_timer_start(
			server->options.loop, &peer->lifetime, server->options.anonymous_lifetime_ms, on_lifetime_over);
	if (server->is_draining)
		h2_session_shutdown(connection->h2);
	if (server->options.on_connect != NULL)
		server->options.on_connect(server->options.arg, peer);
}

static void on_headers(struct rpc_connection *connection, int32_t stream_id, struct rpc_call *call,
	const struct h2_header *headers, size_t num_headers, bool end_stream)
{
	(void)end_stream;
	struct rpc_peer *peer = peer_of(connection);
	const struct rpc_server_options *options = &peer->server->options;
	if (call == NULL) /* else a client's trailers, which gRPC does not have */
		rpc_server_call_start(connection, options->methods, options->num_methods, options->arg, peer, stream_id,
			headers, num_headers);
}

static void on_dead(struct rpc_connection *connection, const struct why *why)
{
	(void)why;
	release_peer(peer_of(connection));
}

static const struct rpc_connection_role server_role = {
	.h2_role = H2_SERVER,
	.on_handshake = on_handshake,
	.on_headers = on_headers,
	.respond = rpc_server_call_respond,
	.on_message = rpc_server_call_on_message,
	.on_bad_message = rpc_server_call_on_bad_message,
	.on_half_close = rpc_server_call_on_half_close,
	.on_call_closed = rpc_server_call_on_closed,
	.on_deadline = rpc_server_call_on_deadline,
	.on_dead = on_dead,
};

/* --- the server --- */

static void set_default(uint32_t *value, uint32_t fallback)
{
	if (*value == 0)
		*value = fallback;
}

struct rpc_server *rpc_server_new(const struct rpc_server_options *options)
{
	struct rpc_server *server = mem_new(struct rpc_server);
	server->options = *options;
	server->last_shaking = &server->shaking;
	set_default(&server->options.max_connections, MAX_CONNECTIONS);
	set_default(&server->options.max_handshakes, MAX_HANDSHAKES);
	set_default(&server->options.handshake_timeout_ms, HANDSHAKE_TIMEOUT_MS);
	set_default(&server->options.max_streams, MAX_STREAMS);
	set_default(&server->options.send_queue_max, SEND_QUEUE_MAX);
	set_default(&server->options.keepalive_ms, KEEPALIVE_MS);
	set_default(&server->options.anonymous_lifetime_ms, ANONYMOUS_LIFETIME_MS);
	return server;
}

static void end_calls(struct rpc_peer *peer)
{
	for (struct rpc_call *call = peer->connection.calls; call != NULL; call = call->next) {
		call->is_over = true;
		rpc_server_call_on_closed(call, RPC_UNAVAILABLE);
	}
}

void rpc_server_free(struct rpc_server *server)
{
	if (server == NULL)
		return;
	while (server->peers != NULL) {
		end_calls(server->peers);
		release_peer(server->peers);
	}
	mem_free(server);
}

static void report_limit(const struct rpc_server *server, enum rpc_limit limit, const struct addr *from)
{
	if (server->options.on_limit != NULL)
		server->options.on_limit(server->options.arg, limit, from);
}

/* False: there is none. */
static bool make_room(struct rpc_server *server, const struct addr *from)
{
	const struct rpc_server_options *options = &server->options;
	if (server->is_draining)
		return false;
	if (server->num_peers >= options->max_connections) {
		report_limit(server, RPC_LIMIT_CONNECTIONS, from);
		return false;
	}
	if (server->num_handshakes < options->max_handshakes)
		return true;
	struct rpc_peer *hog = find_hog(server, from);
	report_limit(server, RPC_LIMIT_HANDSHAKES, hog != NULL ? &hog->from : from);
	if (hog != NULL)
		release_peer(hog);
	return hog != NULL;
}

void rpc_server_adopt(struct rpc_server *server, struct transport *transport, const struct addr *from)
{
	const struct rpc_server_options *options = &server->options;
	const struct addr nowhere = {0};
	if (!make_room(server, from != NULL ? from : &nowhere)) {
		transport_free(transport);
		return;
	}
	struct rpc_peer *peer = mem_new(struct rpc_peer);
	peer->server = server;
	peer->from = from != NULL ? *from : nowhere;
	peer->prev = &server->peers;
	peer->next = server->peers;
	if (peer->next != NULL)
		peer->next->prev = &peer->next;
	server->peers = peer;
	server->num_peers++;
	shaking_add(server, peer);
	rpc_connection_init(&peer->connection, &(struct rpc_connection_options){
						       .role = &server_role,
						       .loop = options->loop,
						       .transport = transport,
						       .greeting_ms = options->handshake_timeout_ms,
						       .keepalive_ms = options->keepalive_ms,
						       .max_streams = options->max_streams,
						       .send_queue_max = options->send_queue_max,
						       .always_pings = true,
					       });
}

void rpc_server_drain(struct rpc_server *server)
{
	server->is_draining = true;
	for (struct rpc_peer *peer = server->peers; peer != NULL; peer = peer->next)
		if (peer->connection.h2 != NULL)
			h2_session_shutdown(peer->connection.h2);
}

unsigned rpc_server_num_peers(const struct rpc_server *server)
{
	return server->num_peers;
}

/* --- a peer, as methods see it --- */

struct svid *rpc_peer_svid(const struct rpc_peer *peer)
{
	return transport_svid(peer->connection.transport);
}

struct tls_session *rpc_peer_tls(const struct rpc_peer *peer)
{
	return transport_tls(peer->connection.transport);
}

const struct addr *rpc_peer_addr(const struct rpc_peer *peer)
{
	return &peer->from;
}

enum err rpc_peer_process(const struct rpc_peer *peer, struct peer_process *out)
{
	return socket_peer_process(transport_fd(peer->connection.transport), out);
}

void rpc_peer_close(struct rpc_peer *peer)
{
	struct why why = {0};
	(void)why_set(&why, ERR_CLOSED, "a peer that stays welcome", "its log line says why", "closed by us");
	rpc_connection_end(&peer->connection, &why);
}

void rpc_peer_set_arg(struct rpc_peer *peer, void *arg)
{
	peer->arg = arg;
}

void *rpc_peer_arg(const struct rpc_peer *peer)
{
	return peer->arg;
}
