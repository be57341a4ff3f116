/* Steps 4 and 5 of inbound connections: whether plaintext is allowed on this port, and whether policy allows the
 * source. */
#include "base/core/check.h"
#include "sidecar/conn/conn_state.h"
#include <string.h>

static struct conn_next park(struct conn *conn)
{
	conn->timeout_reason = CLOSE_NO_POLICY;
	why_set(conn_why(conn), ERR_TIMEOUT, "this workload's policy from the control plane",
		"check that the control plane is reachable: `handfast check`", "no policy has arrived");
	return conn_wait();
}

static void describe_denial(struct conn *conn, const char *expected, const char *rule)
{
	const struct spiffe_id *peer = conn_peer_id(conn);
	char text[ADDR_TEXT_MAX];
	why_set(conn_why(conn), ERR_DENIED, expected,
		peer != NULL
			? "if the source may connect, allow it in the control plane's policy; see `handfast policy "
			  "check`"
			: "give the source a sidecar; or set the port's mode to permissive, and where rules decide "
			  "there, allow it by one with 'unauthenticated: true': `handfast policy check` names both",
		"policy refuses %s at %s (rule: %s)", peer != NULL ? peer->text : "a source without identity",
		addr_format(&conn->source, text), rule);
}

static void decision_store(struct conn *conn, struct policy *policy, const struct policy_decision *made)
{
	if (conn->policy != policy) {
		policy_unref(conn->policy);
		conn->policy = policy_ref(policy);
	}
	conn->policy_generation = policy->generation;
	conn->rule = made->rule;
	conn->dry_run_rule = made->dry_run_rule;
}

/* A later policy counts a connection again only for a rule that it was not counted for. */
static void report_dry_run(const struct conn *conn, const char *rule_before, const struct policy_decision *made)
{
	const struct conn_observer *observer = &conn->env->observer;
	if (made->dry_run_rule == NULL || observer->on_dry_run == NULL ||
		(rule_before != NULL && strcmp(rule_before, made->dry_run_rule) == 0))
		return;
	const struct conn_dry_run event = {.rule = made->dry_run_rule,
		.would_deny = made->outcome == POLICY_ALLOWED,
		.was_open = conn->step >= STEP_OPEN,
		.id = conn_peer_id(conn),
		.source = conn->source,
		.port = conn->dst.addr.port};
	observer->on_dry_run(observer->arg, &event);
}

struct conn_next conn_decide(struct conn *conn)
{
	struct policy *policy = conn->env->snapshot->policy;
	CHECK(policy != NULL && conn->kind != CONN_OUTBOUND);
	const struct policy_source source = {.id = conn_peer_id(conn), .ip = conn->source.ip};
	const struct policy_decision made = policy_decide(policy, &source, conn->dst.addr.port);
	report_dry_run(conn, conn->dry_run_rule, &made); /* before the former policy, which owns the name, goes */
	decision_store(conn, policy, &made);
	switch (made.outcome) {
	case POLICY_ALLOWED:
		return conn_next();
	case POLICY_DENIED:
		describe_denial(conn, "a source that policy allows", made.rule);
		return conn_close_for(CLOSE_DENIED);
	case POLICY_PLAINTEXT_REFUSED:
		describe_denial(conn, "a mutually authenticated tunnel, because the port is strict", made.rule);
		return conn_close_for(CLOSE_PLAINTEXT_REFUSED);
	}
	CHECK_UNREACHABLE();
}

struct conn_next step_admit_inbound_plain(struct conn *conn)
{
	const struct policy *policy = conn->env->snapshot->policy;
	if (policy == NULL)
		return park(conn);
	if (policy_mode(policy, conn->dst.addr.port) != INBOUND_STRICT)
		return conn_next();
	describe_denial(conn, "a mutually authenticated tunnel, because the port is strict", "mode_strict");
	return conn_close_for(CLOSE_PLAINTEXT_REFUSED);
}

struct conn_next step_authorize(struct conn *conn)
{
	return conn->env->snapshot->policy == NULL ? park(conn) : conn_decide(conn);
}
