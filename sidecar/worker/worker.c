#include "sidecar/worker/worker.h"

#include "base/core/check.h"
#include "base/core/mem.h"
#include "base/core/random.h"
#include "base/net/fd.h"
#include "sidecar/conn/conn_sweep.h"
#include "sidecar/worker/worker_direct.h"
#include "sidecar/worker/worker_listeners.h"
#include "sidecar/worker/worker_message.h"
#include <pthread.h>

struct worker {
	struct worker_options options;
	struct loop *loop;
	struct worker_listeners listeners;
	struct worker_snapshot snapshot;
	struct conn_env env;
	struct tls_scratch *scratch;
	struct verify_cache *verify_cache;
	struct tunnel_pool *pool;
	struct tunnel_server *server;
	struct worker_direct *direct;
	struct conn_sweep *sweep;
	struct worker *const *siblings;
	unsigned num_siblings, next_sibling;
	pthread_t thread;
	bool is_running;
};

static void subscribe(void *arg, const struct addr *destination)
{
	struct worker *worker = arg;
	worker->options.on_subscribe(worker->options.arg, destination);
}

static void on_outbound(void *arg, int fd, const struct addr *peer)
{
	struct worker *worker = arg;
	conn_start_outbound(&worker->env, fd, peer);
}

static void on_outbound_to(void *arg, int fd, const struct addr *peer, const struct outbound_listener *listener)
{
	struct worker *worker = arg;
	conn_start_outbound_to(&worker->env, fd, peer, listener);
}

static void on_mtls(void *arg, int fd, const struct addr *peer)
{
	const struct worker *worker = arg;
	worker_direct_accept(worker->direct, fd, peer);
}

static void on_inbound_plain(void *arg, int fd, const struct addr *peer)
{
	struct worker *worker = arg;
	if (!worker_direct_takes_redirected(worker->direct, fd, peer))
		conn_start_inbound_plain(&worker->env, fd, peer);
}

struct tunnel_message {
	struct worker_message message;
	int fd;
	struct addr from;
};

static void deliver_tunnel(struct worker_message *message, struct worker *worker)
{
	struct tunnel_message *tunnel = container_of(message, struct tunnel_message, message);
	tunnel_server_adopt(worker->server, tunnel->fd, &tunnel->from);
	mem_free(tunnel);
}

static void on_tunnel(void *arg, int fd, const struct addr *peer)
{
	struct worker *worker = arg;
	struct worker *chosen =
		worker->num_siblings == 0 ? worker : worker->siblings[worker->next_sibling++ % worker->num_siblings];
	if (chosen == worker) {
		tunnel_server_adopt(worker->server, fd, peer);
		return;
	}
	struct tunnel_message *message = mem_new(struct tunnel_message);
	message->fd = fd;
	message->from = *peer;
	worker_post(chosen, &message->message, deliver_tunnel);
}

static void on_stream(void *arg, struct inbound_stream *stream)
{
	struct worker *worker = arg;
	conn_start_inbound(&worker->env, stream);
}

static void on_abandon(void *arg, struct inbound_stream *stream)
{
	(void)arg;
	conn_abandon(stream);
}

static void on_pause(void *arg, bool paused)
{
	struct worker *worker = arg;
	if (worker->options.on_paused != NULL)
		worker->options.on_paused(worker->options.arg, paused);
}

/* At the limit, callers wait in the backlog: a reset would look like a broken destination. */
static void on_full(void *arg, enum conn_kind kind, bool full)
{
	struct worker *worker = arg;
	switch (kind) {
	case CONN_OUTBOUND:
		worker_listeners_pause(&worker->listeners, WORKER_OUTBOUND, full);
		return;
	case CONN_INBOUND:
		return; /* tunnels are still accepted: their streams are answered with the reason limit_reached */
	case CONN_INBOUND_PLAIN:
		/* Callers by mutual TLS come by the same port where rules redirect theirs, and they are not of this
		 * kind: so plaintext is accepted and refused. */
		if (worker_direct_takes_any(worker->direct))
			return;
		worker_listeners_pause(&worker->listeners, WORKER_INBOUND_PLAIN, full);
		return;
	}
}

