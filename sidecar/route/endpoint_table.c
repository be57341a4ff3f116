#include "base/core/check.h"
#include "base/core/list.h"
#include "base/core/mem.h"
#include "base/core/table.h"
#include "sidecar/route/endpoint.h"

/* A destination that has an answer, or waiters, or both. */
struct place {
	struct table_link link;
	struct list_link use; /* by last use */
	struct addr destination;
	struct answer *answer; /* NULL: it has waiters only */
	struct list waiters;
};

struct endpoint_table {
	struct table places;
	struct list uses; /* the newest first */
	size_t max;
};

struct endpoint_table *endpoint_table_new(size_t max)
{
	struct endpoint_table *table = mem_new(struct endpoint_table);
	table->max = max;
	table_init(&table->places, max);
	return table;
}

static bool is_of(const struct table_link *link, const void *destination)
{
	return addr_eq(&container_of(link, const struct place, link)->destination, destination);
}

static struct place *find(const struct endpoint_table *table, const struct addr *destination)
{
	uint64_t hash = addr_hash(destination, table->places.seed);
	struct table_link *link = table_find(&table->places, hash, is_of, destination);
	return link == NULL ? NULL : container_of(link, struct place, link);
}

static void place_remove(struct endpoint_table *table, struct place *place)
{
	CHECK(list_is_empty(&place->waiters));
	table_remove(&table->places, &place->link);
	list_remove(&place->use);
	answer_unref(place->answer);
	mem_free(place);
}

/* A place with waiters stays: their number is limited by that of parked connections. Only places without are evicted.
 */
static void evict_above_max(struct endpoint_table *table)
{
	struct place *newest = LIST_FIRST(&table->uses, struct place, use);
	struct place *place = LIST_LAST(&table->uses, struct place, use);
	while (table->places.num > table->max && place != newest) {
		struct place *newer = LIST_PREV(&table->uses, place, use);
		if (list_is_empty(&place->waiters))
			place_remove(table, place);
		place = newer;
	}
}

static void use(struct endpoint_table *table, struct place *place)
{
	if (list_first(&table->uses) == &place->use)
		return;
	list_remove(&place->use);
	list_push_front(&table->uses, &place->use);
}

static struct place *place_for(struct endpoint_table *table, const struct addr *destination)
{
	struct place *place = find(table, destination);
	if (place != NULL) {
		use(table, place);
		return place;
	}
	place = mem_new(struct place);
	place->destination = *destination;
	table_add(&table->places, &place->link, addr_hash(destination, table->places.seed));
	list_push_front(&table->uses, &place->use);
	evict_above_max(table);
	return place;
}

static struct endpoint_waiter *first_waiter(const struct list *waiters)
{
	return LIST_FIRST(waiters, struct endpoint_waiter, link);
}

void endpoint_table_free(struct endpoint_table *table)
{
	LIST_EACH_REMOVABLE(&table->uses, struct place, place, use) {
		for (struct endpoint_waiter *waiter; (waiter = first_waiter(&place->waiters)) != NULL;)
			endpoint_waiter_cancel(waiter);
		place_remove(table, place);
	}
	table_done(&table->places);
	mem_free(table);
}

struct answer *endpoint_table_find(struct endpoint_table *table, const struct addr *destination)
{
	struct place *place = find(table, destination);
	if (place == NULL || place->answer == NULL)
		return NULL;
	use(table, place);
	return place->answer;
}

static void waiters_wake(struct place *place, struct answer *answer)
{
	/* The list is detached first: a waiter that waits again in its callback would otherwise be called forever. */
	struct list all = {0};
	list_take_all(&place->waiters, &all);
	for (struct endpoint_waiter *waiter; (waiter = first_waiter(&all)) != NULL;) {
		endpoint_waiter_cancel(waiter);
		waiter->on_answer(waiter, answer);
	}
}

void endpoint_table_put(struct endpoint_table *table, struct answer *answer)
{
	struct place *place = place_for(table, &answer->destination);
	answer_ref(answer);
	answer_unref(place->answer);
	place->answer = answer;
	waiters_wake(place, answer);
}

void endpoint_table_wait(struct endpoint_table *table, const struct addr *destination, struct endpoint_waiter *waiter)
{
	list_push_front(&place_for(table, destination)->waiters, &waiter->link);
}

void endpoint_waiter_cancel(struct endpoint_waiter *waiter)
{
	if (list_is_linked(&waiter->link))
		list_remove(&waiter->link);
}
