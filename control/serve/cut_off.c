#include "control/serve/cut_off.h"
#include "base/core/check.h"
#include "base/core/mem.h"
#include "control/store/store.h"

enum {
	STEP_MS = 2000,    /* at most so much of the time between two polls counts: the process may have been stopped */
	ANSWERS_MS = 2000, /* a store that is asked twice per second has answered within it */
};

struct visit {
	struct table_link by_key;
	struct list_link link;
	struct share_key key;
	uint64_t until_ms;
};

void cut_off_init(struct cut_off *cut_off, uint32_t max_visits)
{
	*cut_off = (struct cut_off){.max_visits = max_visits};
	table_init(&cut_off->by_key, 0);
}

static void forget(struct cut_off *cut_off, struct visit *visit)
{
	CHECK(cut_off->num_visits > 0);
	cut_off->num_visits--;
	table_remove(&cut_off->by_key, &visit->by_key);
	list_remove(&visit->link);
	mem_free(visit);
}

void cut_off_done(struct cut_off *cut_off)
{
	LIST_EACH_REMOVABLE(&cut_off->visits, struct visit, visit, link)
		forget(cut_off, visit);
	table_done(&cut_off->by_key);
}

/* All stay for the same time, so the list is in the order of their ends. */
static void prune(struct cut_off *cut_off, uint64_t now_ms)
{
	LIST_EACH_REMOVABLE(&cut_off->visits, struct visit, visit, link) {
		if (visit->until_ms > now_ms)
			return;
		forget(cut_off, visit);
	}
}

static uint64_t least(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

enum cut_off_change cut_off_poll(struct cut_off *cut_off, uint64_t store_silent_ms, uint64_t now_ms)
{
	uint64_t step_ms = cut_off->polled_ms == 0 ? 0 : least(now_ms - cut_off->polled_ms, STEP_MS);
	cut_off->polled_ms = now_ms;
	cut_off->silent_ms = least(store_silent_ms, cut_off->silent_ms + step_ms);
	cut_off->calm_ms = store_silent_ms < ANSWERS_MS ? cut_off->calm_ms + step_ms : 0;
	prune(cut_off, now_ms);
	if (!cut_off->is_cut_off && cut_off->silent_ms >= STORE_CUT_OFF_MS) {
		cut_off->is_cut_off = true;
		return CUT_OFF_BEGAN;
	}
	if (cut_off->is_cut_off && cut_off->calm_ms >= CUT_OFF_CALM_MS) {
		cut_off->is_cut_off = false;
		return CUT_OFF_ENDED;
	}
	return CUT_OFF_SAME;
}

static bool has_key(const struct table_link *link, const void *key)
{
	return share_key_eq(&container_of((struct table_link *)(uintptr_t)link, struct visit, by_key)->key, key);
}

bool cut_off_sends_away(struct cut_off *cut_off, const struct share_key *key, uint64_t now_ms)
{
	uint64_t hash = share_key_hash(key, cut_off->by_key.seed);
	if (!cut_off->is_cut_off)
		return false;
	prune(cut_off, now_ms);
	if (table_find(&cut_off->by_key, hash, has_key, key) != NULL || cut_off->num_visits == cut_off->max_visits)
		return false;
	struct visit *visit = mem_new(struct visit);
	visit->key = *key;
	visit->until_ms = now_ms + CUT_OFF_AGAIN_MS;
	table_add(&cut_off->by_key, &visit->by_key, hash);
	list_push_back(&cut_off->visits, &visit->link);
	cut_off->num_visits++;
	return true;
}
