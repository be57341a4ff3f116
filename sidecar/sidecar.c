#include "sidecar/sidecar_private.h"

#include "base/core/check.h"
#include "base/core/log.h"
#include "base/core/mem.h"
#include "base/net/passed_sockets.h"
#include "base/net/service_manager.h"
#include "sidecar/process.h"

#define COMPONENT "sidecar"

enum { FAILURES_MAX = 256 };

/* --- workers --- */

static void on_paused(void *arg, bool paused)
{
	struct worker_place *place = arg;
	report_listener_paused(place->observe.shard, paused);
}

static struct own_ports own_ports_of(const struct sidecar_config *config)
{
	struct own_ports own = {.num = 0};
	if (config->interception != INTERCEPTION_NONE) {
		own_ports_add(&own, config->outbound_port);
		own_ports_add(&own, config->inbound_port);
	}
	own_ports_add(&own, config->tunnel_port);
	own_ports_add(&own, config->admin_port);
	own_ports_add(&own, config->metrics_port);
	return own;
}

/* Rounded up: 0 stays 0, and a limit does not become 0, which would mean none. */
static size_t per_worker(const struct sidecar *sidecar, uint64_t all)
{
	return (all + sidecar->num_configured - 1) / sidecar->num_configured;
}

static uint64_t max_tunnels(const struct sidecar *sidecar)
{
	uint64_t requested = sidecar->config->max_tunnels, possible = process_tunnels(process_descriptors());
	return requested == 0 || requested > possible ? possible : requested;
}

static bool takes_mtls(const struct listeners *listeners)
{
	for (size_t i = 0; i < listeners->num_inbound; i++)
		if (listeners->inbound[i].takes_mtls)
			return true;
	return false;
}

/* 0: no listener takes mutual TLS without a tunnel. */
static uint64_t max_direct_handshakes(const struct sidecar *sidecar)
{
	return takes_mtls(&sidecar->config->listeners) ? process_direct_handshakes(process_descriptors()) : 0;
}

static uint64_t connection_descriptors(const struct sidecar *sidecar)
{
	return process_connection_descriptors(process_descriptors(), max_direct_handshakes(sidecar));
}

/* As many as descriptors allow where all go through tunnels; the table counts two descriptors for each other one. More
 * would make accept() fail for all clients, probes included. */
static uint64_t max_connections(const struct sidecar *sidecar)
{
	uint64_t requested = sidecar->config->max_connections;
	uint64_t possible = connection_descriptors(sidecar);
	return requested == 0 || requested > possible ? possible : requested;
}

static void warn_of_limits(const struct sidecar *sidecar)
{
	uint64_t requested = sidecar->config->max_connections, used = max_connections(sidecar);
	if (requested > used)
		log_warning(COMPONENT,
			"limits.max_connections is %llu, but the descriptor limit of %lu allows %llu connections "
			"through tunnels, and half as many others: the sidecar accepts that many (raise RLIMIT_NOFILE, "
			"for instance with LimitNOFILE= or `ulimit -n`)",
			(unsigned long long)requested, process_descriptors(), (unsigned long long)used);
}

static struct conn_limits conn_limits_of(const struct sidecar *sidecar)
{
	return (struct conn_limits){
		.max = per_worker(sidecar, max_connections(sidecar)),
		.descriptors = per_worker(sidecar, connection_descriptors(sidecar)),
		.per_source = per_worker(sidecar, sidecar->config->max_per_source),
		.per_identity = per_worker(sidecar, sidecar->config->max_per_identity),
	};
}

