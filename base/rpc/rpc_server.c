#include "base/rpc/rpc_server.h"
#include "base/core/check.h"
#include "base/core/mem.h"
#include "base/core/random.h"
#include "base/core/shares.h"
#include "base/rpc/rpc_server_call.h"

enum {
	MAX_CONNECTIONS = 12000,
	MAX_HANDSHAKES = 256,
	HANDSHAKE_TIMEOUT_MS = 5000,
	MAX_STREAMS = 100,
	SEND_QUEUE_MAX = 1024 * 1024,
	KEEPALIVE_MS = 20000,
	ANONYMOUS_LIFETIME_MS = 5000,
	NOTICE_MS = 1000,
};

struct rpc_peer {
	struct rpc_connection connection;
	struct rpc_server *server;
	struct list_link link;
	struct share handshake; /* released when the handshake is done */
	struct share anonymous; /* after the handshake, without a client certificate */
	struct addr from;
	uint64_t since_ms;
	struct loop_timer lifetime; /* of an anonymous connection */
	bool is_known;              /* on_connect was called */
	void *arg;
};

struct rpc_server {
	struct rpc_server_options options;
	struct list peers;
	struct shares *handshakes; /* handshakes: against floods of silent connections */
	struct shares *anonymous;  /* by source: evicted at the maximum of connections */
	unsigned num_peers;
	bool is_draining;
	struct loop_timer notice; /* during draining: until then streams in flight are accepted */
};

static struct rpc_peer *peer_of(struct rpc_connection *connection)
{
	return container_of(connection, struct rpc_peer, connection);
}

/* --- the lifecycle of a peer --- */

static void release_peer(struct rpc_peer *peer)
{
	struct rpc_server *server = peer->server;
	shares_give(&peer->handshake);
	shares_give(&peer->anonymous);
	if (peer->is_known && server->options.on_disconnect != NULL)
		server->options.on_disconnect(server->options.arg, peer);
	CHECK(server->num_peers > 0);
	list_remove(&peer->link);
	server->num_peers--;
	loop_timer_stop(&peer->lifetime);
	rpc_connection_done(&peer->connection);
	mem_free(peer);
}

static void on_lifetime_over(struct loop_timer *timer)
{
	struct rpc_peer *peer = container_of(timer, struct rpc_peer, lifetime);
	struct why why = {0};
	(void)why_set(&why, ERR_TIMEOUT, "a short anonymous connection", "attest, then reconnect with the SVID",
		"the anonymous connection was open for %u ms", peer->server->options.anonymous_lifetime_ms);
	rpc_connection_end(&peer->connection, &why);
}

/* Any TLS client can open one: its lifetime is short, and it is evicted first. */
static void make_anonymous(struct rpc_peer *peer)
{
	const struct rpc_server *server = peer->server;
	struct share_key keys[SHARE_SOURCE_KEYS_MAX];
	size_t num_keys = share_keys_of_source(&peer->from.ip, keys);
	CHECK(shares_take(server->anonymous, 0, keys, num_keys, 1, &peer->anonymous) == SHARE_LIMIT_NONE);
	loop_timer_start(
		server->options.loop, &peer->lifetime, server->options.anonymous_lifetime_ms, on_lifetime_over);
}

static void on_handshake(struct rpc_connection *connection)
{
	struct rpc_peer *peer = peer_of(connection);
	struct rpc_server *server = peer->server;
	CHECK(!peer->is_known && peer->handshake.shares == server->handshakes);
	peer->is_known = true;
	shares_give(&peer->handshake);
	if (rpc_peer_tls(peer) != NULL && rpc_peer_svid(peer) == NULL)
		make_anonymous(peer);
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
	if (call == NULL) /* else trailers of a client, which gRPC does not define */
		rpc_server_call_start(connection, options->methods, options->num_methods, options->arg, peer, stream_id,
			headers, num_headers);
}

