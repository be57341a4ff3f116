/* The last failures, for /why: what was expected, what came, what to do. The same failure again counts one up instead
 * of taking a place, and the one that was not seen for longest makes room, so that memory cannot be filled with
 * failures; what comes from outside pushes out no more than half of the others. Any thread. */
#pragma once

#include "base/core/addr.h"

struct failure {
	const char *what;                /* static: "tunnel", "connection", "attestation", ... */
	const char *direction;           /* static: "outbound", "inbound", "inbound_plain"; "" when it has none */
	const char *reason;              /* static: the close reason's label, "" when there is none */
	struct addr remote, destination; /* family 0: none. Two failures are the same whatever the port of `remote`. */
	struct why why;
	int64_t first_wall_ms, last_wall_ms;
	uint64_t num; /* how often */
};

struct failures;
struct failures *failures_new(size_t max);
void failures_free(struct failures *failures);
/* `seen`: everything but the times and the number is looked at; copied. */
void failures_note(struct failures *failures, const struct failure *seen, int64_t wall_ms);
/* The last seen first, at most `max` of them into out; returns how many. */
size_t failures_copy(struct failures *failures, struct failure *out, size_t max);
size_t failures_max(const struct failures *failures);
