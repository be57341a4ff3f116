#include "sidecar/report/dry_runs.h"

#include "base/core/check.h"
#include "base/core/mem.h"
#include <pthread.h>
#include <string.h>

struct dry_run {
	char *rule; /* NULL: the place is free */
	struct dry_run_counts counts;
};
struct dry_runs {
	pthread_mutex_t lock;
	struct dry_run list[DRY_RUNS_MAX];
	uint64_t num_forgotten;
};

struct dry_runs *dry_runs_new(void)
{
	struct dry_runs *runs = mem_new(struct dry_runs);
	CHECK(pthread_mutex_init(&runs->lock, NULL) == 0);
	return runs;
}

static void forget(struct dry_run *run)
{
	mem_free(run->rule);
	mem_free(run->counts.last_id);
	*run = (struct dry_run){0};
}

void dry_runs_free(struct dry_runs *runs)
{
	if (runs == NULL)
		return;
	for (size_t i = 0; i < DRY_RUNS_MAX; i++)
		forget(&runs->list[i]);
	CHECK(pthread_mutex_destroy(&runs->lock) == 0);
	mem_free(runs);
}

/* NULL: the rule has no place. */
static struct dry_run *find(struct dry_runs *runs, const char *rule)
{
	for (size_t i = 0; i < DRY_RUNS_MAX; i++)
		if (runs->list[i].rule != NULL && strcmp(runs->list[i].rule, rule) == 0)
			return &runs->list[i];
	return NULL;
}

static struct dry_run *take(struct dry_runs *runs, const char *rule)
{
	struct dry_run *place = &runs->list[0];
	for (size_t i = 1; i < DRY_RUNS_MAX && place->rule != NULL; i++) {
		struct dry_run *one = &runs->list[i];
		if (one->rule == NULL || one->counts.last_wall_ms < place->counts.last_wall_ms)
			place = one;
	}
	runs->num_forgotten += place->rule != NULL;
	forget(place);
	place->rule = mem_strdup(rule);
	return place;
}

uint64_t dry_runs_num_forgotten(struct dry_runs *runs)
{
	pthread_mutex_lock(&runs->lock);
	uint64_t num = runs->num_forgotten;
	pthread_mutex_unlock(&runs->lock);
	return num;
}

void dry_runs_add(struct dry_runs *runs, const struct dry_run_event *event, int64_t wall_ms)
{
	pthread_mutex_lock(&runs->lock);
	struct dry_run *run = find(runs, event->rule);
	if (run == NULL)
		run = take(runs, event->rule);
	struct dry_run_counts *counts = &run->counts;
	counts->denied += event->would_deny;
	counts->allowed += !event->would_deny;
	counts->open += event->was_open && event->would_deny;
	mem_free(counts->last_id);
	counts->last_id = event->id == NULL ? NULL : mem_strdup(event->id);
	counts->last_source = event->source;
	counts->last_port = event->port;
	counts->last_wall_ms = wall_ms;
	pthread_mutex_unlock(&runs->lock);
}

void dry_runs_get(struct dry_runs *runs, const char *rule, struct dry_run_counts *out)
{
	*out = (struct dry_run_counts){0};
	pthread_mutex_lock(&runs->lock);
	const struct dry_run *run = find(runs, rule);
	if (run != NULL) {
		*out = run->counts;
		out->last_id = out->last_id == NULL ? NULL : mem_strdup(out->last_id);
	}
	pthread_mutex_unlock(&runs->lock);
}
