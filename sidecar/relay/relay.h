/* Two legs, bytes between them: back-pressure (a side that does not read stops the other from being read), half-close
 * kept apart for each direction (FIN <-> END_STREAM), a reset stays a reset. Memory is bounded, whatever the peers do.
 */
#pragma once

#include "sidecar/leg/leg.h"

enum relay_end {
	RELAY_DONE,             /* both directions ended in order */
	RELAY_IDLE,             /* no byte for idle_ms */
	RELAY_RESET_DOWNSTREAM, /* the side that called us reset */
	RELAY_RESET_UPSTREAM,   /* the side we called reset */
	RELAY_LIMIT,            /* reset because of the flow-control memory limit */
	RELAY_WITHDRAWN,        /* one side's identity was withdrawn */
	RELAY_IDENTITY_AGE,     /* it was opened under an identity older than max_identity_age */
	RELAY_UNRESPONSIVE,     /* one side answers nothing any more: `why` names it */
};

struct relay_counts { /* bytes that were forwarded */
	uint64_t to_upstream, to_downstream;
};

struct relay;
typedef void relay_end_fn(void *arg, enum relay_end end, const struct why *why);

struct relay_options {
	struct leg *downstream; /* adopted */
	struct leg *upstream;   /* adopted */
	uint64_t idle_ms;       /* 0: never */
	relay_end_fn *on_end;   /* once, from a task at the end of a round; then relay_free() */
	void *arg;
};
struct relay *relay_start(const struct relay_options *options);
struct leg_inspection;
/* About once per second: notices what no event reports. */
void relay_inspect(struct relay *relay, const struct leg_inspection *inspection);
struct relay_counts relay_counts(const struct relay *relay);
bool relay_caller_has_ended(const struct relay *relay); /* the side that called has sent its end */
void relay_cut(
	struct relay *relay); /* resets both sides now (policy_changed, withdrawn, drained); on_end is not called */
void relay_free(struct relay *relay);
