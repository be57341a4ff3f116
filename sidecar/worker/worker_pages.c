#include "sidecar/worker/worker_pages.h"

#include "base/core/check.h"
#include "base/core/mem.h"
#include "sidecar/report/admin.h"
#include "sidecar/report/pages.h"
#include "sidecar/worker/worker_gather.h"

enum { MAX_ROWS = 1000 }; /* per worker: a page of a hundred thousand rows is unreadable and delays the worker */

/* --- /connections --- */

struct conn_row {
	struct conn_summary summary;
	char *peer; /* summary.peer, copied */
};

struct conn_rows {
	struct conn_row *rows;
	size_t num, total;
};

static void copy_conn(void *arg, const struct conn *conn)
{
	struct conn_rows *rows = arg;
	if (rows->num == MAX_ROWS)
		return;
	CHECK(rows->num < rows->total); /* as many rows as the table had connections */
	struct conn_row *row = &rows->rows[rows->num++];
	conn_summary(conn, &row->summary);
	row->peer = row->summary.peer == NULL ? NULL : mem_strdup(row->summary.peer->text);
	row->summary.peer = NULL;
}

static void inspect_conns(void *slot, const struct worker_inside *inside)
{
	struct conn_rows *rows = slot;
	rows->total = conn_table_num(inside->conns);
	rows->rows = mem_calloc(rows->total < MAX_ROWS ? rows->total : MAX_ROWS, sizeof(struct conn_row));
	conn_table_each(inside->conns, copy_conn, rows);
}

static json_t *conn_json(unsigned worker, const struct conn_row *row)
{
	static const char *const directions[NUM_CONN_KINDS] = {"outbound", "inbound", "inbound_plain"};
	const struct conn_summary *summary = &row->summary;
	return json_pack("{s:i, s:s, s:s, s:o, s:o, s:o, s:b, s:I, s:I, s:I}", "worker", (int)worker, "direction",
		directions[summary->kind], "step", summary->step, "source", page_addr(&summary->source), "destination",
		page_addr(&summary->destination), "peer", page_text(row->peer), "encrypted", summary->encrypted,
		"bytes_sent", (json_int_t)summary->counts.to_upstream, "bytes_received",
		(json_int_t)summary->counts.to_downstream, "age_ms", (json_int_t)summary->age_ms);
}

static void answer_conns(void *arg, void *slots, unsigned num)
{
	struct conn_rows *of_workers = slots;
	json_t *list = json_array();
	size_t total = 0;
	for (unsigned i = 0; i < num; i++) {
		struct conn_rows *rows = &of_workers[i];
		CHECK(rows->num <= rows->total && rows->num <= MAX_ROWS);
		total += rows->total;
		for (size_t k = 0; k < rows->num; k++) {
			json_array_append_new(list, conn_json(i, &rows->rows[k]));
			mem_free(rows->rows[k].peer);
		}
		mem_free(rows->rows);
	}
	size_t shown = json_array_size(list);
	admin_answer_json(arg, json_pack("{s:I, s:I, s:o}", "total", (json_int_t)total, "shown", (json_int_t)shown,
				       "connections", list));
}

void worker_page_connections(
	struct http_request *request, struct worker *const *workers, unsigned num, struct loop *reply_to)
{
	worker_gather(workers, num, sizeof(struct conn_rows), inspect_conns, reply_to, answer_conns, request);
}

/* --- /tunnels --- */

struct tunnel_row {
	bool outbound, draining;
	struct addr local, remote;
	char *peer;
	const char *key_exchange;
	int64_t not_after_s; /* of the peer's identity */
	unsigned num_streams;
};

struct tunnel_rows {
	struct tunnel_row *rows;
	size_t num, total;
	struct set_aside {
		struct addr endpoint;
		uint64_t for_ms;
	} * set_aside;
	size_t num_set_aside;
};

static void copy_tunnel(void *arg, bool outbound, const struct addr *local, const struct addr *remote,
	const struct svid *peer, unsigned num_streams, bool draining, const char *key_exchange)
{
	struct tunnel_rows *rows = arg;
	rows->total++;
	if (rows->num == MAX_ROWS)
		return;
	rows->rows[rows->num++] = (struct tunnel_row){
		.outbound = outbound,
		.draining = draining,
		.local = *local,
		.remote = *remote,
		.peer = peer == NULL ? NULL : mem_strdup(svid_id(peer)->text),
		.not_after_s = peer == NULL ? 0 : svid_not_after_s(peer),
		.num_streams = num_streams,
		.key_exchange = key_exchange,
	};
}

static void copy_set_aside(void *arg, const struct addr *endpoint, uint64_t for_ms)
{
	struct tunnel_rows *rows = arg;
	if (rows->num_set_aside < MAX_ROWS)
		rows->set_aside[rows->num_set_aside++] = (struct set_aside){*endpoint, for_ms};
}

static void inspect_tunnels(void *slot, const struct worker_inside *inside)
{
	struct tunnel_rows *rows = slot;
	rows->set_aside = mem_calloc(MAX_ROWS, sizeof(struct set_aside));
	outliers_each(inside->outliers, inside->now_ms, copy_set_aside, rows);
	rows->rows = mem_calloc(MAX_ROWS, sizeof(struct tunnel_row));
	tunnel_pool_each(inside->pool, copy_tunnel, rows);
	tunnel_server_each(inside->server, copy_tunnel, rows);
}

