/* What the dry-run rules of the policy would have decided otherwise, rule by rule, for /policy. Bounded: of more rules
 * the ones that counted least recently are forgotten. Any thread. */
#pragma once

#include "base/core/addr.h"

#define DRY_RUNS_MAX 64 /* rules */

struct dry_run_event {
	const char *rule;
	bool would_deny; /* else it would allow what is denied */
	bool was_open;   /* the rule came while the connection was open: it would be closed */
	const char *id;  /* of the source; NULL: none */
	struct addr source;
	uint16_t port;
};
struct dry_run_counts {
	uint64_t denied, allowed; /* connections */
	uint64_t open;            /* of those denied, the ones that were open */
	int64_t last_wall_ms;     /* 0: there was none */
	char *last_id;            /* NULL: it had none; the caller frees it */
	struct addr last_source;
	uint16_t last_port;
};

struct dry_runs;
struct dry_runs *dry_runs_new(void);
void dry_runs_free(struct dry_runs *runs);
void dry_runs_add(struct dry_runs *runs, const struct dry_run_event *event, int64_t wall_ms);
uint64_t dry_runs_num_forgotten(struct dry_runs *runs); /* rules whose counts were given up for another's */
void dry_runs_get(struct dry_runs *runs, const char *rule, struct dry_run_counts *out); /* a copy */