size_t sidecar_limit_in_force(const struct sidecar *sidecar, const char *key)
{
	const struct sidecar_config *config = sidecar->config;
	size_t connections = max_connections(sidecar), pairs = connection_descriptors(sidecar) / 2;
	size_t plaintext = connections < pairs ? connections : pairs;
	if (strcmp(key, "limits.max_connections") == 0)
		return connections;
	if (strcmp(key, "limits.max_tunnels") == 0)
		return max_tunnels(sidecar);
	if (strcmp(key, "limits.per_source") == 0)
		return config->max_per_source != 0 ? config->max_per_source : (plaintext + 3) / 4;
	if (strcmp(key, "limits.per_identity") == 0)
		return config->max_per_identity != 0 ? config->max_per_identity : (connections + 1) / 2;
	return 0;
}

static struct worker_options worker_options_of(struct sidecar *sidecar, unsigned index)
{
	const struct sidecar_config *config = sidecar->config;
	struct app_sources sources = process_app_sources();
	bool intercepts = config->interception != INTERCEPTION_NONE;
	CHECK(index < sidecar->num_configured);
	return (struct worker_options){
		.index = index,
		.ports = {intercepts ? config->outbound_port : 0, intercepts ? config->inbound_port : 0,
			config->tunnel_port},
		.listeners = &config->listeners,
		.keeps_source = config->interception == INTERCEPTION_TPROXY,
		.own_ports = own_ports_of(config),
		.ipv6 = process_has_ipv6(),
		.keepalive = config->keepalive,
		.conn_limits = conn_limits_of(sidecar),
		.timeouts = {.resolve = config->resolve_ms,
			.connect = config->connect_ms,
			.idle = config->idle_ms,
			.plaintext_idle = config->plaintext_idle_ms},
		.limits = {.max_tunnels = (uint32_t)per_worker(sidecar, max_tunnels(sidecar)),
			.max_identity_age_s = (uint32_t)(config->max_identity_age_ms / 1000),
			.identity_age_grace_s = (uint32_t)(config->max_identity_age_grace_ms / 1000),
			.connect_timeout_ms = (uint32_t)config->connect_ms,
			.handshake_timeout_ms = (uint32_t)config->handshake_ms},
		.client_context = sidecar->client_context,
		.server_context = sidecar->server_context,
		.istio_context = sidecar->istio_context,
		.direct_context = sidecar->direct_context,
		.max_direct_handshakes = (uint32_t)per_worker(sidecar, max_direct_handshakes(sidecar)),
		.budget = sidecar->budget,
		.endpoint_limit = sidecar->endpoint_limit,
		.passed = sidecar->take_over.sockets,
		.is_held = sidecar->take_over.is_open,
		.clock = loop_clock(sidecar->loop),
		.outbound_mode = config->outbound_mode,
		.app_source_v4 = sources.v4,
		.app_source_v6 = sources.v6,
		.conn_observer = observe_conns(&sidecar->places[index].observe),
		.tunnel_observer = observe_tunnels(&sidecar->places[index].observe),
		.on_paused = on_paused,
		.on_subscribe = sidecar_subscribe,
		.arg = &sidecar->places[index],
	};
}

static enum err workers_make(struct sidecar *sidecar, struct why *why)
{
	for (unsigned index = 0; index < sidecar->num_configured; index++) {
		sidecar->places[index].sidecar = sidecar;
		sidecar->places[index].observe = (struct observe){
			.shard = metrics_shard(sidecar->metrics, index),
			.log = sidecar->access_log,
			.failures = sidecar->failures,
			.ports = sidecar->port_use,
			.dry_runs = sidecar->dry_runs,
			.peers = sidecar->peers,
			.clock = loop_clock(sidecar->loop),
		};
		struct worker_options options = worker_options_of(sidecar, index);
		RETURN_IF_ERR(worker_new(&options, &sidecar->workers[index], why));
		sidecar->num_workers = index + 1;
	}
	return ERR_NONE;
}

static void workers_start(struct sidecar *sidecar)
{
	CHECK(sidecar->num_workers == sidecar->num_configured);
	for (unsigned i = 0; i < sidecar->num_workers; i++)
		worker_set_siblings(sidecar->workers[i], sidecar->workers, sidecar->num_workers);
	for (unsigned i = 0; i < sidecar->num_workers; i++)
		worker_start(sidecar->workers[i]);
}

