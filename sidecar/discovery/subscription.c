#include "sidecar/discovery/subscription.h"

#include "base/core/check.h"
#include "base/core/mem.h"
#include "base/core/random.h"

struct subscription {
	struct subscription *next;          /* in its bucket */
	struct subscription *newer, *older; /* by last use */
	struct addr destination;
	uint64_t version;      /* of the newest answer on this stream */
	struct answer *answer; /* NULL: none yet */
};

enum { BUCKETS = 4096 };

struct subscription_set {
	struct subscription *buckets[BUCKETS];
	struct subscription *newest, *oldest;
	size_t num, max;
	uint64_t seed; /* secret, so that no application can choose destinations that collide */
};

struct subscription_set *subscription_set_new(size_t max)
{
	struct subscription_set *set = mem_new(struct subscription_set);
	set->max = max;
	set->seed = random_u64();
	return set;
}

size_t subscription_set_num(const struct subscription_set *set)
{
	return set->num;
}

static struct subscription **slot_of(struct subscription_set *set, const struct addr *destination)
{
	struct subscription **slot = &set->buckets[addr_hash(destination, set->seed) % BUCKETS];
	while (*slot != NULL && !addr_eq(&(*slot)->destination, destination))
		slot = &(*slot)->next;
	return slot;
}

static void age_unlink(struct subscription_set *set, struct subscription *subscription)
{
	*(subscription->newer != NULL ? &subscription->newer->older : &set->newest) = subscription->older;
	*(subscription->older != NULL ? &subscription->older->newer : &set->oldest) = subscription->newer;
}

static void age_link(struct subscription_set *set, struct subscription *subscription)
{
	subscription->newer = NULL;
	subscription->older = set->newest;
	*(set->newest != NULL ? &set->newest->newer : &set->oldest) = subscription;
	set->newest = subscription;
}

static void drop(struct subscription_set *set, struct subscription *subscription)
{
	struct subscription **slot = slot_of(set, &subscription->destination);
	CHECK(*slot == subscription && set->num > 0);
	*slot = subscription->next;
	age_unlink(set, subscription);
	answer_unref(subscription->answer);
	mem_free(subscription);
	set->num--;
}

void subscription_set_free(struct subscription_set *set)
{
	while (set->oldest != NULL)
		drop(set, set->oldest);
	CHECK(set->num == 0 && set->newest == NULL);
	mem_free(set);
}

bool subscription_set_add(struct subscription_set *set, const struct addr *destination, struct addr *out_dropped)
{
	struct subscription **slot = slot_of(set, destination), *subscription = *slot;
	*out_dropped = (struct addr){0};
	if (subscription != NULL) {
		age_unlink(set, subscription);
		age_link(set, subscription);
		return false;
	}
	if (set->num >= set->max) {
		*out_dropped = set->oldest->destination;
		drop(set, set->oldest);
		slot = slot_of(set, destination);
	}
	subscription = mem_new(struct subscription);
	subscription->destination = *destination;
	*slot = subscription;
	age_link(set, subscription);
	set->num++;
	CHECK(set->num <= set->max);
	return true;
}

bool subscription_set_update(struct subscription_set *set, struct answer *answer)
{
	struct subscription *subscription = *slot_of(set, &answer->destination);
	if (subscription == NULL || answer->version <= subscription->version)
		return false;
	answer_ref(answer);
	answer_unref(subscription->answer);
	subscription->answer = answer;
	subscription->version = answer->version;
	return true;
}

struct answer *subscription_set_find(struct subscription_set *set, const struct addr *destination)
{
	struct subscription *subscription = *slot_of(set, destination);
	return subscription == NULL ? NULL : subscription->answer;
}

void subscription_set_restart(struct subscription_set *set)
{
	for (struct subscription *subscription = set->oldest; subscription != NULL; subscription = subscription->newer)
		subscription->version = 0;
}

void subscription_set_each(const struct subscription_set *set, subscription_each_fn *each, void *arg)
{
	for (const struct subscription *subscription = set->oldest; subscription != NULL;
		subscription = subscription->newer)
		each(arg, &subscription->destination);
}
