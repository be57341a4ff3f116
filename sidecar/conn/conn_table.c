#include "base/core/check.h"
#include "base/core/mem.h"
#include "base/core/random.h"
#include "base/core/shares.h"
#include "sidecar/conn/conn_state.h"

enum { CONNS_PER_TUNNEL = 64 }; /* for so many, the descriptors have one outbound tunnel besides (process.c) */

struct conn_table {
	struct list all;
	struct conn *cursor; /* the next to recheck: the end of one connection may end others */
	struct conn *sweep;  /* the next of the current pass; NULL: no pass is running */
	size_t num, max;
	uint64_t weight;              /* of a connection that needs two descriptors; of one through a tunnel 1 */
	uint64_t tunnels_besides;     /* outbound tunnels that need none of its units */
	struct share tunnels;         /* of the others */
	struct shares *shares;        /* one class per kind of connection */
	uint64_t slack;               /* units that must be free before on_full reports room for a full kind */
	bool is_full[NUM_CONN_KINDS]; /* as last reported to on_full */
	conn_table_full_fn *on_full;
	void *arg;
};

static uint64_t least(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

/* That part of a small table, and a quarter as much of a large one. */
static uint64_t reserve_of(uint64_t capacity, unsigned part)
{
	uint64_t some = 256 / part, less = capacity / part / 4;
	return least(capacity / part, less > some ? less : some);
}

/* Connections of the workload and streams of authenticated peers have a reserve each, which plaintext sources cannot
 * take; plaintext has half of such a reserve (probes, migration) and gets at most half of all.
 *
 * The units are connections, or descriptors where these are what there is less of. */
struct conn_table *conn_table_new(const struct conn_limits *limits)
{
	struct conn_table *table = mem_new(struct conn_table);
	bool counts_descriptors = limits->descriptors != 0 && limits->descriptors / 2 < limits->max;
	uint64_t capacity = counts_descriptors ? limits->descriptors : limits->max;
	uint64_t quarter = (capacity + 3) / 4, half = (capacity + 1) / 2;
	table->weight = counts_descriptors ? 2 : 1;
	table->max = limits->max;
	/* Where connections are what is counted, each has two descriptors: one may be its tunnel's. */
	table->tunnels_besides = counts_descriptors ? capacity / CONNS_PER_TUNNEL : UINT64_MAX;
	uint64_t per_source = limits->per_source != 0 ? table->weight * limits->per_source : quarter;
	uint64_t per_identity = limits->per_identity != 0 ? limits->per_identity : (limits->max + 1) / 2;
	if (per_identity < table->weight) /* else a direct one would never be taken */
		per_identity = table->weight;
	uint64_t reserve = reserve_of(capacity, 4), reserve_plain = reserve_of(capacity, 8);
	uint64_t most = counts_descriptors ? limits->max - limits->max / 12 : capacity; /* of the other limit */
	table->slack = capacity / 16 + 1;
	table->shares = shares_new(&(struct shares_options){
		.capacity = capacity,
		.num_classes = NUM_CONN_KINDS,
		.classes =
			{
				[CONN_OUTBOUND] = {.reserve = reserve, .max = most},
				[CONN_INBOUND] = {.reserve = reserve,
					.max = most,
					.caps = {[SHARE_KEY_IDENTITY] = per_identity}},
				[CONN_INBOUND_PLAIN] = {.reserve = reserve_plain,
					.max = half,
					.caps = {[SHARE_KEY_ADDRESS] = per_source, [SHARE_KEY_PREFIX64] = per_source}},
			},
		.seed = random_u64(),
	});
	return table;
}

void conn_table_free(struct conn_table *table)
{
	CHECK(table->cursor == NULL); /* not from within conn_table_snapshot_changed() */
	conn_table_cut_all(table, CLOSE_DRAINED);
	CHECK(table->num == 0 && table->sweep == NULL);
	shares_give(&table->tunnels);
	shares_free(table->shares);
	mem_free(table);
}

size_t conn_table_num(const struct conn_table *table)
{
	return table->num;
}

bool conn_table_is_full(const struct conn_table *table, enum conn_kind kind)
{
	CHECK(kind < NUM_CONN_KINDS);
	return table->is_full[kind];
}

void conn_table_on_full(struct conn_table *table, conn_table_full_fn *on_full, void *arg)
{
	table->on_full = on_full;
	table->arg = arg;
}

uint64_t conn_table_room(const struct conn_table *table, enum conn_kind kind)
{
	return least(shares_room(table->shares, kind), table->max - table->num);
}

/* Reports room only when there is room for several, so that it does not report with every connection. Checks all kinds,
 * because a place that one kind gives back may be room for another. */
static void report_full(struct conn_table *table)
{
	for (unsigned kind = 0; kind < NUM_CONN_KINDS; kind++) {
		uint64_t room = conn_table_room(table, kind);
		bool is_full = table->is_full[kind] ? room < table->slack : room < table->weight;
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
	CHECK(!list_is_linked(&conn->link));
	if (table->num >= table->max)
		return SHARE_LIMIT_CAPACITY;
	size_t num_keys = keys_of(conn, keys);
	uint64_t weight = conn->opening->stream != NULL ? 1 : table->weight;
	enum share_limit limit = shares_take(table->shares, conn->kind, keys, num_keys, weight, &conn->share);
	if (limit != SHARE_LIMIT_NONE)
		return limit;
	list_push_front(&table->all, &conn->link);
	table->num++;
	report_full(table);
	return SHARE_LIMIT_NONE;
}

enum share_limit conn_table_weigh(struct conn_table *table, struct conn *conn, bool is_tunneled)
{
	CHECK(list_is_linked(&conn->link));
	enum share_limit limit = shares_resize(&conn->share, is_tunneled ? 1 : table->weight);
	report_full(table);
	return limit;
}

static void resize_tunnels(struct conn_table *table, uint64_t units)
{
	enum share_limit limit = SHARE_LIMIT_NONE;
	if (units == 0)
		shares_give(&table->tunnels);
	else if (table->tunnels.shares != NULL)
		limit = shares_resize(&table->tunnels, units);
	else
		limit = shares_take(table->shares, CONN_OUTBOUND, NULL, 0, units, &table->tunnels);
	CHECK(limit == SHARE_LIMIT_NONE); /* no more than there is room for */
}

void conn_table_note_tunnels(struct conn_table *table, uint64_t num)
{
	uint64_t units = num > table->tunnels_besides ? num - table->tunnels_besides : 0;
	uint64_t most = table->tunnels.weight + shares_room(table->shares, CONN_OUTBOUND);
	units = least(units, most);
	if (units == table->tunnels.weight)
		return;
	resize_tunnels(table, units);
	report_full(table);
}

void conn_table_remove(struct conn_table *table, struct conn *conn)
{
	CHECK(list_is_linked(&conn->link) && table->num > 0);
	if (table->cursor == conn)
		table->cursor = LIST_NEXT(&table->all, conn, link);
	if (table->sweep == conn)
		table->sweep = LIST_NEXT(&table->all, conn, link);
	list_remove(&conn->link);
	table->num--;
	CHECK((table->num == 0) == list_is_empty(&table->all));
	shares_give(&conn->share);
	report_full(table);
}

/* A connection that is not decided yet runs its step again under the new snapshot; others must still be allowed. */
static void reevaluate(struct conn *conn)
{
	if (conn->step < STEP_OPEN) {
		conn_wake(conn);
		return;
	}
	struct conn_next next = conn_recheck(conn);
	if (next.kind == CONN_CLOSE)
		conn_end(conn, next.reason);
	else if (conn->step == STEP_OPEN) /* it may be waiting for an identity */
		conn_wake(conn);
}

void conn_table_snapshot_changed(struct conn_table *table)
{
	CHECK(table->cursor == NULL);
	table->cursor = LIST_FIRST(&table->all, struct conn, link);
	while (table->cursor != NULL) {
		struct conn *conn = table->cursor;
		table->cursor = LIST_NEXT(&table->all, conn, link);
		reevaluate(conn);
	}
}

bool conn_table_inspect(struct conn_table *table, size_t num, const struct leg_inspection *inspection)
{
	if (table->sweep == NULL)
		table->sweep = LIST_FIRST(&table->all, struct conn, link);
	for (size_t i = 0; i < num && table->sweep != NULL; i++) {
		struct conn *conn = table->sweep;
		table->sweep = LIST_NEXT(&table->all, conn, link);
		conn_inspect(conn, inspection);
	}
	return table->sweep != NULL;
}

void conn_table_cut_all(struct conn_table *table, enum close_reason reason)
{
	for (struct conn *conn; (conn = LIST_FIRST(&table->all, struct conn, link)) != NULL;)
		conn_end(conn, reason);
}

void conn_table_each(const struct conn_table *table, conn_each_fn *each, void *arg)
{
	LIST_EACH(&table->all, const struct conn, conn, link)
		each(arg, conn);
}
