#include "base/core/check.h"
#include "base/core/mem.h"
#include "base/core/random.h"
#include "base/core/shares.h"
#include "sidecar/conn/conn_state.h"

struct conn_table {
	struct conn *all;
	struct conn *cursor; /* the next to look at: the end of one may be the end of others */
	struct conn *sweep;  /* the next of the pass under way; NULL: none is */
	size_t num;
	struct shares *shares;        /* a class for each kind of connection */
	uint64_t slack;               /* units that must be free before a full kind is told to have room */
	bool is_full[NUM_CONN_KINDS]; /* as it was told */
	conn_table_full_fn *on_full;
	void *arg;
};

/* What the workload opens and what comes from proven peers keep a quarter each that strangers cannot take; plaintext
 * keeps an eighth (probes, migration) and never gets more than half. */
struct conn_table *conn_table_new(const struct conn_limits *limits)
{
	struct conn_table *table = mem_new(struct conn_table);
	uint64_t max = limits->max, quarter = (max + 3) / 4, half = (max + 1) / 2;
	uint64_t per_source = limits->per_source != 0 ? limits->per_source : quarter;
	uint64_t per_identity = limits->per_identity != 0 ? limits->per_identity : half;
	table->slack = max / 16 + 1;
	table->shares = shares_new(&(struct shares_options){
		.capacity = max,
		.num_classes = NUM_CONN_KINDS,
		.classes =
			{
				[CONN_OUTBOUND] = {.reserve = max / 4},
				[CONN_INBOUND] = {.reserve = max / 4, .caps = {[SHARE_KEY_IDENTITY] = per_identity}},
				[CONN_INBOUND_PLAIN] = {.reserve = max / 8,
					.max = half,
					.caps = {[SHARE_KEY_ADDRESS] = per_source, [SHARE_KEY_PREFIX64] = per_source}},
			},
		.seed = random_u64(),
	});
	return table;
}

void conn_table_free(struct conn_table *table)
{
	conn_table_cut_all(table, CLOSE_DRAINED);
	shares_free(table->shares);
	mem_free(table);
}

size_t conn_table_num(const struct conn_table *table)
{
	return table->num;
}

bool conn_table_is_full(const struct conn_table *table, enum conn_kind kind)
{
	return table->is_full[kind];
}

void conn_table_on_full(struct conn_table *table, conn_table_full_fn *on_full, void *arg)
{
	table->on_full = on_full;
	table->arg = arg;
}

/* Room for a few before it is told, so that it is not told with every connection. One kind's may be another's. */
static void tell_full(struct conn_table *table)
{
	for (unsigned kind = 0; kind < NUM_CONN_KINDS; kind++) {
		uint64_t room = shares_room(table->shares, kind);
		bool is_full = table->is_full[kind] ? room < table->slack : room == 0;
		if (table->is_full[kind] == is_full)
			continue;
		table->is_full[kind] = is_full;
		if (table->on_full != NULL)
			table->on_full(table->arg, (enum conn_kind)kind, is_full);
	}
}

static size_t keys_of(const struct conn *conn, struct share_key out[SHARE_KEYS_MAX])
{
	switch ((enum conn_kind)conn->kind) {
	case CONN_OUTBOUND:
		return 0;
	case CONN_INBOUND:
		out[0] = share_key_of_bytes(span_of_str(conn_peer_id(conn)->text));
		return 1;
	case CONN_INBOUND_PLAIN:
		return share_keys_of_source(&conn->source.ip, out);
	}
	CHECK_UNREACHABLE();
}

enum share_limit conn_table_add(struct conn_table *table, struct conn *conn)
{
	struct share_key keys[SHARE_KEYS_MAX];
	size_t num_keys = keys_of(conn, keys);
	enum share_limit limit = shares_take(table->shares, conn->kind, keys, num_keys, 1, &conn->share);
	if (limit != SHARE_LIMIT_NONE)
		return limit;
	conn->next = table->all;
	conn->prev = &table->all;
	if (conn->next != NULL)
		conn->next->prev = &conn->next;
	table->all = conn;
	table->num++;
	tell_full(table);
	return SHARE_LIMIT_NONE;
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
	shares_give(&conn->share);
	tell_full(table);
}

/* What was not decided yet runs its step again, under the new snapshot; the rest must still be allowed. */
static void poll_again(struct conn *conn)
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

void conn_table_snapshot_changed(struct conn_table *table)
{
	CHECK(table->cursor == NULL);
	table->cursor = table->all;
	while (table->cursor != NULL) {
		struct conn *conn = table->cursor;
		table->cursor = conn->next;
		poll_again(conn);
	}
}

bool conn_table_inspect(struct conn_table *table, size_t num, const struct leg_inspection *inspection)
{
	if (table->sweep == NULL)
		table->sweep = table->all;
	for (size_t i = 0; i < num && table->sweep != NULL; i++) {
		struct conn *conn = table->sweep;
		table->sweep = conn->next;
		conn_inspect(conn, inspection);
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
