#include "base/core/check.h"
#include "base/core/mem.h"
#include "sidecar/conn/conn_state.h"

struct conn_table {
	struct conn *all;
	struct conn *cursor; /* the next to look at: the end of one may be the end of others */
	struct conn *sweep;  /* the next of the pass under way; NULL: none is */
	size_t num, max;
	bool is_full;
	conn_table_full_fn *on_full;
	void *arg;
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

void conn_table_on_full(struct conn_table *table, conn_table_full_fn *on_full, void *arg)
{
	table->on_full = on_full;
	table->arg = arg;
}

/* Room for a few before it is told, so that it is not told with every connection. */
static void tell_full(struct conn_table *table)
{
	bool is_full = table->num >= (table->is_full ? table->max - table->max / 16 : table->max);
	if (table->is_full == is_full)
		return;
	table->is_full = is_full;
	if (table->on_full != NULL)
		table->on_full(table->arg, is_full);
}

bool conn_table_add(struct conn_table *table, struct conn *conn)
{
	conn->next = table->all;
	conn->prev = &table->all;
	if (conn->next != NULL)
		conn->next->prev = &conn->next;
	table->all = conn;
	table->num++;
	tell_full(table);
	return table->num <= table->max;
}

void conn_table_remove(struct conn_table *table, struct conn *conn)
{
	CHECK(conn->prev != NULL && table->num > 0);
	if (table->cursor == conn)
		table->cursor = conn->next;
	if (table->sweep == conn)
		table->sweep = conn->next;
	*conn->prev = conn->next;
	if (conn->next != NULL)
		conn->next->prev = conn->prev;
	conn->prev = NULL;
	table->num--;
	tell_full(table);
}

/* What was not decided yet runs its step again, under the new view; the rest must still be allowed. */
static void look_again(struct conn *conn)
{
	if (conn->step < STEP_OPEN) {
		conn_wake(conn);
		return;
	}
	struct conn_next next = conn_recheck(conn);
	if (next.kind == CONN_CLOSE)
		conn_end(conn, next.reason);
	else if (conn->step == STEP_OPEN) /* it may wait for an identity there */
		conn_wake(conn);
}

void conn_table_view_changed(struct conn_table *table)
{
	CHECK(table->cursor == NULL);
	table->cursor = table->all;
	while (table->cursor != NULL) {
		struct conn *conn = table->cursor;
		table->cursor = conn->next;
		look_again(conn);
	}
}

bool conn_table_look(struct conn_table *table, size_t num, const struct leg_look *look)
{
	if (table->sweep == NULL)
		table->sweep = table->all;
	for (size_t i = 0; i < num && table->sweep != NULL; i++) {
		struct conn *conn = table->sweep;
		table->sweep = conn->next;
		conn_look(conn, look);
	}
	return table->sweep != NULL;
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
