/* What a connection shows of its endpoint: it failed and is set aside, or it serves (decision 087). */
#include "base/core/check.h"
#include "sidecar/conn/conn_state.h"

enum { BRIEF_MS = 5000 }; /* a relay that ends sooner and without a byte is a failure */

static void note_outlier(struct conn *conn, uint32_t pause_ms, const struct why *why)
{
	const struct conn_observer *observer = &conn->env->observer;
	if (observer->on_outlier != NULL)
		observer->on_outlier(observer->arg, &conn->dst.addr, &conn->endpoint, pause_ms, why);
}

void conn_endpoint_failed(struct conn *conn, bool was_open, const struct why *why)
{
	CHECK(conn->encrypted && conn->answer != NULL && why->err != ERR_NONE);
	if (conn->answer->num_endpoints == 1) /* there is no other to use meanwhile */
		return;
	uint32_t pause_ms =
		outliers_failed(conn->env->outliers, &conn->endpoint, was_open, loop_now_ms(conn->env->loop));
	if (pause_ms > 0)
		note_outlier(conn, pause_ms, why);
}

void conn_endpoint_served(struct conn *conn)
{
	conn->is_unproven = false;
	if (outliers_served(conn->env->outliers, &conn->endpoint))
		note_outlier(conn, 0, NULL);
}

/* It ended what it had just accepted, without a byte: without this it would always be the one with the fewest
 * connections and the fastest answers, and get them all. A caller that ended first may be ended so, too. */
static bool is_turned_away(const struct conn *conn, enum relay_end end)
{
	uint64_t for_ms = loop_now_ms(conn->env->loop) - conn->opened_ms - conn->opening_ms;
	return (end == RELAY_RESET_UPSTREAM || end == RELAY_WITHDRAWN) && for_ms < BRIEF_MS &&
	       relay_counts(conn->relay).to_downstream == 0 && !relay_caller_has_ended(conn->relay);
}

void conn_judge_endpoint(struct conn *conn, enum relay_end end)
{
	struct why why = {0};
	if (conn->kind != CONN_OUTBOUND || !conn->encrypted)
		return;
	if (end == RELAY_DONE && conn->is_unproven)
		conn_endpoint_served(conn);
	if (!is_turned_away(conn, end))
		return;
	why_set(&why, ERR_RESET, "an answer, or an end in order", "read the log of that endpoint and of its sidecar",
		"it accepted the connection and reset it without a byte");
	conn_endpoint_failed(conn, true, &why);
}
