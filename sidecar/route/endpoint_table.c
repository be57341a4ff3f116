#include "base/core/check.h"
#include "base/core/mem.h"
#include "base/core/random.h"
#include "sidecar/route/endpoint.h"

/* A destination that has an answer, or waiters, or both. */
struct place {
	struct place *next;          /* in its bucket */
	struct place *newer, *older; /* by last use */
	struct addr destination;
	struct answer *answer; /* NULL: it has waiters only */
	struct endpoint_waiter *waiters;
};

struct endpoint_table {
	struct place **buckets;
	size_t num_buckets; /* a power of two */
	size_t num, max;
	struct place *newest, *oldest;
	uint64_t seed; /* secret, so that no caller can choose destinations that collide */
};

struct endpoint_table *endpoint_table_new(size_t max)
{
	struct endpoint_table *table = mem_new(struct endpoint_table);
	table->num_buckets = 64;
	table->max = max;
	table->seed = random_u64();
	while (table->num_buckets < max)
		table->num_buckets *= 2;
	table->buckets = mem_calloc(table->num_buckets, sizeof(*table->buckets));
	return table;
}

static struct place **slot_of(struct endpoint_table *table, const struct addr *destination)
{
	struct place **slot = &table->buckets[addr_hash(destination, table->seed) & (table->num_buckets - 1)];
	while (*slot != NULL && !addr_eq(&(*slot)->destination, destination))
		slot = &(*slot)->next;
	return slot;
}

static void use_unlink(struct endpoint_table *table, struct place *place)
{
	*(place->newer != NULL ? &place->newer->older : &table->newest) = place->older;
	*(place->older != NULL ? &place->older->newer : &table->oldest) = place->newer;
}

static void use_link(struct endpoint_table *table, struct place *place)
{
	place->newer = NULL;
	place->older = table->newest;
	*(table->newest != NULL ? &table->newest->newer : &table->oldest) = place;
	table->newest = place;
}

static void place_remove(struct endpoint_table *table, struct place *place)
{
	struct place **slot = slot_of(table, &place->destination);
	CHECK(*slot == place && place->waiters == NULL && table->num > 0);
	*slot = place->next;
	use_unlink(table, place);
	answer_unref(place->answer);
	mem_free(place);
	table->num--;
}

/* A place with waiters stays: their number is limited by that of parked connections. Only places without are evicted.
 */
static void evict_above_max(struct endpoint_table *table)
{
	struct place *place = table->oldest;
	while (table->num > table->max && place != NULL && place != table->newest) {
		struct place *newer = place->newer;
		if (place->waiters == NULL)
			place_remove(table, place);
		place = newer;
	}
}

static struct place *place_for(struct endpoint_table *table, const struct addr *destination)
{
	struct place **slot = slot_of(table, destination);
	if (*slot == NULL) {
		struct place *place = mem_new(struct place);
		place->destination = *destination;
		*slot = place;
		use_link(table, place);
		table->num++;
		evict_above_max(table);
		return place;
	}
	struct place *place = *slot;
	if (table->newest != place) {
		use_unlink(table, place);
		use_link(table, place);
	}
	return place;
}

void endpoint_table_free(struct endpoint_table *table)
{
	while (table->oldest != NULL) {
		while (table->oldest->waiters != NULL)
			endpoint_waiter_cancel(table->oldest->waiters);
		place_remove(table, table->oldest);
	}
	CHECK(table->num == 0 && table->newest == NULL);
	mem_free(table->buckets);
	mem_free(table);
}

struct answer *endpoint_table_find(struct endpoint_table *table, const struct addr *destination)
{
	struct place *place = *slot_of(table, destination);
	if (place == NULL || place->answer == NULL)
		return NULL;
	return place_for(table, destination)->answer;
}

static void waiters_wake(struct place *place, struct answer *answer)
{
	/* The list is detached first: a waiter that waits again in its callback would otherwise be called forever. */
	struct endpoint_waiter *all = place->waiters;
	place->waiters = NULL;
	if (all != NULL)
		all->prev = &all;
	while (all != NULL) {
		struct endpoint_waiter *waiter = all;
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
	CHECK(waiter->prev == NULL);
	struct place *place = place_for(table, destination);
	waiter->next = place->waiters;
	waiter->prev = &place->waiters;
	if (waiter->next != NULL)
		waiter->next->prev = &waiter->next;
	place->waiters = waiter;
}

void endpoint_waiter_cancel(struct endpoint_waiter *waiter)
{
	if (waiter->prev == NULL)
		return;
	CHECK(*waiter->prev == waiter);
	*waiter->prev = waiter->next;
	if (waiter->next != NULL)
		waiter->next->prev = waiter->prev;
	waiter->next = NULL;
	waiter->prev = NULL;
}
