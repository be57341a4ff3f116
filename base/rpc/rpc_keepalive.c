/* Whether the peer still answers: a PING after each idle period, or at once. */
#include "base/core/check.h"
#include "base/rpc/rpc_call_private.h"
#include "base/rpc/rpc_connection.h"

static void on_keepalive(struct loop_timer *timer)
{
	struct rpc_connection *connection = container_of(timer, struct rpc_connection, keepalive);
	bool was_stuck = connection->is_stuck;
	uint32_t waited_ms = connection->probe_ms != 0 ? connection->probe_ms : connection->keepalive_ms;
	if (connection->probe_ms != 0 && connection->has_received)
		connection->awaits_ping_ack = false; /* its answer may wait behind a long message */
	connection->probe_ms = 0;
	connection->is_stuck = connection->is_blocked; /* until it becomes writable */
	if (connection->awaits_ping_ack || (was_stuck && connection->is_stuck)) {
		struct why why = {0};
		(void)why_set(&why, ERR_TIMEOUT, "an answer to PING", "check that the peer runs, and the network to it",
			"the peer did not answer for %u ms", waited_ms);
		rpc_connection_end(connection, &why);
		return;
	}
	if (connection->state == RPC_CONNECTION_OPEN && (connection->always_pings || !connection->has_received)) {
		connection->awaits_ping_ack = true;
		h2_session_ping(connection->h2);
	}
	connection->has_received = false;
	loop_timer_start(connection->loop, timer, connection->keepalive_ms, on_keepalive);
}

void rpc_connection_probe(struct rpc_connection *connection, uint32_t within_ms)
{
	CHECK(within_ms > 0);
	if (connection->state != RPC_CONNECTION_OPEN || connection->probe_ms != 0)
		return;
	connection->probe_ms = within_ms;
	connection->awaits_ping_ack = true;
	connection->has_received = connection->is_stuck = false;
	h2_session_ping(connection->h2);
	loop_timer_start(connection->loop, &connection->keepalive, within_ms, on_keepalive);
	rpc_connection_flush(connection);
}

void rpc_keepalive_start(struct rpc_connection *connection)
{
	loop_timer_start(connection->loop, &connection->keepalive, connection->keepalive_ms, on_keepalive);
}