static void workers_free(struct sidecar *sidecar)
{
	for (unsigned i = 0; i < sidecar->num_workers; i++)
		worker_stop(sidecar->workers[i]);
	for (unsigned i = 0; i < sidecar->num_workers; i++)
		worker_free(sidecar->workers[i]);
}

/* --- create, run, free --- */

struct metric_shard *sidecar_shard(struct sidecar *sidecar)
{
	return metrics_shard(sidecar->metrics, sidecar->num_configured);
}

static void shared_make(struct sidecar *sidecar)
{
	const struct sidecar_config *config = sidecar->config;
	sidecar->loop = loop_new(&clock_system);
	sidecar->made_ms = loop_now_ms(sidecar->loop);
	sidecar->client_context = tls_context_new(&(struct tls_context_options){
		.role = TLS_CLIENT, .alpn = "h2", .key_exchanges = config->key_exchanges});
	sidecar->server_context = tls_context_new(&(struct tls_context_options){.role = TLS_SERVER,
		.client_auth = TLS_CLIENT_AUTH_REQUIRED,
		.alpn = "h2",
		.key_exchanges = config->key_exchanges});
	sidecar->istio_context = tls_context_new(&(struct tls_context_options){.role = TLS_CLIENT,
		.alpn = DIRECT_ALPN,
		.alpn_is_optional = true,
		.key_exchanges = config->key_exchanges});
	if (takes_mtls(&config->listeners))
		sidecar->direct_context = tls_context_new(&(struct tls_context_options){.role = TLS_SERVER,
			.client_auth = TLS_CLIENT_AUTH_REQUIRED,
			.key_exchanges = config->key_exchanges});
	sidecar->budget = flow_control_memory_new(config->flow_control_memory);
	if (config->max_per_endpoint > 0)
		sidecar->endpoint_limit = endpoint_limit_new(config->max_per_endpoint);
	sidecar->num_configured = config->workers != 0 ? config->workers : process_workers();
	CHECK(sidecar->num_configured > 0 && sidecar->num_configured <= WORKERS_MAX);
	process_facts_open(&sidecar->facts);
	sidecar->metrics = sidecar_metrics_new(sidecar->num_configured + 1);
	sidecar->access_log = access_log_new(config->access_log, config->access_log_one_in, 1);
	sidecar->failures = failures_new(FAILURES_MAX);
	sidecar->port_use = port_use_new();
	sidecar->dry_runs = dry_runs_new();
	sidecar->peers = peers_new();
}

static void warn_of_conntrack(const struct socket_keepalive *keepalive)
{
	unsigned timeout_s = process_conntrack_close_wait_s();
	if (timeout_s != 0 && timeout_s <= keepalive->idle_s)
		log_warning(COMPONENT,
			"connection tracking removes half-closed connections after %u s, before keepalive.idle (%u s): "
			"bytes that they send later are lost; lower keepalive.idle or raise "
			"net.netfilter.nf_conntrack_tcp_timeout_close_wait",
			timeout_s, keepalive->idle_s);
}

static enum err parts_make(struct sidecar *sidecar, struct why *why)
{
	shared_make(sidecar); /* what sidecar_free() ends */
	bool is_tproxy = sidecar->config->interception == INTERCEPTION_TPROXY;
	RETURN_IF_ERR(is_tproxy ? process_keep_net_raw(why) : process_drop_net_raw(why));
	RETURN_IF_ERR(workers_make(sidecar, why));
	RETURN_IF_ERR(sidecar_clients_new(sidecar, why));
	RETURN_IF_ERR(sidecar_interfaces_open(sidecar, why));
	sidecar_take_over_rest(sidecar);
	return ERR_NONE;
}

