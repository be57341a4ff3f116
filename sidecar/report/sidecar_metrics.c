#include "sidecar/report/sidecar_metrics.h"

#include "base/core/check.h"
#include "base/core/version.h"

#define CLOSED_NAME    "handfast_connections_closed_total"
#define CLOSED_HELP    "Connections closed, by direction and close reason."
#define HANDSHAKE_NAME "handfast_handshake_failures_total"
#define HANDSHAKE_HELP "Tunnels, and inbound mutual TLS without one, that failed, by direction and error."

static const struct metric_row rows[] = {
#define METRIC(symbol, kind, name, labels, help)    [symbol] = {kind, name, labels, help},
#define METRIC_DURATION(symbol, name, labels, help) METRIC_DURATION_TABLE(symbol, name, labels, help)
#define METRIC_ROWS(name, labels, help)
#include "sidecar/report/metrics.def"
#undef METRIC
#undef METRIC_ROWS
#undef METRIC_DURATION
#define CLOSE_REASON(symbol, label, status, failed)                                                                    \
	{METRIC_COUNTER, CLOSED_NAME, "direction=\"outbound\",reason=\"" label "\"", CLOSED_HELP},
#include "sidecar/conn/close_reason.def"
#undef CLOSE_REASON
#define CLOSE_REASON(symbol, label, status, failed)                                                                    \
	{METRIC_COUNTER, CLOSED_NAME, "direction=\"inbound\",reason=\"" label "\"", CLOSED_HELP},
#include "sidecar/conn/close_reason.def"
#undef CLOSE_REASON
#define CLOSE_REASON(symbol, label, status, failed)                                                                    \
	{METRIC_COUNTER, CLOSED_NAME, "direction=\"inbound_plain\",reason=\"" label "\"", CLOSED_HELP},
#include "sidecar/conn/close_reason.def"
#undef CLOSE_REASON
#define ERROR(symbol, label, text)                                                                                     \
	{METRIC_COUNTER, HANDSHAKE_NAME, "direction=\"outbound\",error=\"" label "\"", HANDSHAKE_HELP},
#include "base/core/errors.def"
#undef ERROR
#define ERROR(symbol, label, text)                                                                                     \
	{METRIC_COUNTER, HANDSHAKE_NAME, "direction=\"inbound\",error=\"" label "\"", HANDSHAKE_HELP},
#include "base/core/errors.def"
#undef ERROR
};

enum {
#define ERROR(symbol, label, text) ROW_OF_##symbol,
#include "base/core/errors.def"
#undef ERROR
	NUM_ERRORS,
	FIRST_CLOSED = NUM_PLAIN_METRICS,
	FIRST_HANDSHAKE = FIRST_CLOSED + NUM_REPORT_DIRECTIONS * NUM_CLOSE_REASONS,
	NUM_ROWS = FIRST_HANDSHAKE + 2 * NUM_ERRORS,
};
_Static_assert(sizeof(rows) / sizeof(*rows) == NUM_ROWS, "the numbers of the rows follow the tables");

const struct metric_row sidecar_certificate_metrics[2] = {
#define METRIC(symbol, kind, name, labels, help)
#define METRIC_DURATION(symbol, name, labels, help)
#define METRIC_ROWS(name, labels, help) {METRIC_GAUGE, name, labels, help},
#include "sidecar/report/metrics.def"
#undef METRIC
#undef METRIC_DURATION
#undef METRIC_ROWS
};

struct metrics *sidecar_metrics_new(unsigned num_shards)
{
	return metrics_new(rows, NUM_ROWS, num_shards);
}

unsigned sidecar_metric_closed(enum report_direction direction, enum close_reason reason)
{
	CHECK(direction < NUM_REPORT_DIRECTIONS && reason < NUM_CLOSE_REASONS);
	return FIRST_CLOSED + (unsigned)direction * NUM_CLOSE_REASONS + (unsigned)reason;
}

unsigned sidecar_metric_handshake_failed(bool outbound, enum err err)
{
	CHECK(err != ERR_NONE);
	unsigned first = outbound ? FIRST_HANDSHAKE : FIRST_HANDSHAKE + NUM_ERRORS;
	return first + (unsigned)err - 1; /* ERR_NONE is no row */
}

/* The four rows of each Istio metric are in this order in metrics.def: reporter, then security policy. */
static unsigned istio_row(unsigned first, enum report_direction direction, bool encrypted)
{
	return first + (direction == REPORT_OUTBOUND ? 0U : 2U) + (encrypted ? 0U : 1U);
}

void report_conn_begin(struct metric_shard *shard, enum report_direction direction)
{
	metric_add(shard, METRIC_OPENED_OUTBOUND + (unsigned)direction, 1);
	metric_add(shard, METRIC_ACTIVE_OUTBOUND + (unsigned)direction, 1);
}

void report_endpoint_ejected(struct metric_shard *shard)
{
	metric_add(shard, METRIC_EJECTIONS, 1);
}

void report_conn_retry(struct metric_shard *shard)
{
	metric_add(shard, METRIC_RETRIED, 1);
}

void report_dry_run(struct metric_shard *shard, bool would_deny)
{
	metric_add(shard, would_deny ? METRIC_DRY_RUN_DENIED : METRIC_DRY_RUN_ALLOWED, 1);
}

