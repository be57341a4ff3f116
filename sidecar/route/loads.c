#include "sidecar/route/loads.h"
#include "base/core/check.h"
#include "base/core/list.h"
#include "base/core/mem.h"
#include "base/core/table.h"

enum {
	FAST_MS = 4, /* below twice this the differences are those of scheduling, not of endpoints */
	HALVES_MS = 1000,
	SLOWEST_MS = 3600000, /* the most that timeouts.connect can be */
};

struct load {
	struct table_link link;
	struct list_link idle; /* linked while it has no connection */
	struct addr endpoint;
	size_t num_connections;
	uint64_t slowest_us, slowest_at_ms;
};

struct loads {
	struct table table;
	struct list idle; /* the one that was used last first */
	size_t num_idle;
};

struct loads *loads_new(void)
{
	struct loads *loads = mem_new(struct loads);
	table_init(&loads->table, 0);
	return loads;
}

static void forget(struct loads *loads, struct load *load)
{
	CHECK(load->num_connections == 0 && loads->num_idle > 0);
	list_remove(&load->idle);
	loads->num_idle--;
	table_remove(&loads->table, &load->link);
	mem_free(load);
}

void loads_free(struct loads *loads)
{
	if (loads == NULL)
		return;
	LIST_EACH_REMOVABLE(&loads->idle, struct load, load, idle)
		forget(loads, load);
	CHECK(loads->table.num == 0);
	table_done(&loads->table);
	mem_free(loads);
}

static bool is_of(const struct table_link *link, const void *endpoint)
{
	return addr_eq(&container_of(link, const struct load, link)->endpoint, endpoint);
}

static struct load *find(const struct loads *loads, const struct addr *endpoint)
{
	struct table_link *link = table_find(&loads->table, addr_hash(endpoint, loads->table.seed), is_of, endpoint);
	return link == NULL ? NULL : container_of(link, struct load, link);
}

static struct load *add(struct loads *loads, const struct addr *endpoint)
{
	struct load *load = mem_new(struct load);
	load->endpoint = *endpoint;
	table_add(&loads->table, &load->link, addr_hash(endpoint, loads->table.seed));
	return load;
}

struct load *loads_take(struct loads *loads, const struct addr *endpoint)
{
	struct load *load = find(loads, endpoint);
	if (load == NULL)
		load = add(loads, endpoint);
	if (list_is_linked(&load->idle)) {
		list_remove(&load->idle);
		loads->num_idle--;
	}
	load->num_connections++;
	return load;
}

void loads_give_back(struct loads *loads, struct load *load)
{
	if (load == NULL)
		return;
	CHECK(load->num_connections > 0);
	if (--load->num_connections > 0)
		return;
	list_push_front(&loads->idle, &load->idle);
	loads->num_idle++;
	if (loads->num_idle > LOADS_IDLE_MAX)
		forget(loads, LIST_LAST(&loads->idle, struct load, idle));
}

static uint64_t slowest_us(const struct load *load, uint64_t now_ms)
{
	uint64_t past_ms = now_ms - load->slowest_at_ms, halvings = past_ms / HALVES_MS;
	CHECK(now_ms >= load->slowest_at_ms);
	if (halvings >= 32)
		return 0;
	uint64_t us = load->slowest_us >> halvings;
	return us - us * (past_ms % HALVES_MS) / (2 * HALVES_MS);
}

void load_answered(struct load *load, uint64_t took_ms, uint64_t now_ms)
{
	uint64_t took_us = (took_ms < SLOWEST_MS ? took_ms : SLOWEST_MS) * 1000, past_us = slowest_us(load, now_ms);
	load->slowest_us = took_us > past_us ? took_us : past_us;
	load->slowest_at_ms = now_ms;
}

static unsigned slowness(const struct load *load, uint64_t now_ms)
{
	unsigned doublings = 0;
	for (uint64_t us = slowest_us(load, now_ms); us >= 2 * FAST_MS * UINT64_C(1000); us /= 2)
		doublings++;
	return 1 + doublings;
}

uint64_t loads_cost(const struct loads *loads, const struct addr *endpoint, uint64_t now_ms)
{
	const struct load *load = find(loads, endpoint);
	return load == NULL ? 1 : slowness(load, now_ms) * (1 + load->num_connections);
}
