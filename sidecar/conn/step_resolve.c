/* Steps 3 and 4 of outbound connections: resolves the destination, then checks whether the connection is allowed. */
#include "base/core/check.h"
#include "sidecar/conn/conn_state.h"

static void on_answer(struct endpoint_waiter *waiter, struct answer *answer)
{
	struct conn *conn = container_of(waiter, struct conn_opening, waiter)->conn;
	answer_unref(conn->answer);
	conn->answer = answer_ref(answer);
	conn_wake(conn);
}

static struct conn_next await_answer(struct conn *conn)
{
	struct worker_snapshot *snapshot = conn->env->snapshot;
	struct endpoint_waiter *waiter = &conn->opening->waiter;
	waiter->on_answer = on_answer;
	if (!list_is_linked(&waiter->link))
		endpoint_table_wait(snapshot->answers, &conn->dst.addr, waiter);
	CHECK(list_is_linked(&waiter->link));
	if (!conn->is_subscribed)
		snapshot->subscribe(snapshot->subscribe_arg, &conn->dst.addr);
	conn->is_subscribed = true;
	return conn_wait();
}

static struct conn_next park(struct conn *conn, enum close_reason timeout_reason, const char *expected, const char *got)
{
	conn->timeout_reason = (uint8_t)timeout_reason;
	why_set(conn_why(conn), ERR_TIMEOUT, expected, "check that the control plane is reachable: `handfast check`",
		"%s", got);
	return conn_wait();
}

bool conn_has_identity(const struct conn *conn)
{
	const struct worker_snapshot *snapshot = conn->env->snapshot;
	int64_t now_s = trusted_time_now_s(&snapshot->time, loop_clock(conn->env->loop));
	return snapshot->credentials != NULL && credentials_are_valid(snapshot->credentials, now_s);
}

struct conn_next conn_park_for_identity(struct conn *conn)
{
	return park(
		conn, CLOSE_NO_IDENTITY, "a valid identity of this workload", "this workload has no valid identity");
}

static struct conn_next unknown(struct conn *conn)
{
	char text[ADDR_TEXT_MAX];
	bool has_answer = conn->answer != NULL;
	const char *reason = has_answer ? conn->answer->reason : "no answer of the control plane has arrived";
	why_set(conn_why(conn), ERR_NOT_FOUND, "a destination that is meshed or declared plaintext",
		has_answer && conn->has_dst ? "start a sidecar there, or correct 'to' or 'port' of the listener, which "
					      "never leads to plaintext"
		: has_answer
			? "start a sidecar there, list its network under mesh.plaintext_networks, or remove it from "
			  "mesh.networks"
			: "check that the control plane is reachable: `handfast check`",
		"the destination %s is unknown: %s", addr_format(&conn->dst.addr, text),
		reason != NULL ? reason : "the control plane gives no reason");
	return await_answer(conn);
}

struct conn_next conn_resolve_service(struct conn *conn)
{
	const struct worker_snapshot *snapshot = conn->env->snapshot;
	const struct ip_addr *ip =
		snapshot->networks == NULL ? NULL : mesh_networks_service(snapshot->networks, conn->opening->service);
	if (ip == NULL) {
		conn->timeout_reason = CLOSE_UNRESOLVED;
		why_set(conn_why(conn), ERR_NOT_FOUND, "an address of the service from the control plane",
			snapshot->networks == NULL
				? "check that the control plane is reachable: `handfast check`"
				: "add the service to the control plane's settings, or correct listeners.outbound; an "
				  "older control plane knows no services by name",
			"the service %s of the listener is not known", conn->opening->service);
		return conn_wait();
	}
	conn->dst.addr.ip = *ip;
	conn->opening->service = NULL;
	return conn_next();
}

struct conn_next step_resolve(struct conn *conn)
{
	const struct worker_snapshot *snapshot = conn->env->snapshot;
	CHECK(conn->kind == CONN_OUTBOUND);
	if (snapshot->outbound_mode == OUTBOUND_OFF && !conn->has_dst)
		return conn_next();
	if (snapshot->networks == NULL)
		return park(conn, CLOSE_NO_POLICY, "the mesh networks from the control plane",
			"no mesh networks have arrived");
	if (!mesh_networks_needs_answer(snapshot->networks, &conn->dst.addr.ip))
		return conn_next();
	struct answer *known = endpoint_table_find(snapshot->answers, &conn->dst.addr);
	if (known == NULL)
		return unknown(conn);
	answer_unref(conn->answer);
	conn->answer = answer_ref(known);
	if (known->kind == DESTINATION_UNKNOWN)
		return unknown(conn);
	endpoint_waiter_cancel(&conn->opening->waiter);
	return conn_next();
}

/* A meshed destination needs a live endpoint, and this workload a valid identity. */
static struct conn_next admit_meshed(struct conn *conn)
{
	if (conn->answer->num_endpoints == 0) {
		char text[ADDR_TEXT_MAX];
		why_set(conn_why(conn), ERR_UNREACHABLE, "a live endpoint of the meshed destination",
			"start an endpoint; the sidecar never sends plaintext to a meshed destination",
			"the meshed destination %s has no live endpoint", addr_format(&conn->dst.addr, text));
		return conn_close_for(CLOSE_NO_ENDPOINT);
	}
	if (!conn_has_identity(conn))
		return conn_park_for_identity(conn);
	conn->encrypted = true;
	return conn_next();
}

struct conn_next step_admit_outbound(struct conn *conn)
{
	const struct worker_snapshot *snapshot = conn->env->snapshot;
	if (conn->answer != NULL && conn->answer->kind == DESTINATION_MESHED)
		return admit_meshed(conn);
	/* A listener leads into the mesh and nowhere else, whatever the mode is. */
	bool refused = conn->has_dst || snapshot->outbound_mode == OUTBOUND_REQUIRE ||
		       (snapshot->outbound_mode != OUTBOUND_OFF &&
			       mesh_networks_requires_mtls(snapshot->networks, &conn->dst.addr.ip));
	if (refused) {
		char text[ADDR_TEXT_MAX];
		why_set(conn_why(conn), ERR_DENIED, "a meshed destination",
			conn->has_dst ? "start a sidecar there, and list its network under mesh.networks"
				      : "start a sidecar there, or change outbound.mode or mesh.require_mtls_networks",
			"the destination %s is plaintext, and outbound plaintext is not allowed",
			addr_format(&conn->dst.addr, text));
		return conn_close_for(CLOSE_PLAINTEXT_REFUSED);
	}
	return conn_next();
}