static enum err take_over_begin(struct sidecar *sidecar, struct why *why)
{
	enum err err = sidecar_take_over_begin(sidecar, why);
	if (err == ERR_NONE)
		return ERR_NONE;
	sidecar_take_over_stop(sidecar);
	settings_record_free(sidecar->in_force);
	sidecar_config_free(sidecar->config);
	mem_free(sidecar);
	return err;
}

enum err sidecar_new(
	const struct sidecar_options *options, struct sidecar_config *config, struct sidecar **out, struct why *why)
{
	struct sidecar *sidecar = mem_new(struct sidecar);
	sidecar->options = *options;
	sidecar->config = config;
	CHECK(config->record != NULL);
	sidecar->in_force = TAKE_PTR(config->record);
	if (options->takes_over) /* first: the access log is of its output */
		RETURN_IF_ERR(take_over_begin(sidecar, why));
	enum err err = parts_make(sidecar, why);
	if (err != ERR_NONE) {
		sidecar_free(sidecar);
		return err;
	}
	sidecar_rules_note(sidecar);
	warn_of_conntrack(&config->keepalive);
	warn_of_limits(sidecar);
	*out = sidecar;
	return ERR_NONE;
}

bool sidecar_is_serving(const struct sidecar *sidecar)
{
	return !sidecar->take_over.is_open && !sidecar->has_handed_over;
}

void sidecar_note_serving(struct sidecar *sidecar)
{
	service_manager_ready();
	if (sidecar->options.on_serving != NULL)
		sidecar->options.on_serving(sidecar->options.arg);
}

enum err sidecar_run(struct sidecar *sidecar)
{
	/* After the listeners and the state folder are open, before the first byte from the network is read. */
	sidecar_confine(sidecar);
	workers_start(sidecar);
	sidecar_signals_start(sidecar);
	sidecar_gauges_start(sidecar);
	sidecar_identity_start(sidecar);
	log_notice(COMPONENT, "%s for %s with %u workers", sidecar->options.release, sidecar->config->trust_domain.name,
		sidecar->num_workers);
	if (sidecar->take_over.is_open)
		sidecar_take_over_start(sidecar);
	else
		sidecar_note_serving(sidecar);
	loop_run(sidecar->loop);
	sidecar_signals_stop(sidecar);
	sidecar_kept_flush(sidecar);
	loop_timer_stop(&sidecar->gauges);
	return sidecar->has_failed ? ERR_TIMEOUT : ERR_NONE;
}

void sidecar_free(struct sidecar *sidecar)
{
	sidecar_hand_over_stop(sidecar);
	sidecar_take_over_stop(sidecar);
	sidecar_formers_stop(sidecar);
	sidecar_successor_stop(sidecar);
	workload_api_free(TAKE_PTR(sidecar->workload_api));
	if (sidecar->admin_socket != NULL)
		admin_socket_free(sidecar->admin_socket);
	sidecar_probes_stop(sidecar);
	if (sidecar->admin != NULL)
		admin_free(sidecar->admin);
	workers_free(sidecar);
	sidecar_metrics_check_balance(sidecar->metrics);
	sidecar_clients_free(sidecar);
	flow_control_memory_free(sidecar->budget);
	endpoint_limit_free(sidecar->endpoint_limit);
	tls_context_free(sidecar->client_context);
	tls_context_free(sidecar->server_context);
	tls_context_free(sidecar->istio_context);
	tls_context_free(sidecar->direct_context);
	access_log_free(sidecar->access_log);
	failures_free(sidecar->failures);
	port_use_free(sidecar->port_use);
	dry_runs_free(sidecar->dry_runs);
	peers_free(sidecar->peers);
	metrics_free(sidecar->metrics);
	process_facts_close(&sidecar->facts);
	loop_free(sidecar->loop);
	settings_record_free(sidecar->in_force);
	sidecar_config_free(sidecar->config);
	mem_free(sidecar);
}
