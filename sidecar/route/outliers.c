#include "sidecar/route/outliers.h"
#include "base/core/check.h"
#include "base/core/mem.h"
#include "base/core/random.h"

enum {
	NUM_BUCKETS = 64,
	BUCKET_PLACES = 4,
	PAUSE_MIN_MS = 1000,
	PAUSE_MAX_MS = 30000,
	TRIAL_MS = 5000,      /* the time that one connection has to try the endpoint */
	FORGOTTEN_MS = 60000, /* after its pause: the next failure counts as the first */
};

struct outlier {
	struct addr endpoint;
	uint32_t pause_ms; /* 0: the place is free */
	bool is_on_trial;
	bool has_failed_open; /* a connection that it had accepted */
	uint64_t until_ms;
};

struct outliers {
	/* Four per bucket, of which the oldest is replaced, and no struct table: see decision 043. */
	struct outlier *places; /* NULL: no endpoint has failed yet */
	uint64_t seed;
	unsigned num; /* places in use */
};

struct outliers *outliers_new(void)
{
	struct outliers *outliers = mem_new(struct outliers);
	outliers->seed = random_u64();
	return outliers;
}

void outliers_free(struct outliers *outliers)
{
	if (outliers == NULL)
		return;
	mem_free(outliers->places);
	mem_free(outliers);
}

static struct outlier *bucket_of(const struct outliers *outliers, const struct addr *endpoint)
{
	return &outliers->places[addr_hash(endpoint, outliers->seed) % NUM_BUCKETS * BUCKET_PLACES];
}

static struct outlier *find(const struct outliers *outliers, const struct addr *endpoint)
{
	if (outliers->num == 0)
		return NULL;
	struct outlier *bucket = bucket_of(outliers, endpoint);
	for (unsigned i = 0; i < BUCKET_PLACES; i++)
		if (bucket[i].pause_ms != 0 && addr_eq(&bucket[i].endpoint, endpoint))
			return &bucket[i];
	return NULL;
}

/* A free place, or the place of the endpoint whose pause ends first. */
static struct outlier *place_for(const struct outliers *outliers, const struct addr *endpoint)
{
	struct outlier *bucket = bucket_of(outliers, endpoint), *best = bucket;
	for (unsigned i = 1; i < BUCKET_PLACES; i++)
		if (bucket[i].until_ms < best->until_ms) /* 0: free */
			best = &bucket[i];
	return best;
}

bool outliers_has(const struct outliers *outliers, const struct addr *endpoint, uint64_t now_ms)
{
	const struct outlier *outlier = find(outliers, endpoint);
	return outlier != NULL && now_ms < outlier->until_ms;
}

static bool is_forgotten(const struct outlier *outlier, uint64_t now_ms)
{
	return now_ms >= outlier->until_ms + FORGOTTEN_MS;
}

void outliers_try(struct outliers *outliers, const struct addr *endpoint, uint64_t now_ms)
{
	struct outlier *outlier = find(outliers, endpoint);
	if (outlier == NULL || now_ms < outlier->until_ms)
		return;
	if (is_forgotten(outlier, now_ms)) { /* the trial hides how long it was quiet */
		outlier->pause_ms = PAUSE_MIN_MS / 2;
		outlier->has_failed_open = false;
	}
	outlier->is_on_trial = true;
	outlier->until_ms = now_ms + TRIAL_MS;
}

static void put_aside(struct outlier *outlier, uint32_t pause_ms, uint64_t now_ms)
{
	outlier->pause_ms = pause_ms < PAUSE_MAX_MS ? pause_ms : PAUSE_MAX_MS;
	outlier->until_ms = now_ms + outlier->pause_ms;
	outlier->is_on_trial = false;
}

static struct outlier *first_failure(struct outliers *outliers, const struct addr *endpoint, uint64_t now_ms)
{
	if (outliers->places == NULL)
		outliers->places = mem_calloc(NUM_BUCKETS * BUCKET_PLACES, sizeof(*outliers->places));
	struct outlier *outlier = find(outliers, endpoint);
	if (outlier == NULL)
		outlier = place_for(outliers, endpoint);
	outliers->num += outlier->pause_ms == 0;
	CHECK(outliers->num <= NUM_BUCKETS * BUCKET_PLACES);
	outlier->endpoint = *endpoint;
	outlier->has_failed_open = false;
	put_aside(outlier, PAUSE_MIN_MS, now_ms);
	return outlier;
}

uint32_t outliers_failed(struct outliers *outliers, const struct addr *endpoint, bool was_open, uint64_t now_ms)
{
	struct outlier *outlier = find(outliers, endpoint);
	bool is_first = outlier == NULL || is_forgotten(outlier, now_ms);
	bool is_aside = !is_first && !outlier->is_on_trial && now_ms < outlier->until_ms; /* it failed with others */
	if (is_first)
		outlier = first_failure(outliers, endpoint, now_ms);
	else if (!is_aside)
		put_aside(outlier, outlier->pause_ms * 2, now_ms);
	outlier->has_failed_open = outlier->has_failed_open || was_open;
	return is_aside ? 0 : outlier->pause_ms;
}

bool outliers_has_failed_open(const struct outliers *outliers, const struct addr *endpoint)
{
	const struct outlier *outlier = find(outliers, endpoint);
	return outlier != NULL && outlier->has_failed_open;
}

bool outliers_served(struct outliers *outliers, const struct addr *endpoint)
{
	struct outlier *outlier = find(outliers, endpoint);
	if (outlier == NULL)
		return false;
	CHECK(outliers->num > 0);
	*outlier = (struct outlier){0};
	outliers->num--;
	return true;
}

bool outliers_is_empty(const struct outliers *outliers)
{
	return outliers->num == 0;
}

void outliers_each(const struct outliers *outliers, uint64_t now_ms, outliers_each_fn *each, void *arg)
{
	for (unsigned i = 0; outliers->num > 0 && i < NUM_BUCKETS * BUCKET_PLACES; i++) {
		const struct outlier *outlier = &outliers->places[i];
		if (outlier->pause_ms != 0 && now_ms < outlier->until_ms)
			each(arg, &outlier->endpoint, outlier->until_ms - now_ms);
	}
}