static enum err listen_all(struct worker *worker, struct why *why)
{
	const struct worker_options *options = &worker->options;
	const struct worker_listeners_options listeners = {
		.loop = worker->loop,
		.outbound = options->ports.outbound,
		.inbound_plain = options->ports.inbound_plain,
		.tunnel = options->ports.tunnel,
		.ipv6 = options->ipv6,
		.on_outbound = on_outbound,
		.on_inbound_plain = on_inbound_plain,
		.on_tunnel = on_tunnel,
		.listeners = options->listeners,
		.passed = options->passed,
		.is_held = options->is_held,
		.on_outbound_to = on_outbound_to,
		.on_mtls = on_mtls,
		.on_pause = on_pause,
		.arg = worker,
	};
	return worker_listeners_init(&worker->listeners, &listeners, why);
}

static struct tunnel_options tunnel_options_of(struct worker *worker, struct tls_context *context)
{
	return (struct tunnel_options){
		.loop = worker->loop,
		.context = context,
		.scratch = worker->scratch,
		.verify_cache = worker->verify_cache,
		.budget = worker->options.budget,
		.time = &worker->snapshot.time,
		.limits = worker->options.limits,
		.observer = worker->options.tunnel_observer,
	};
}

static struct tunnel_pool *pool_make(struct worker *worker)
{
	return tunnel_pool_new(&(struct tunnel_pool_options){
		.tunnels = tunnel_options_of(worker, worker->options.client_context),
		.tunnel_port = worker->options.ports.tunnel,
	});
}

static struct tunnel_server *server_make(struct worker *worker)
{
	return tunnel_server_new(&(struct tunnel_server_options){
		.tunnels = tunnel_options_of(worker, worker->options.server_context),
		.on_stream = on_stream,
		.on_abandon = on_abandon,
		.arg = worker,
	});
}

static struct worker_direct *direct_make(struct worker *worker)
{
	const struct worker_options *options = &worker->options;
	return worker_direct_new(&(struct worker_direct_options){
		.loop = worker->loop,
		.client_context = options->istio_context,
		.server_context = options->direct_context,
		.scratch = worker->scratch,
		.verify_cache = worker->verify_cache,
		.time = &worker->snapshot.time,
		.handshake_timeout_ms = options->limits.handshake_timeout_ms,
		.max_handshakes = options->max_direct_handshakes,
		.listeners = options->listeners,
		.env = &worker->env,
		.observer = &options->tunnel_observer,
	});
}

static void env_make(struct worker *worker)
{
	const struct worker_options *options = &worker->options;
	worker->snapshot.answers = endpoint_table_new(16384);
	worker->snapshot.outbound_mode = options->outbound_mode;
	worker->snapshot.subscribe = subscribe;
	worker->snapshot.subscribe_arg = worker;
	worker->env = (struct conn_env){
		.loop = worker->loop,
		.snapshot = &worker->snapshot,
		.table = conn_table_new(&options->conn_limits),
		.pool = worker->pool,
		.direct = worker_direct_client(worker->direct),
		.loads = loads_new(),
		.outliers = outliers_new(),
		.endpoint_limit = options->endpoint_limit,
		.spread = random_u32() | 1,
		.own_ports = options->own_ports,
		.timeouts = options->timeouts,
		.keepalive = options->keepalive,
		.listeners = options->listeners,
		.keeps_source = options->keeps_source,
		.app_source_v4 = options->app_source_v4,
		.app_source_v6 = options->app_source_v6,
		.observer = options->conn_observer,
	};
	local_ports_init(&worker->env.ports, random_u32());
	conn_table_on_full(worker->env.table, on_full, worker);
	worker->sweep = conn_sweep_new(&worker->env);
}