void report_conn_relay(struct metric_shard *shard, enum report_direction direction, bool encrypted, uint64_t after_ms)
{
	bool outbound = direction == REPORT_OUTBOUND;
	metric_observe_ms(shard, METRIC_CONNECT_OUTBOUND + (unsigned)direction * METRIC_DURATION_NUM_ROWS, after_ms);
	if (encrypted)
		metric_add(shard, outbound ? METRIC_STREAMS_OUTBOUND : METRIC_STREAMS_INBOUND, 1);
	else
		metric_add(shard, outbound ? METRIC_PLAIN_OUTBOUND : METRIC_PLAIN_INBOUND, 1);
	metric_add(shard, istio_row(METRIC_ISTIO_OPENED_SOURCE_MTLS, direction, encrypted), 1);
}

/* In Istio's metrics, "sent" is the response and "received" the request, as seen by the destination. */
void report_conn_bytes(
	struct metric_shard *shard, enum report_direction direction, bool encrypted, uint64_t sent, uint64_t received)
{
	metric_add(shard, METRIC_SENT_OUTBOUND + (unsigned)direction, (int64_t)sent);
	metric_add(shard, METRIC_RECEIVED_OUTBOUND + (unsigned)direction, (int64_t)received);
	metric_add(shard, istio_row(METRIC_ISTIO_RECEIVED_SOURCE_MTLS, direction, encrypted), (int64_t)sent);
	metric_add(shard, istio_row(METRIC_ISTIO_SENT_SOURCE_MTLS, direction, encrypted), (int64_t)received);
}

void report_conn_end(struct metric_shard *shard, const struct report_end *end)
{
	metric_add(shard, METRIC_ACTIVE_OUTBOUND + (unsigned)end->direction, -1);
	metric_add(shard, sidecar_metric_closed(end->direction, end->reason), 1);
	if (end->was_relayed)
		metric_add(shard, istio_row(METRIC_ISTIO_CLOSED_SOURCE_MTLS, end->direction, end->encrypted), 1);
}

void report_key_exchange(struct metric_shard *shard, bool outbound, enum key_exchange key_exchange)
{
	CHECK(key_exchange < NUM_KEY_EXCHANGES); /* the rows are in the order of the groups */
	metric_add(shard,
		(outbound ? METRIC_KEY_EXCHANGE_OUTBOUND_X25519MLKEM768 : METRIC_KEY_EXCHANGE_INBOUND_X25519MLKEM768) +
			(unsigned)key_exchange,
		1);
}

void report_tunnel_open(
	struct metric_shard *shard, bool outbound, enum key_exchange key_exchange, uint64_t handshake_ms)
{
	report_key_exchange(shard, outbound, key_exchange);
	metric_observe_ms(shard, outbound ? METRIC_HANDSHAKE_OUTBOUND : METRIC_HANDSHAKE_INBOUND, handshake_ms);
	metric_add(shard, outbound ? METRIC_TUNNELS_OPENED_OUTBOUND : METRIC_TUNNELS_OPENED_INBOUND, 1);
	metric_add(shard, outbound ? METRIC_TUNNELS_OPEN_OUTBOUND : METRIC_TUNNELS_OPEN_INBOUND, 1);
}

void report_tunnel_close(struct metric_shard *shard, bool outbound)
{
	metric_add(shard, outbound ? METRIC_TUNNELS_OPEN_OUTBOUND : METRIC_TUNNELS_OPEN_INBOUND, -1);
}

void report_handshake_failure(struct metric_shard *shard, bool outbound, enum err err)
{
	metric_add(shard, sidecar_metric_handshake_failed(outbound, err), 1);
}

void report_tunnel_failure(struct metric_shard *shard, bool outbound, enum err err)
{
	metric_add(shard, outbound ? METRIC_TUNNELS_FAILED_OUTBOUND : METRIC_TUNNELS_FAILED_INBOUND, 1);
	if (err != ERR_NONE)
		report_handshake_failure(shard, outbound, err);
}

void report_limit(struct metric_shard *shard, enum report_resource what, enum share_limit limit)
{
	CHECK(limit != SHARE_LIMIT_NONE && limit < NUM_SHARE_LIMITS);
	metric_add(shard,
		METRIC_LIMIT_CONNECTIONS_CAPACITY + (unsigned)what * (NUM_SHARE_LIMITS - 1) + (unsigned)limit - 1, 1);
}

void report_listener_paused(struct metric_shard *shard, bool paused)
{
	metric_add(shard, METRIC_LISTENERS_PAUSED, paused ? 1 : -1);
	if (paused)
		metric_add(shard, METRIC_LISTENER_PAUSES, 1);
}

void sidecar_metrics_check_balance(const struct metrics *metrics)
{
	for (unsigned direction = 0; direction < NUM_REPORT_DIRECTIONS; direction++)
		CHECK(metrics_read(metrics, METRIC_ACTIVE_OUTBOUND + direction) == 0);
	CHECK(metrics_read(metrics, METRIC_TUNNELS_OPEN_OUTBOUND) == 0);
	CHECK(metrics_read(metrics, METRIC_TUNNELS_OPEN_INBOUND) == 0);
}
