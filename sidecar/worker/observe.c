#include "sidecar/worker/observe.h"
#include "base/core/log.h"

_Static_assert((int)CONN_OUTBOUND == (int)REPORT_OUTBOUND && (int)CONN_INBOUND == (int)REPORT_INBOUND &&
		       (int)CONN_INBOUND_PLAIN == (int)REPORT_INBOUND_PLAIN,
	"enum conn_kind and enum report_direction have the same values");

static void on_begin(void *arg, enum conn_kind kind)
{
	struct observe *observe = arg;
	report_conn_begin(observe->shard, (enum report_direction)kind);
}

static void on_relay(void *arg, enum conn_kind kind, bool encrypted, const struct addr *destination, uint64_t after_ms)
{
	struct observe *observe = arg;
	report_conn_relay(observe->shard, (enum report_direction)kind, encrypted, after_ms);
	if (kind != CONN_OUTBOUND)
		port_use_add(observe->ports, destination->port, encrypted);
}

static void on_bytes(void *arg, enum conn_kind kind, bool encrypted, const struct relay_counts *more)
{
	struct observe *observe = arg;
	report_conn_bytes(
		observe->shard, (enum report_direction)kind, encrypted, more->to_upstream, more->to_downstream);
}

static void record_failure(struct observe *observe, const struct access_record *record)
{
	if (!record->failed || record->detail == NULL)
		return;
	const struct failure seen = {
		.what = "connection",
		.direction = record->direction,
		.reason = record->reason,
		.remote = record->source,
		.destination = record->destination,
		.detail = *record->detail,
	};
	failures_add(observe->failures, &seen, record->ended_wall_ms);
}

static void on_conn_limit(void *arg, enum share_limit limit)
{
	struct observe *observe = arg;
	report_limit(observe->shard, REPORT_CONNECTIONS, limit);
}

static void on_retry(void *arg)
{
	struct observe *observe = arg;
	report_conn_retry(observe->shard);
}

static void on_outlier(void *arg, const struct addr *destination, const struct addr *endpoint, uint32_t pause_ms,
	const struct why *why)
{
	struct observe *observe = arg;
	char at[ADDR_TEXT_MAX], service[ADDR_TEXT_MAX];
	addr_format(endpoint, at);
	if (pause_ms == 0) {
		log_notice("conn", "the endpoint %s of %s serves again", at, addr_format(destination, service));
		return;
	}
	report_endpoint_ejected(observe->shard);
	log_warning("conn", "the endpoint %s of %s is set aside for %u s: %s", at, addr_format(destination, service),
		pause_ms / 1000, why->got);
	const struct failure seen = {
		.what = "endpoint",
		.direction = "outbound",
		.reason = "",
		.remote = *endpoint,
		.destination = *destination,
		.detail = *why,
	};
	failures_add(observe->failures, &seen, observe->clock->wall_ms(observe->clock));
}

static void on_end(void *arg, enum conn_kind kind, enum close_reason reason, const struct access_record *record)
{
	struct observe *observe = arg;
	const struct report_end end = {
		.direction = (enum report_direction)kind,
		.reason = reason,
		.encrypted = record->encrypted,
		.was_relayed = record->relayed,
	};
	report_conn_end(observe->shard, &end);
	record_failure(observe, record);
	peers_note(observe->peers, record);
	access_log_write(observe->log, record);
}

static void on_dry_run(void *arg, const struct conn_dry_run *event)
{
	struct observe *observe = arg;
	const struct dry_run_event seen = {.rule = event->rule,
		.would_deny = event->would_deny,
		.was_open = event->was_open,
		.id = event->id == NULL ? NULL : event->id->text,
		.source = event->source,
		.port = event->port};
	report_dry_run(observe->shard, event->would_deny);
	dry_runs_add(observe->dry_runs, &seen, observe->clock->wall_ms(observe->clock));
}

struct conn_observer observe_conns(struct observe *observe)
{
	return (struct conn_observer){.on_begin = on_begin,
		.on_relay = on_relay,
		.on_bytes = on_bytes,
		.on_limit = on_conn_limit,
		.on_end = on_end,
		.on_retry = on_retry,
		.on_outlier = on_outlier,
		.on_dry_run = on_dry_run,
		.arg = observe};
}

static void on_tunnel_open(void *arg, bool outbound, enum key_exchange key_exchange, uint64_t handshake_ms)
{
	struct observe *observe = arg;
	report_tunnel_open(observe->shard, outbound, key_exchange, handshake_ms);
}

static void on_direct(void *arg, enum key_exchange key_exchange)
{
	struct observe *observe = arg;
	report_key_exchange(observe->shard, false, key_exchange);
}

/* Its line in the log and its entry of /why are those of a connection. */
static void on_direct_failure(void *arg, enum err err)
{
	struct observe *observe = arg;
	report_handshake_failure(observe->shard, false, err);
}

static void on_tunnel_close(void *arg, bool outbound)
{
	struct observe *observe = arg;
	report_tunnel_close(observe->shard, outbound);
}

static void on_tunnel_failure(
	void *arg, bool outbound, const struct addr *remote, const struct spiffe_id *expected, const struct why *why)
{
	struct observe *observe = arg;
	(void)expected; /* `why` contains it */
	report_tunnel_failure(observe->shard, outbound, why->err);
	const struct failure seen = {
		.what = "tunnel",
		.direction = outbound ? "outbound" : "inbound",
		.reason = "",
		.remote = *remote,
		.detail = *why,
	};
	failures_add(observe->failures, &seen, observe->clock->wall_ms(observe->clock));
}

static void on_tunnel_limit(void *arg, enum tunnel_resource what, enum share_limit limit)
{
	struct observe *observe = arg;
	report_limit(observe->shard, what == TUNNEL_RESOURCE_HANDSHAKES ? REPORT_HANDSHAKES : REPORT_TUNNELS, limit);
}

struct tunnel_observer observe_tunnels(struct observe *observe)
{
	return (struct tunnel_observer){.on_open = on_tunnel_open,
		.on_close = on_tunnel_close,
		.on_direct = on_direct,
		.on_direct_failure = on_direct_failure,
		.on_failure = on_tunnel_failure,
		.on_limit = on_tunnel_limit,
		.arg = observe};
}