enum err worker_new(const struct worker_options *options, struct worker **out, struct why *why)
{
	CHECK(options->on_subscribe != NULL && options->client_context != NULL && options->server_context != NULL);
	struct worker *worker = mem_new(struct worker);
	worker->options = *options;
	worker->loop = loop_new(options->clock);
	worker->scratch = tls_scratch_new();
	worker->verify_cache = verify_cache_new(1024);
	worker->pool = pool_make(worker);
	worker->server = server_make(worker);
	worker->direct = direct_make(worker);
	env_make(worker);
	enum err err = listen_all(worker, why);
	if (err != ERR_NONE) {
		worker_free(worker);
		return err;
	}
	*out = worker;
	return ERR_NONE;
}

void worker_set_siblings(struct worker *worker, struct worker *const *workers, unsigned num)
{
	CHECK(!worker->is_running && worker->options.index < num && workers[worker->options.index] == worker);
	worker->siblings = workers;
	worker->num_siblings = num;
	worker->next_sibling = worker->options.index;
}

static void *thread_main(void *arg)
{
	struct worker *worker = arg;
	loop_run(worker->loop);
	return NULL;
}

void worker_start(struct worker *worker)
{
	CHECK(!worker->is_running);
	CHECK(pthread_create(&worker->thread, NULL, thread_main, worker) == 0);
	worker->is_running = true;
}

static void deliver_stop(struct worker_message *message, struct worker *worker)
{
	mem_free(message);
	loop_stop(worker->loop);
}

static void worker_snapshot_done(struct worker_snapshot *snapshot)
{
	credentials_unref(snapshot->credentials);
	policy_unref(snapshot->policy);
	mesh_networks_unref(snapshot->networks);
	endpoint_table_free(snapshot->answers);
}

void worker_stop(struct worker *worker)
{
	if (!worker->is_running)
		return;
	worker_post(worker, mem_new(struct worker_message), deliver_stop);
	CHECK(pthread_join(worker->thread, NULL) == 0);
	worker->is_running = false;
}

void worker_free(struct worker *worker)
{
	worker_stop(worker);
	worker_listeners_done(&worker->listeners);
	loop_run_once(
		worker->loop, false); /* messages that arrived after the stop: they own descriptors and references */
	conn_sweep_free(worker->sweep);
	CHECK(!worker->is_running);
	conn_table_free(worker->env.table);
	loads_free(worker->env.loads);
	outliers_free(worker->env.outliers);
	tunnel_pool_free(worker->pool);
	tunnel_server_free(worker->server);
	worker_direct_free(worker->direct);
	worker_snapshot_done(&worker->snapshot);
	verify_cache_free(worker->verify_cache);
	tls_scratch_free(worker->scratch);
	loop_free(worker->loop);
	mem_free(worker);
}

struct loop *worker_loop(struct worker *worker)
{
	return worker->loop;
}

struct worker_snapshot *worker_snapshot(struct worker *worker)
{
	return &worker->snapshot;
}

void worker_credentials_changed(struct worker *worker)
{
	tunnel_pool_set_credentials(worker->pool, worker->snapshot.credentials);
	tunnel_server_set_credentials(worker->server, worker->snapshot.credentials);
	worker_direct_set_credentials(worker->direct, worker->snapshot.credentials);
	conn_table_snapshot_changed(worker->env.table);
}

void worker_snapshot_changed(struct worker *worker)
{
	conn_table_snapshot_changed(worker->env.table);
}

void worker_tunnels_drain(struct worker *worker)
{
	tunnel_pool_drain(worker->pool);
	tunnel_server_drain(worker->server);
}

struct worker_listeners *worker_listeners(struct worker *worker)
{
	return &worker->listeners;
}

void worker_adopt(struct worker *worker, int fd, const struct addr *at)
{
	CHECK(!worker->is_running);
	worker_listeners_adopt(&worker->listeners, fd, at);
}

size_t worker_sockets(const struct worker *worker, int *out, size_t num)
{
	return worker_listeners_sockets(&worker->listeners, out, num);
}

struct worker_inside worker_insides(const struct worker *worker)
{
	return (struct worker_inside){.conns = worker->env.table,
		.pool = worker->pool,
		.server = worker->server,
		.outliers = worker->env.outliers,
		.now_ms = loop_now_ms(worker->loop),
		.num_refused = worker_listeners_num_refused(&worker->listeners)};
}
