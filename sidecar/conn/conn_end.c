/* Closing: the only place where a connection ends, with one close reason and one access record. */
#include "base/core/check.h"
#include "base/core/mem.h"
#include "base/net/fd.h"
#include "base/net/socket.h"
#include "sidecar/conn/conn_state.h"

/* The downstream side sees a reset or a status, so that it does not take a failure for an orderly end. */
static void downstream_refuse(struct conn_opening *opening, enum close_reason reason)
{
	if (opening->stream != NULL) {
		inbound_stream_set_arg(opening->stream, NULL); /* the stream outlives the connection */
		inbound_stream_refuse(
			TAKE_PTR(opening->stream), close_reason_status(reason), close_reason_label(reason));
	}
	if (opening->downstream != NULL) {
		leg_reset(opening->downstream);
		leg_free(TAKE_PTR(opening->downstream));
	}
	if (opening->fd >= 0) {
		socket_set_reset_on_close(opening->fd, true);
		fd_close(TAKE_FD(opening->fd));
	}
}

static void upstream_drop(struct conn_opening *opening)
{
	loop_io_stop(&opening->connecting);
	fd_close(TAKE_FD(opening->connecting_fd));
	if (opening->upstream != NULL) {
		leg_reset(opening->upstream);
		leg_free(TAKE_PTR(opening->upstream));
	}
}

static void opening_drop(struct conn_opening *opening, enum close_reason reason)
{
	if (opening->attempt != NULL)
		stream_attempt_cancel(TAKE_PTR(opening->attempt)); /* before the downstream leg, from which it reads */
	if (opening->direct != NULL)
		direct_attempt_cancel(TAKE_PTR(opening->direct));
	downstream_refuse(opening, reason);
	upstream_drop(opening);
}

static const char *direction(const struct conn *conn)
{
	static const char *const names[NUM_CONN_KINDS] = {"outbound", "inbound", "inbound_plain"};
	return names[conn->kind];
}

static void record(struct conn *conn, enum close_reason reason, bool relayed, struct relay_counts counts)
{
	const struct worker_snapshot *snapshot = conn->env->snapshot;
	const struct spiffe_id *own = snapshot->credentials == NULL ? NULL : credentials_id(snapshot->credentials);
	const struct spiffe_id *other = conn_peer_id(conn);
	uint64_t now = loop_now_ms(conn->env->loop);
	const struct clock *clock = loop_clock(conn->env->loop);
	struct access_record entry = {
		.direction = direction(conn),
		.source = conn->source,
		.destination = conn->dst.addr,
		.endpoint = conn->endpoint,
		.source_id = conn->kind == CONN_OUTBOUND ? own : other,
		.destination_id = conn->kind == CONN_OUTBOUND ? other : own,
		.bytes_sent = counts.to_upstream,
		.bytes_received = counts.to_downstream,
		.opened_ms = conn->opened_ms,
		.duration_ms = now - conn->opened_ms,
		.ended_wall_ms = clock->wall_ms(clock),
		.reason = close_reason_label(reason),
		.failed = close_reason_is_failure(reason),
		.relayed = relayed,
		.encrypted = conn->encrypted,
		.key_exchange = conn->key_exchange == NUM_KEY_EXCHANGES
					? NULL
					: key_exchange_name((enum key_exchange)conn->key_exchange),
		.rule = conn->rule,
		.dry_run_rule = conn->dry_run_rule,
		.detail = conn->detail,
	};
	if (conn->env->observer.on_end != NULL)
		conn->env->observer.on_end(conn->env->observer.arg, (enum conn_kind)conn->kind, reason, &entry);
}

void conn_opening_end(struct conn *conn)
{
	struct conn_opening *opening = TAKE_PTR(conn->opening);
	CHECK(opening->stream == NULL && opening->downstream == NULL && opening->upstream == NULL);
	CHECK(opening->attempt == NULL && opening->direct == NULL && opening->fd < 0 && opening->connecting_fd < 0);
	loop_task_cancel(&opening->wake);
	loop_io_stop(&opening->connecting);
	endpoint_waiter_cancel(&opening->waiter);
	loop_timer_stop(&opening->deadline);
	mem_free(opening);
}

/* Each side has at most one owner at a time: the socket or stream as it was accepted, a leg, or the relay. */
static void check_owners(const struct conn *conn)
{
	const struct conn_opening *opening = conn->opening;
	CHECK((opening == NULL) == (conn->relay != NULL) && (conn->relay == NULL || conn->step == STEP_RELAY));
	if (opening == NULL)
		return;
	CHECK((opening->fd >= 0) + (opening->stream != NULL) + (opening->downstream != NULL) <= 1);
	CHECK((opening->connecting_fd >= 0) + (opening->attempt != NULL) + (opening->direct != NULL) +
			(opening->upstream != NULL) <=
		1);
}

void conn_end(struct conn *conn, enum close_reason reason)
{
	CHECK(reason < NUM_CLOSE_REASONS);
	check_owners(conn);
	struct relay_counts counts = {0};
	if (conn->relay != NULL) {
		conn_count(conn);
		counts = relay_counts(conn->relay);
		if (reason != CLOSE_DONE)
			relay_cut(conn->relay);
		relay_free(conn->relay);
	}
	record(conn, reason, conn->relay != NULL, counts);
	if (conn->opening != NULL) {
		opening_drop(conn->opening, reason);
		conn_opening_end(conn);
	}
	conn_release_endpoint(conn);
	if (list_is_linked(&conn->link))
		conn_table_remove(conn->env->table, conn);
	answer_unref(conn->answer);
	policy_unref(conn->policy);
	svid_unref(conn->peer);
	mem_free(conn->detail);
	mem_free(conn);
}