static void on_dead(struct rpc_connection *connection, const struct why *why)
{
	struct rpc_peer *peer = peer_of(connection);
	const struct rpc_server_options *options = &peer->server->options;
	if (!peer->is_known && options->on_handshake_failed != NULL)
		options->on_handshake_failed(options->arg, &peer->from, why);
	release_peer(peer);
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
	CHECK(options->loop != NULL);
	for (size_t i = 0; i < options->num_methods; i++) {
		const struct rpc_method *method = &options->methods[i];
		CHECK(method->path[0] == '/' && method->on_start != NULL);
		CHECK(method->on_message != NULL && method->on_done != NULL);
	}
	struct rpc_server *server = mem_new(struct rpc_server);
	server->options = *options;
	set_default(&server->options.max_connections, MAX_CONNECTIONS);
	set_default(&server->options.max_handshakes, MAX_HANDSHAKES);
	set_default(&server->options.handshake_timeout_ms, HANDSHAKE_TIMEOUT_MS);
	set_default(&server->options.max_streams, MAX_STREAMS);
	set_default(&server->options.send_queue_max, SEND_QUEUE_MAX);
	set_default(&server->options.keepalive_ms, KEEPALIVE_MS);
	set_default(&server->options.anonymous_lifetime_ms, ANONYMOUS_LIFETIME_MS);
	server->handshakes = shares_new(&(struct shares_options){
		.capacity = server->options.max_handshakes, .num_classes = 1, .seed = random_u64()});
	server->anonymous = shares_new(&(struct shares_options){
		.capacity = server->options.max_connections, .num_classes = 1, .seed = random_u64()});
	return server;
}

static void end_calls(struct rpc_peer *peer)
{
	LIST_EACH(&peer->connection.calls, struct rpc_call, call, link) {
		call->is_over = true;
		rpc_server_call_on_closed(call, RPC_UNAVAILABLE);
	}
}

void rpc_server_free(struct rpc_server *server)
{
	if (server == NULL)
		return;
	LIST_EACH_REMOVABLE(&server->peers, struct rpc_peer, peer, link) {
		end_calls(peer);
		release_peer(peer);
	}
	CHECK(server->num_peers == 0);
	loop_timer_stop(&server->notice);
	shares_free(server->handshakes);
	shares_free(server->anonymous);
	mem_free(server);
}

static void report_limit(const struct rpc_server *server, enum rpc_limit limit, const struct addr *from)
{
	if (server->options.on_limit != NULL)
		server->options.on_limit(server->options.arg, limit, from);
}

/* A host that opens silent connections must not block others: the oldest handshake of the source with most is evicted
 * for a source with fewer (C10). */
static enum share_limit take_handshake(struct rpc_server *server, const struct addr *from, struct share *out)
{
	struct share_key keys[SHARE_SOURCE_KEYS_MAX];
	size_t num_keys = share_keys_of_source(&from->ip, keys);
	enum share_limit limit = shares_take(server->handshakes, 0, keys, num_keys, 1, out);
	if (limit == SHARE_LIMIT_NONE)
		return limit;
	struct share *heavy = shares_eviction_candidate(server->handshakes, 0, keys, num_keys, 1);
	struct rpc_peer *oldest = heavy == NULL ? NULL : container_of(heavy, struct rpc_peer, handshake);
	report_limit(server, RPC_LIMIT_HANDSHAKES, oldest != NULL ? &oldest->from : from);
	if (oldest == NULL)
		return limit;
	CHECK(oldest->server == server && !oldest->is_known);
	release_peer(oldest);
	return shares_take(server->handshakes, 0, keys, num_keys, 1, out);
}

/* The same for the maximum of connections: a client without an identity can complete handshakes and then stay silent.
 * Connections with an identity are never evicted for it. */
static enum err take_connection(struct rpc_server *server, const struct addr *from)
{
	struct share_key keys[SHARE_SOURCE_KEYS_MAX];
	size_t num_keys = share_keys_of_source(&from->ip, keys);
	if (server->num_peers < server->options.max_connections)
		return ERR_NONE;
	struct share *heavy = shares_eviction_candidate(server->anonymous, 0, keys, num_keys, 1);
	struct rpc_peer *oldest = heavy == NULL ? NULL : container_of(heavy, struct rpc_peer, anonymous);
	report_limit(server, RPC_LIMIT_CONNECTIONS, oldest != NULL ? &oldest->from : from);
	if (oldest == NULL)
		return ERR_LIMIT;
	CHECK(oldest->server == server && oldest->is_known);
	end_calls(oldest);
	release_peer(oldest);
	return ERR_NONE;
}

static enum err adopt(struct rpc_server *server, const struct addr *from, struct rpc_peer **out)
{
	if (server->is_draining)
		return ERR_UNAVAILABLE;
	RETURN_IF_ERR(take_connection(server, from));
	struct rpc_peer *peer = mem_new(struct rpc_peer);
	if (take_handshake(server, from, &peer->handshake) != SHARE_LIMIT_NONE) {
		mem_free(peer);
		return ERR_LIMIT;
	}
	peer->server = server;
	peer->from = *from;
	peer->since_ms = loop_now_ms(server->options.loop);
	list_push_front(&server->peers, &peer->link);
	server->num_peers++;
	*out = peer;
	return ERR_NONE;
}

