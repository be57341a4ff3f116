#include "control/serve/page_edges.h"
#include "base/core/fair_rows.h"
#include "base/core/mem.h"
#include "control/distribute/distribute.h"
#include <stdlib.h>
#include <string.h>

/* Bound the time and the memory of one page: sidecars of one identity ask for the same. */
enum { INTERESTS_MAX = 50000, EDGES_MAX = 2000, PEERS_MAX = 8 };

struct interest {
	const char *id; /* borrowed from its stream */
	struct addr destination;
	int64_t since_s;
};
struct interests {
	struct interest *list;
	size_t num;
};

static void gather(void *arg, const struct distributor_interest *one)
{
	struct interests *all = arg;
	all->list[all->num++] = (struct interest){one->id->text, *one->destination, one->since_s};
}

static int compare(const void *a, const void *b)
{
	const struct interest *left = a, *right = b;
	int order = memcmp(&left->destination.ip, &right->destination.ip, sizeof left->destination.ip);
	if (order == 0)
		order = (left->destination.port > right->destination.port) -
			(left->destination.port < right->destination.port);
	return order != 0 ? order : strcmp(left->id, right->id);
}

static const char *kind_of(const struct resolution *resolution)
{
	static const char *const names[] = {
		[RESOLVED_MESHED] = "encrypted", [RESOLVED_PLAIN] = "plaintext", [RESOLVED_UNKNOWN] = "unknown"};
	return names[resolution->kind];
}

/* The identities of its endpoints, each once. */
static json_t *peers_json(const struct resolution *resolution)
{
	json_t *list = json_array();
	const char *seen[PEERS_MAX];
	size_t num = 0;
	for (size_t i = 0; i < resolution->num_endpoints + resolution->num_draining && num < PEERS_MAX; i++) {
		const char *id = resolution->endpoints[i].id == NULL ? "" : resolution->endpoints[i].id->text;
		size_t at = 0;
		while (at < num && strcmp(seen[at], id) != 0)
			at++;
		if (at < num || id[0] == '\0')
			continue;
		seen[num++] = id;
		json_array_append_new(list, json_string(id));
	}
	return list;
}

static json_t *edge_json(
	const struct interest *first, size_t num_sidecars, int64_t since_s, const struct resolution *to)
{
	char text[ADDR_TEXT_MAX];
	return json_pack("{s:s, s:s, s:s*, s:s, s:o, s:i, s:i, s:s, s:i, s:I}", "from", first->id, "destination",
		addr_format(&first->destination, text), "service", to->service, "kind", kind_of(to), "to",
		peers_json(to), "endpoints", (int)to->num_endpoints, "draining", (int)to->num_draining, "reason",
		to->reason, "sidecars", (int)num_sidecars, "since_ms", (json_int_t)since_s * 1000);
}

/* Those of one identity for one destination are one edge; `edges` has a place per interest. Returns their number. */
static size_t join(const struct interests *all, struct fair_rows *edges)
{
	size_t num = 0;
	for (size_t i = 0; i < all->num; i++) {
		bool is_new = i == 0 || compare(&all->list[i - 1], &all->list[i]) != 0;
		if (is_new)
			edges[num++] = (struct fair_rows){all->list[i].id, 1, 0};
	}
	return num;
}

static size_t end_of_edge(const struct interests *all, size_t first, int64_t *out_since_s)
{
	size_t next = first;
	*out_since_s = all->list[first].since_s;
	for (; next < all->num && compare(&all->list[first], &all->list[next]) == 0; next++)
		if (all->list[next].since_s < *out_since_s)
			*out_since_s = all->list[next].since_s;
	return next;
}

static json_t *edges_json(const struct serve *serve, const struct interests *all, const struct fair_rows *edges)
{
	json_t *list = json_array();
	const struct addr *resolved = NULL;
	int64_t since_s;
	_cleanup_(mem_freep) struct resolution *to = mem_new(struct resolution);
	for (size_t i = 0, edge = 0, next; i < all->num; i = next, edge++) {
		const struct interest *first = &all->list[i];
		next = end_of_edge(all, i, &since_s);
		if (edges[edge].given == 0)
			continue;
		if (resolved == NULL || !addr_eq(&first->destination, resolved))
			registry_resolve(serve->options.registry, &first->destination, to);
		resolved = &first->destination;
		json_array_append_new(list, edge_json(first, next - i, since_s, to));
	}
	return list;
}

void page_edges_add(const struct serve *serve, json_t *page)
{
	_cleanup_(mem_freep) struct interest *list = mem_calloc(INTERESTS_MAX, sizeof *list);
	struct interests all = {.list = list};
	uint64_t num = distributor_each_interest(serve->options.distributor, INTERESTS_MAX, gather, &all);
	_cleanup_(mem_freep) struct fair_rows *edges = mem_calloc(all.num, sizeof *edges);
	qsort(all.list, all.num, sizeof *all.list, compare);
	size_t num_edges = join(&all, edges);
	uint64_t num_shown = fair_rows_share(edges, num_edges, EDGES_MAX, EDGES_MAX);
	uint64_t num_left_out = num_edges - num_shown + (num - all.num);
	json_object_set_new(page, "edges", edges_json(serve, &all, edges));
	json_object_set_new(page, "num_edges_left_out", json_integer((json_int_t)num_left_out));
	json_object_set_new(page, "num_interests", json_integer((json_int_t)num));
}
