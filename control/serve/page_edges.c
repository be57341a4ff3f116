#include "control/serve/page_edges.h"
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

static json_t *edges_json(const struct serve *serve, const struct interests *all)
{
	json_t *list = json_array();
	_cleanup_(mem_freep) struct resolution *to = mem_new(struct resolution);
	for (size_t i = 0, next; i < all->num && json_array_size(list) < EDGES_MAX; i = next) {
		const struct interest *first = &all->list[i];
		int64_t since_s = first->since_s;
		for (next = i + 1; next < all->num && compare(first, &all->list[next]) == 0; next++)
			if (all->list[next].since_s < since_s)
				since_s = all->list[next].since_s;
		if (i == 0 || !addr_eq(&first->destination, &all->list[i - 1].destination))
			registry_resolve(serve->options.registry, &first->destination, to);
		json_array_append_new(list, edge_json(first, next - i, since_s, to));
	}
	return list;
}

void page_edges_add(const struct serve *serve, json_t *page)
{
	struct interests all = {.list = mem_calloc(INTERESTS_MAX, sizeof *all.list)};
	uint64_t num = distributor_each_interest(serve->options.distributor, INTERESTS_MAX, gather, &all);
	qsort(all.list, all.num, sizeof *all.list, compare);
	json_object_set_new(page, "edges", edges_json(serve, &all));
	json_object_set_new(page, "num_interests", json_integer((json_int_t)num));
	mem_free(all.list);
}
