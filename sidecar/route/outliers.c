#include "sidecar/route/outliers.h"
#include "base/core/check.h"
#include "base/core/mem.h"
#include "base/core/random.h"

enum {
	BUCKETS_MIN = 64,
	BUCKETS_MAX = 1024, /* for the largest services in a few zones; so much memory a flood of failures may take */
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
	unsigned num_buckets;
	uint64_t seed;
	unsigned num;           /* places in use */
	uint64_t last_until_ms; /* none is set aside from then on */
	uint64_t swept_ms;
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
	return &outliers->places[addr_hash(endpoint, outliers->seed) % outliers->num_buckets * BUCKET_PLACES];
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
	if (now_ms >= outliers->last_until_ms)
		return false;
	const struct outlier *outlier = find(outliers, endpoint);
	return outlier != NULL && now_ms < outlier->until_ms;
}

static void set_until(struct outliers *outliers, struct outlier *outlier, uint64_t until_ms)
{
	outlier->until_ms = until_ms;
	if (until_ms > outliers->last_until_ms)
		outliers->last_until_ms = until_ms;
}

static bool is_forgotten(const struct outlier *outlier, uint64_t now_ms)
{
	return now_ms >= outlier->until_ms + FORGOTTEN_MS;
}

bool outliers_knows(const struct outliers *outliers, const struct addr *endpoint, uint64_t now_ms)
{
	const struct outlier *outlier = find(outliers, endpoint);
	return outlier != NULL && !is_forgotten(outlier, now_ms);
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
	set_until(outliers, outlier, now_ms + TRIAL_MS);
}

static void put_aside(struct outliers *outliers, struct outlier *outlier, uint32_t pause_ms, uint64_t now_ms)
{
	outlier->pause_ms = pause_ms < PAUSE_MAX_MS ? pause_ms : PAUSE_MAX_MS;
	set_until(outliers, outlier, now_ms + outlier->pause_ms);
	outlier->is_on_trial = false;
}

static void put_into(struct outliers *outliers, const struct outlier *outlier)
{
	struct outlier *place = place_for(outliers, &outlier->endpoint);
	outliers->num += place->pause_ms == 0;
	*place = *outlier;
}

static void resize(struct outliers *outliers, unsigned num_buckets)
{
	struct outlier *before = outliers->places;
	unsigned num_before = before == NULL ? 0 : outliers->num_buckets * BUCKET_PLACES;
	outliers->places = mem_calloc((size_t)num_buckets * BUCKET_PLACES, sizeof(*outliers->places));
	outliers->num_buckets = num_buckets;
	outliers->num = 0;
	for (unsigned i = 0; i < num_before; i++)
		if (before[i].pause_ms != 0)
			put_into(outliers, &before[i]);
	mem_free(before);
}

/* Else those of services that are gone would count for ever in outliers_num_at_most(). */
static void sweep(struct outliers *outliers, uint64_t now_ms)
{
	if (now_ms < outliers->swept_ms + FORGOTTEN_MS)
		return;
	outliers->swept_ms = now_ms;
	for (unsigned i = 0; i < outliers->num_buckets * BUCKET_PLACES; i++) {
		struct outlier *outlier = &outliers->places[i];
		if (outlier->pause_ms == 0 || !is_forgotten(outlier, now_ms))
			continue;
		*outlier = (struct outlier){0};
		outliers->num--;
	}
	if (outliers->num == 0 && outliers->num_buckets > BUCKETS_MIN)
		resize(outliers, BUCKETS_MIN);
}

/* Of its bucket: a place that is free or forgotten; where there is none, the table is too small. */
static struct outlier *new_place(struct outliers *outliers, const struct addr *endpoint, uint64_t now_ms)
{
	if (outliers->places == NULL)
		resize(outliers, BUCKETS_MIN);
	sweep(outliers, now_ms);
	struct outlier *place = place_for(outliers, endpoint);
	while (place->pause_ms != 0 && !is_forgotten(place, now_ms) && outliers->num_buckets < BUCKETS_MAX) {
		resize(outliers, outliers->num_buckets * 2);
		place = place_for(outliers, endpoint);
	}
	return place;
}

static struct outlier *first_failure(struct outliers *outliers, const struct addr *endpoint, uint64_t now_ms)
{
	struct outlier *outlier = find(outliers, endpoint);
	if (outlier == NULL)
		outlier = new_place(outliers, endpoint, now_ms);
	outliers->num += outlier->pause_ms == 0;
	CHECK(outliers->num <= outliers->num_buckets * BUCKET_PLACES);
	outlier->endpoint = *endpoint;
	outlier->has_failed_open = false;
	put_aside(outliers, outlier, PAUSE_MIN_MS, now_ms);
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
		put_aside(outliers, outlier, outlier->pause_ms * 2, now_ms);
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

size_t outliers_num_at_most(const struct outliers *outliers, uint64_t now_ms)
{
	return now_ms < outliers->last_until_ms ? outliers->num : 0;
}

void outliers_each(const struct outliers *outliers, uint64_t now_ms, outliers_each_fn *each, void *arg)
{
	for (unsigned i = 0; outliers->num > 0 && i < outliers->num_buckets * BUCKET_PLACES; i++) {
		const struct outlier *outlier = &outliers->places[i];
		if (outlier->pause_ms != 0 && now_ms < outlier->until_ms)
			each(arg, &outlier->endpoint, outlier->until_ms - now_ms);
	}
}
