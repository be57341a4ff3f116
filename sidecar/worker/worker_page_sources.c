/* /connections?by=source: the open inbound connections, counted by what policy decides by. */
#include "base/core/check.h"
#include "base/core/hash.h"
#include "base/core/mem.h"
#include "base/core/table.h"
#include "sidecar/report/admin.h"
#include "sidecar/report/pages.h"
#include "sidecar/worker/worker_gather.h"
#include "sidecar/worker/worker_pages.h"
#include <string.h>

enum { MAX_SOURCES = 4000 }; /* per worker */

struct source {
	struct table_link link;
	enum conn_kind kind;
	struct addr from; /* the address, with the port that was dialed */
	size_t num;       /* connections */
	char *peer;       /* NULL: none */
};

struct sources { /* of one worker */
	struct table table;
	struct source *list;
	size_t num, num_connections, num_counted;
};

static bool is_same(const struct table_link *link, const void *key)
{
	const struct source *one = container_of(link, const struct source, link), *wanted = key;
	return one->kind == wanted->kind && addr_eq(&one->from, &wanted->from) &&
	       strcmp(one->peer == NULL ? "" : one->peer, wanted->peer == NULL ? "" : wanted->peer) == 0;
}

static uint64_t hash_of(const struct source *key, const struct table *table)
{
	uint64_t hash = addr_hash(&key->from, table->seed);
	return key->peer == NULL ? hash : hash ^ hash_bytes(span_of_str(key->peer), table->seed);
}

static void count_conn(void *arg, const struct conn *conn)
{
	struct sources *sources = arg;
	struct conn_summary summary;
	conn_summary(conn, &summary);
	if (summary.kind == CONN_OUTBOUND)
		return;
	struct source key = {.kind = summary.kind,
		.from = {.ip = summary.source.ip, .port = summary.destination.port},
		.peer = summary.peer == NULL ? NULL : summary.peer->text};
	uint64_t hash = hash_of(&key, &sources->table);
	struct table_link *link = table_find(&sources->table, hash, is_same, &key);
	sources->num_connections++;
	if (link == NULL && sources->num == MAX_SOURCES)
		return;
	if (link == NULL) {
		struct source *fresh = &sources->list[sources->num++];
		*fresh = key;
		fresh->peer = key.peer == NULL ? NULL : mem_strdup(key.peer);
		link = &fresh->link;
		table_add(&sources->table, link, hash);
	}
	container_of(link, struct source, link)->num++;
	sources->num_counted++;
}

static void inspect(void *slot, const struct worker_inside *inside)
{
	struct sources *sources = slot;
	size_t num = conn_table_num(inside->conns);
	sources->list = mem_calloc(num < MAX_SOURCES ? num + 1 : MAX_SOURCES, sizeof(struct source));
	table_init(&sources->table, 0);
	conn_table_each(inside->conns, count_conn, sources);
}

static json_t *source_json(const struct source *source)
{
	char ip[ADDR_TEXT_MAX];
	return json_pack("{s:s, s:o, s:s, s:i, s:I}", "direction",
		source->kind == CONN_INBOUND_PLAIN ? "inbound_plain" : "inbound", "peer", page_text(source->peer),
		"source", ip_addr_format(&source->from.ip, ip), "port", (int)source->from.port, "connections",
		(json_int_t)source->num);
}

/* A source has connections at several workers: they count at the first one. */
static void merge(struct table *all, struct sources *sources)
{
	for (size_t i = 0; i < sources->num; i++) {
		struct source *one = &sources->list[i];
		table_remove(&sources->table, &one->link);
		uint64_t hash = hash_of(one, all);
		struct table_link *link = table_find(all, hash, is_same, one);
		if (link != NULL) {
			container_of(link, struct source, link)->num += one->num;
			one->num = 0;
		} else {
			table_add(all, &one->link, hash);
		}
	}
	table_done(&sources->table);
}

static void put(json_t *list, struct table *all, struct sources *sources)
{
	for (size_t i = 0; i < sources->num; i++) {
		struct source *one = &sources->list[i];
		if (one->num > 0) {
			json_array_append_new(list, source_json(one));
			table_remove(all, &one->link);
		}
		mem_free(one->peer);
	}
	mem_free(sources->list);
}

static void answer(void *arg, void *slots, unsigned num)
{
	struct sources *of_workers = slots;
	size_t total = 0, shown = 0;
	json_t *list = json_array();
	struct table all;
	table_init(&all, 0);
	for (unsigned i = 0; i < num; i++) {
		CHECK(of_workers[i].num_counted <= of_workers[i].num_connections);
		total += of_workers[i].num_connections;
		shown += of_workers[i].num_counted;
		merge(&all, &of_workers[i]);
	}
	for (unsigned i = 0; i < num; i++)
		put(list, &all, &of_workers[i]);
	table_done(&all);
	admin_answer_json(arg,
		json_pack("{s:I, s:I, s:o}", "total", (json_int_t)total, "shown", (json_int_t)shown, "sources", list));
}

void worker_page_sources(
	struct http_request *request, struct worker *const *workers, unsigned num, struct loop *reply_to)
{
	worker_gather(workers, num, sizeof(struct sources), inspect, reply_to, answer, request);
}
