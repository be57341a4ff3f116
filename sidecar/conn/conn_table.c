#include "base/core/check.h"
#include "base/core/mem.h"
#include "sidecar/conn/conn_state.h"

struct conn_table {
	struct conn *all;
	size_t num, max;
};

struct conn_table *conn_table_new(size_t max)
{
	struct conn_table *table = mem_new(struct conn_table);
	table->max = max;
	return table;
}

void conn_table_free(struct conn_table *table)
{
	conn_table_cut_all(table, CLOSE_DRAINED);
	mem_free(table);
}

size_t conn_table_num(const struct conn_table *table)
{
	return table->num;
}

bool conn_table_add(struct conn_table *table, struct conn *conn)
{
	conn->next = table->all;
	conn->prev = &table->all;
	if (conn->next != NULL)
		conn->next->prev = &conn->next;
	table->all = conn;
	return ++table->num <= table->max;
}

void conn_table_remove(struct conn_table *table, struct conn *conn)
{
	CHECK(conn->prev != NULL && table->num > 0);
	*conn->prev = conn->next;
	if (conn->next != NULL)
		conn->next->prev = conn->prev;
	conn->prev = NULL;
	table->num--;
}

static bool peer_is_banned(const struct conn *conn)
{
	const struct credentials *credentials = conn->env->view->credentials;
	const struct spiffe_id *peer = conn_peer_id(conn);
	return credentials != NULL && peer != NULL && bundle_set_is_banned(credentials_bundles(credentials), peer);
}

/* Plaintext that leaves while the new view says that nothing may. */
static bool now_needs_mesh(const struct conn *conn)
{
	const struct view *view = conn->env->view;
	if (conn->kind != CONN_OUTBOUND || conn->encrypted || view->outbound_mode == OUTBOUND_OFF)
		return false;
	return view->networks != NULL && mesh_networks_is_required(view->networks, &conn->dst.addr.ip);
}

static void look_again(struct conn *conn)
{
	if (conn->step < STEP_RELAY) {
		conn_wake(conn);
		return;
	}
	if (peer_is_banned(conn)) {
		conn_end(conn, CLOSE_WITHDRAWN);
		return;
	}
	const struct policy *policy = conn->env->view->policy;
	bool changed = policy != NULL && policy->generation != conn->policy_generation;
	if (now_needs_mesh(conn) || (changed && conn->kind != CONN_OUTBOUND && conn_decide(conn).kind == CONN_CLOSE))
		conn_end(conn, CLOSE_POLICY_CHANGED);
}

void conn_table_view_changed(struct conn_table *table)
{
	struct conn *next;
	for (struct conn *conn = table->all; conn != NULL; conn = next) {
		next = conn->next;
		look_again(conn);
	}
}

void conn_table_cut_all(struct conn_table *table, enum close_reason reason)
{
	while (table->all != NULL)
		conn_end(table->all, reason);
}

void conn_table_each(const struct conn_table *table, conn_each_fn *each, void *arg)
{
	for (const struct conn *conn = table->all; conn != NULL; conn = conn->next)
		each(arg, conn);
}