bool rpc_server_makes_room(struct rpc_server *server, const struct addr *from)
{
	struct share handshake = {0};
	if (server->is_draining || take_connection(server, from) != ERR_NONE ||
		take_handshake(server, from, &handshake) != SHARE_LIMIT_NONE)
		return false;
	shares_give(&handshake);
	return true;
}

static struct rpc_peer *old_handshake(
	struct rpc_server *server, const struct share_key *keys, size_t num_keys, uint32_t older_than_ms)
{
	struct share *heavy = shares_eviction_candidate(server->handshakes, 0, keys, num_keys, 1);
	struct rpc_peer *oldest = heavy == NULL ? NULL : container_of(heavy, struct rpc_peer, handshake);
	if (oldest == NULL || loop_now_ms(server->options.loop) - oldest->since_ms < older_than_ms)
		return NULL;
	CHECK(oldest->server == server && !oldest->is_known);
	return oldest;
}

bool rpc_server_has_old_handshake(struct rpc_server *server, uint32_t older_than_ms)
{
	return old_handshake(server, NULL, 0, older_than_ms) != NULL;
}

bool rpc_server_end_handshake_for(struct rpc_server *server, const struct addr *from, uint32_t older_than_ms)
{
	struct share_key keys[SHARE_SOURCE_KEYS_MAX];
	size_t num_keys = share_keys_of_source(&from->ip, keys);
	struct rpc_peer *oldest = old_handshake(server, keys, num_keys, older_than_ms);
	if (oldest == NULL)
		return false;
	report_limit(server, RPC_LIMIT_HANDSHAKES, &oldest->from);
	release_peer(oldest);
	return true;
}

void rpc_server_adopt(struct rpc_server *server, struct transport *transport, const struct addr *from)
{
	const struct rpc_server_options *options = &server->options;
	CHECK(transport != NULL);
	const struct addr nowhere = {0};
	struct rpc_peer *peer = NULL;
	if (adopt(server, from != NULL ? from : &nowhere, &peer) != ERR_NONE) {
		transport_free(transport);
		return;
	}
	rpc_connection_init(&peer->connection, &(struct rpc_connection_options){
						       .role = &server_role,
						       .loop = options->loop,
						       .transport = transport,
						       .settings_timeout_ms = options->handshake_timeout_ms,
						       .keepalive_ms = options->keepalive_ms,
						       .max_streams = options->max_streams,
						       .send_queue_max = options->send_queue_max,
						       .has_secrets = options->has_secrets,
						       .always_pings = true,
					       });
}

/* A client that withholds the ack of the PING cannot start more calls. */
static void on_notice_over(struct loop_timer *timer)
{
	struct rpc_server *server = container_of(timer, struct rpc_server, notice);
	LIST_EACH(&server->peers, struct rpc_peer, peer, link)
		if (peer->connection.h2 != NULL)
			h2_session_shutdown_end(peer->connection.h2);
	loop_timer_start(server->options.loop, timer, NOTICE_MS, on_notice_over); /* for connections in the handshake */
}

void rpc_server_drain(struct rpc_server *server)
{
	server->is_draining = true;
	loop_timer_start(server->options.loop, &server->notice, NOTICE_MS, on_notice_over);
	LIST_EACH(&server->peers, struct rpc_peer, peer, link)
		if (peer->connection.h2 != NULL)
			h2_session_shutdown(peer->connection.h2);
}

unsigned rpc_server_num_peers(const struct rpc_server *server)
{
	return server->num_peers;
}

unsigned rpc_server_num_handshakes(const struct rpc_server *server)
{
	return (unsigned)shares_used(server->handshakes, 0);
}

/* --- peers, for methods --- */

struct svid *rpc_peer_svid(const struct rpc_peer *peer)
{
	return transport_svid(h2_link_transport(peer->connection.link));
}

struct tls_session *rpc_peer_tls(const struct rpc_peer *peer)
{
	return transport_tls(h2_link_transport(peer->connection.link));
}

const struct addr *rpc_peer_addr(const struct rpc_peer *peer)
{
	return &peer->from;
}

enum err rpc_peer_process(const struct rpc_peer *peer, struct peer_process *out)
{
	return socket_peer_process(transport_fd(h2_link_transport(peer->connection.link)), out);
}

int rpc_peer_fd(const struct rpc_peer *peer)
{
	return transport_fd(h2_link_transport(peer->connection.link));
}

void rpc_peer_identified(struct rpc_peer *peer)
{
	CHECK(peer->is_known);
	loop_timer_stop(&peer->lifetime);
	shares_give(&peer->anonymous);
}

void rpc_peer_close(struct rpc_peer *peer)
{
	struct why why = {0};
	(void)why_set(&why, ERR_CLOSED, "a peer that is not refused", "see the log line of the refusal",
		"this side closed the connection");
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
