/* The metrics of the sidecar: the rows of metrics.def, and two tables that are generated from other tables. One shard
 * per worker and one for the main thread; the report functions are called on the thread that owns the shard. */
#pragma once

#include "base/core/metrics.h"
#include "base/core/shares.h"
#include "base/tls/key_exchange.h"
#include "sidecar/conn/close_reason.h"

enum report_direction { REPORT_OUTBOUND, REPORT_INBOUND, REPORT_INBOUND_PLAIN };
#define NUM_REPORT_DIRECTIONS 3

enum sidecar_metric {
#define METRIC(symbol, kind, name, labels, help)    symbol,
#define METRIC_DURATION(symbol, name, labels, help) METRIC_DURATION_SYMBOLS(symbol)
#define METRIC_ROWS(name, labels, help)
#include "sidecar/report/metrics.def"
#undef METRIC
#undef METRIC_ROWS
#undef METRIC_DURATION
	NUM_PLAIN_METRICS
};

struct metrics *sidecar_metrics_new(unsigned num_shards);
extern const struct metric_row sidecar_certificate_metrics[2]; /* names and help of certs/expiry.h */

struct report_end {
	enum report_direction direction;
	enum close_reason reason;
	bool encrypted, was_relayed;
};
void report_conn_begin(struct metric_shard *shard, enum report_direction direction);
void report_conn_retry(struct metric_shard *shard);
void report_endpoint_ejected(struct metric_shard *shard);
void report_dry_run(struct metric_shard *shard, bool would_deny);
void report_conn_relay(struct metric_shard *shard, enum report_direction direction, bool encrypted, uint64_t after_ms);
/* The bytes relayed since the last call: `sent` to the destination, `received` to the source. */
void report_conn_bytes(
	struct metric_shard *shard, enum report_direction direction, bool encrypted, uint64_t sent, uint64_t received);
void report_conn_end(struct metric_shard *shard, const struct report_end *end);
void report_key_exchange(struct metric_shard *shard, bool outbound, enum key_exchange key_exchange);
void report_tunnel_open(
	struct metric_shard *shard, bool outbound, enum key_exchange key_exchange, uint64_t handshake_ms);
void report_tunnel_close(struct metric_shard *shard, bool outbound);
void report_handshake_failure(struct metric_shard *shard, bool outbound, enum err err); /* not ERR_NONE */
void report_tunnel_failure(struct metric_shard *shard, bool outbound, enum err err);
enum report_resource { REPORT_CONNECTIONS, REPORT_HANDSHAKES, REPORT_TUNNELS };
void report_limit(struct metric_shard *shard, enum report_resource what, enum share_limit limit);
void report_listener_paused(struct metric_shard *shard, bool paused);

/* At the end: every connection and tunnel that was counted as open has been counted as closed. */
void sidecar_metrics_check_balance(const struct metrics *metrics);

/* The rows of the two generated tables. */
unsigned sidecar_metric_closed(enum report_direction direction, enum close_reason reason);
unsigned sidecar_metric_handshake_failed(bool outbound, enum err err);
