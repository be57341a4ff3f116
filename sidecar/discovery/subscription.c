#include "sidecar/discovery/subscription.h"

#include "base/core/check.h"
#include "base/core/list.h"
#include "base/core/mem.h"
#include "base/core/random.h"
#include "base/core/table.h"

struct subscription {
	struct table_link link;
	struct list_link age; /* by last use */
	struct addr destination;
	uint64_t version;      /* of the newest answer on this stream */
	struct answer *answer; /* NULL: none yet */
	struct addr pinned;    /* the endpoint of a service with affinity; family 0: none yet */
};

enum { SUBSCRIPTIONS_EXPECTED = 4096 };

struct subscription_set {
	struct table table;
	struct list ages; /* the newest first */
	size_t max;
};

struct subscription_set *subscription_set_new(size_t max)
{
	struct subscription_set *set = mem_new(struct subscription_set);
	set->max = max;
	table_init(&set->table, SUBSCRIPTIONS_EXPECTED);
	return set;
}

size_t subscription_set_num(const struct subscription_set *set)
{
	return set->table.num;
}

static bool is_of(const struct table_link *link, const void *destination)
{
	return addr_eq(&container_of(link, const struct subscription, link)->destination, destination);
}

static struct subscription *find(const struct subscription_set *set, const struct addr *destination)
{
	struct table_link *link = table_find(&set->table, addr_hash(destination, set->table.seed), is_of, destination);
	return link == NULL ? NULL : container_of(link, struct subscription, link);
}

static struct subscription *oldest_of(const struct subscription_set *set)
{
	return LIST_LAST(&set->ages, struct subscription, age);
}

static void drop(struct subscription_set *set, struct subscription *subscription)
{
	table_remove(&set->table, &subscription->link);
	list_remove(&subscription->age);
	answer_unref(subscription->answer);
	mem_free(subscription);
}

void subscription_set_free(struct subscription_set *set)
{
	for (struct subscription *oldest; (oldest = oldest_of(set)) != NULL;)
		drop(set, oldest);
	table_done(&set->table);
	mem_free(set);
}

bool subscription_set_add(struct subscription_set *set, const struct addr *destination, struct addr *out_dropped)
{
	struct subscription *subscription = find(set, destination);
	*out_dropped = (struct addr){0};
	if (subscription != NULL) {
		list_remove(&subscription->age);
		list_push_front(&set->ages, &subscription->age);
		return false;
	}
	if (set->table.num >= set->max) {
		struct subscription *oldest = oldest_of(set);
		*out_dropped = oldest->destination;
		drop(set, oldest);
	}
	subscription = mem_new(struct subscription);
	subscription->destination = *destination;
	table_add(&set->table, &subscription->link, addr_hash(destination, set->table.seed));
	CHECK(set->table.num <= set->max);
	list_push_front(&set->ages, &subscription->age);
	CHECK(set->table.num <= set->max);
	return true;
}

/* The endpoint of before while the service has it, whatever others come; else a random one. */
static void pin_endpoint(struct subscription *subscription, struct answer *answer)
{
	size_t num = answer->num_endpoints - answer->num_draining;
	if (answer->affinity_s == 0 || num == 0)
		return;
	answer->pinned = random_u32() % (uint32_t)num;
	for (size_t i = 0; i < num; i++)
		if (addr_eq(&answer->endpoints[i].address, &subscription->pinned))
			answer->pinned = (uint32_t)i;
	subscription->pinned = answer->endpoints[answer->pinned].address;
}

bool subscription_set_update(struct subscription_set *set, struct answer *answer)
{
	struct subscription *subscription = find(set, &answer->destination);
	if (subscription == NULL || answer->version <= subscription->version)
		return false;
	pin_endpoint(subscription, answer);
	answer_ref(answer);
	answer_unref(subscription->answer);
	subscription->answer = answer;
	subscription->version = answer->version;
	return true;
}

struct answer *subscription_set_find(struct subscription_set *set, const struct addr *destination)
{
	struct subscription *subscription = find(set, destination);
	return subscription == NULL ? NULL : subscription->answer;
}

void subscription_set_restart(struct subscription_set *set)
{
	for (struct subscription *subscription = oldest_of(set); subscription != NULL;
		subscription = LIST_PREV(&set->ages, subscription, age))
		subscription->version = 0;
}

void subscription_set_each(const struct subscription_set *set, subscription_each_fn *each, void *arg)
{
	for (const struct subscription *subscription = oldest_of(set); subscription != NULL;
		subscription = LIST_PREV(&set->ages, subscription, age))
		each(arg, &subscription->destination, subscription->answer);
}

void subscription_set_each_answer(const struct subscription_set *set, subscription_answer_fn *each, void *arg)
{
	LIST_EACH(&set->ages, struct subscription, subscription, age)
		if (subscription->answer != NULL && !each(arg, subscription->answer))
			return;
}
