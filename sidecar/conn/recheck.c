/* Checks whether the current snapshot still allows a connection that was decided before. */
#include "base/core/check.h"
#include "sidecar/conn/conn_state.h"

static bool peer_is_banned(const struct conn *conn)
{
	const struct credentials *credentials = conn->env->snapshot->credentials;
	const struct spiffe_id *peer = conn_peer_id(conn);
	return credentials != NULL && peer != NULL && bundle_set_is_banned(credentials_bundles(credentials), peer);
}

/* An outbound plaintext connection to a network that requires mTLS now, or of a sidecar that does. */
static bool now_requires_mesh(const struct conn *conn)
{
	const struct worker_snapshot *snapshot = conn->env->snapshot;
	if (conn->kind != CONN_OUTBOUND || conn->encrypted || snapshot->outbound_mode == OUTBOUND_OFF)
		return false;
	if (snapshot->outbound_mode == OUTBOUND_REQUIRE)
		return true;
	return snapshot->networks != NULL && mesh_networks_requires_mtls(snapshot->networks, &conn->dst.addr.ip);
}

/* An outbound plaintext connection that has sent no byte yet, to a destination that has joined the mesh meanwhile. An
 * answer that was only evicted from the table changes nothing for a connection that has one. */
static bool may_now_be_meshed(const struct conn *conn)
{
	const struct worker_snapshot *snapshot = conn->env->snapshot;
	bool is_under_way = conn->kind == CONN_OUTBOUND && !conn->encrypted && conn->relay == NULL;
	if (!is_under_way || snapshot->outbound_mode == OUTBOUND_OFF || snapshot->networks == NULL ||
		!mesh_networks_needs_answer(snapshot->networks, &conn->dst.addr.ip))
		return false;
	const struct answer *known = endpoint_table_find(snapshot->answers, &conn->dst.addr);
	return known == NULL ? conn->answer == NULL : known->kind != DESTINATION_PLAINTEXT;
}

static bool is_now_denied(struct conn *conn)
{
	const struct policy *policy = conn->env->snapshot->policy;
	if (conn->kind == CONN_OUTBOUND || policy == NULL || policy->generation == conn->policy_generation)
		return false;
	return conn_decide(conn).kind == CONN_CLOSE;
}

struct conn_next conn_recheck(struct conn *conn)
{
	CHECK(conn->step >= STEP_OPEN); /* decided */
	if (peer_is_banned(conn)) {
		why_set(conn_why(conn), ERR_REVOKED, "an identity that is not banned",
			"to allow this identity again, lift the ban: `handfast unban`", "the identity %s is banned",
			conn_peer_id(conn)->text);
		return conn_close_for(CLOSE_WITHDRAWN);
	}
	if (now_requires_mesh(conn)) {
		char text[ADDR_TEXT_MAX];
		why_set(conn_why(conn), ERR_DENIED, "a meshed destination",
			"start a sidecar there, or change outbound.mode or mesh.require_mtls_networks",
			"the destination %s is plaintext, and mTLS is required now",
			addr_format(&conn->dst.addr, text));
		return conn_close_for(CLOSE_POLICY_CHANGED);
	}
	if (may_now_be_meshed(conn)) {
		char text[ADDR_TEXT_MAX];
		why_set(conn_why(conn), ERR_DENIED, "a destination that stays plaintext until the connection is open",
			"connect again: the new connection is decided again", "the destination %s may be meshed now",
			addr_format(&conn->dst.addr, text));
		return conn_close_for(CLOSE_POLICY_CHANGED);
	}
	return is_now_denied(conn) ? conn_close_for(CLOSE_POLICY_CHANGED) : conn_next();
}
