#include "sidecar/worker/worker_direct.h"

#include "base/core/mem.h"
#include "base/net/socket.h"
#include "sidecar/route/original_dst.h"

struct worker_direct {
	struct worker_direct_options options;
	struct direct_server *server; /* NULL: no listener takes any */
	struct direct_client *client;
};

static void on_connection(void *arg, const struct direct_connection *connection)
{
	const struct worker_direct *direct = arg;
	const struct tunnel_observer *observer = direct->options.observer;
	if (observer->on_direct != NULL)
		observer->on_direct(observer->arg, connection->key_exchange);
	conn_start_inbound_direct(direct->options.env, connection->leg, connection->peer, connection->key_exchange,
		connection->local, connection->remote);
}

static void on_limit(void *arg, enum share_limit limit)
{
	const struct worker_direct *direct = arg;
	const struct tunnel_observer *observer = direct->options.observer;
	if (observer->on_limit != NULL)
		observer->on_limit(observer->arg, TUNNEL_RESOURCE_HANDSHAKES, limit);
}

static void on_failure(void *arg, const struct direct_failure *failure)
{
	const struct worker_direct *direct = arg;
	const struct tunnel_observer *observer = direct->options.observer;
	if (observer->on_direct_failure != NULL)
		observer->on_direct_failure(observer->arg, failure->detail->err);
	conn_report_failed_handshake(direct->options.env, failure);
}

static struct direct_server *server_make(struct worker_direct *direct)
{
	const struct worker_direct_options *options = &direct->options;
	if (options->server_context == NULL)
		return NULL;
	return direct_server_new(&(struct direct_server_options){
		.loop = options->loop,
		.context = options->server_context,
		.scratch = options->scratch,
		.verify_cache = options->verify_cache,
		.time = options->time,
		.handshake_timeout_ms = options->handshake_timeout_ms,
		.max_handshakes = options->max_handshakes,
		.on_connection = on_connection,
		.on_failure = on_failure,
		.on_limit = on_limit,
		.arg = direct,
	});
}

static struct direct_client *client_make(const struct worker_direct_options *options)
{
	return direct_client_new(&(struct direct_client_options){
		.loop = options->loop,
		.context = options->client_context,
		.scratch = options->scratch,
		.verify_cache = options->verify_cache,
		.time = options->time,
		.handshake_timeout_ms = options->handshake_timeout_ms,
	});
}

struct worker_direct *worker_direct_new(const struct worker_direct_options *options)
{
	struct worker_direct *direct = mem_new(struct worker_direct);
	direct->options = *options;
	direct->server = server_make(direct);
	direct->client = client_make(options);
	return direct;
}

void worker_direct_free(struct worker_direct *direct)
{
	direct_server_free(direct->server);
	direct_client_free(direct->client);
	mem_free(direct);
}

struct direct_client *worker_direct_client(const struct worker_direct *direct)
{
	return direct->client;
}

bool worker_direct_takes_any(const struct worker_direct *direct)
{
	return direct->server != NULL;
}

void worker_direct_set_credentials(struct worker_direct *direct, struct credentials *credentials)
{
	if (direct->server != NULL)
		direct_server_set_credentials(direct->server, credentials);
	direct_client_set_credentials(direct->client, credentials);
}

void worker_direct_accept(struct worker_direct *direct, int fd, const struct addr *peer)
{
	struct addr local = {.port = 0};
	(void)!socket_local_addr(fd, &local); /* fails only where it is closed; the handshake reports it */
	direct_server_adopt(direct->server, fd, &local, peer);
}

bool worker_direct_takes_redirected(struct worker_direct *direct, int fd, const struct addr *peer)
{
	struct original_dst dst;
	if (direct->server == NULL || original_dst_get(fd, peer, &dst) != ERR_NONE)
		return false;
	const struct inbound_listener *listener = listeners_inbound(direct->options.listeners, dst.addr.port);
	if (listener == NULL || !listener->takes_mtls)
		return false;
	direct_server_adopt(direct->server, fd, &dst.addr, peer);
	return true;
}