static json_t *tunnel_json(unsigned worker, const struct tunnel_row *row)
{
	return json_pack("{s:i, s:s, s:o, s:o, s:o, s:s, s:o, s:i, s:b}", "worker", (int)worker, "direction",
		row->outbound ? "outbound" : "inbound", "local", page_addr(&row->local), "remote",
		page_addr(&row->remote), "peer", page_text(row->peer), "key_exchange", row->key_exchange,
		"peer_not_after", row->peer == NULL ? json_null() : page_time_s(row->not_after_s), "streams",
		(int)row->num_streams, "draining", row->draining);
}

static void put_set_aside(json_t *list, unsigned worker, const struct tunnel_rows *rows)
{
	for (size_t i = 0; i < rows->num_set_aside; i++)
		json_array_append_new(list, json_pack("{s:i, s:o, s:I}", "worker", (int)worker, "endpoint",
						    page_addr(&rows->set_aside[i].endpoint), "for_ms",
						    (json_int_t)rows->set_aside[i].for_ms));
}

static void answer_tunnels(void *arg, void *slots, unsigned num)
{
	struct tunnel_rows *of_workers = slots;
	json_t *list = json_array(), *set_aside = json_array();
	size_t total = 0;
	for (unsigned i = 0; i < num; i++) {
		struct tunnel_rows *rows = &of_workers[i];
		CHECK(rows->num <= rows->total && rows->num <= MAX_ROWS);
		total += rows->total;
		for (size_t k = 0; k < rows->num; k++) {
			json_array_append_new(list, tunnel_json(i, &rows->rows[k]));
			mem_free(rows->rows[k].peer);
		}
		put_set_aside(set_aside, i, rows);
		mem_free(rows->set_aside);
		mem_free(rows->rows);
	}
	size_t shown = json_array_size(list);
	admin_answer_json(arg, json_pack("{s:I, s:I, s:o, s:o}", "total", (json_int_t)total, "shown", (json_int_t)shown,
				       "tunnels", list, "endpoints_set_aside", set_aside));
}

void worker_page_tunnels(
	struct http_request *request, struct worker *const *workers, unsigned num, struct loop *reply_to)
{
	worker_gather(workers, num, sizeof(struct tunnel_rows), inspect_tunnels, reply_to, answer_tunnels, request);
}

/* --- totals --- */

struct totals_request {
	worker_totals_fn *on_totals;
	void *arg;
};

static void count_one(void *arg, const struct addr *endpoint, uint64_t for_ms)
{
	(void)endpoint;
	(void)for_ms;
	(*(size_t *)arg)++;
}

static void inspect_totals(void *slot, const struct worker_inside *inside)
{
	int64_t out_s = tunnel_pool_oldest_identity_s(inside->pool);
	int64_t in_s = tunnel_server_oldest_identity_s(inside->server);
	*(struct worker_totals *)slot = (struct worker_totals){
		.num_connections = conn_table_num(inside->conns),
		.num_tunnels = tunnel_pool_num_tunnels(inside->pool) + tunnel_server_num_tunnels(inside->server),
		.num_streams = tunnel_pool_num_streams(inside->pool) + tunnel_server_num_streams(inside->server),
		.oldest_identity_s = out_s > in_s ? out_s : in_s,
		.num_refused = inside->num_refused,
	};
	outliers_each(inside->outliers, inside->now_ms, count_one, &((struct worker_totals *)slot)->num_ejected);
	for (unsigned kind = 0; kind < NUM_CONN_KINDS; kind++)
		((struct worker_totals *)slot)->num_full[kind] =
			conn_table_is_full(inside->conns, (enum conn_kind)kind);
}

static void answer_totals(void *arg, void *slots, unsigned num)
{
	struct totals_request *request = arg;
	const struct worker_totals *of_workers = slots;
	struct worker_totals all = {0};
	for (unsigned i = 0; i < num; i++) {
		all.num_connections += of_workers[i].num_connections;
		all.num_tunnels += of_workers[i].num_tunnels;
		all.num_streams += of_workers[i].num_streams;
		all.num_refused += of_workers[i].num_refused;
		all.num_ejected += of_workers[i].num_ejected;
		for (unsigned kind = 0; kind < NUM_CONN_KINDS; kind++)
			all.num_full[kind] += of_workers[i].num_full[kind];
		if (of_workers[i].oldest_identity_s > all.oldest_identity_s)
			all.oldest_identity_s = of_workers[i].oldest_identity_s;
	}
	request->on_totals(request->arg, &all);
	mem_free(request);
}

void worker_gather_totals(
	struct worker *const *workers, unsigned num, struct loop *reply_to, worker_totals_fn *on_totals, void *arg)
{
	struct totals_request *request = mem_new(struct totals_request);
	*request = (struct totals_request){.on_totals = on_totals, .arg = arg};
	worker_gather(workers, num, sizeof(struct worker_totals), inspect_totals, reply_to, answer_totals, request);
}
