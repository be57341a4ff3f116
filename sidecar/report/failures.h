/* The recent failures, for /why: what happened, what was expected, how to fix it. A failure that repeats increments the
 * count of its entry; if there is no room, the least recently seen entry is replaced, so that memory is bounded.
 * Failures of inbound connections replace at most half of the other entries. Any thread. */
#pragma once

#include "base/core/addr.h"

struct failure {
	const char *what;                /* static: "tunnel", "connection", "attestation", ... */
	const char *direction;           /* static: "outbound", "inbound", "inbound_plain"; "" when it has none */
	const char *reason;              /* static: the close reason's label, "" when there is none */
	struct addr remote, destination; /* family 0: none. The port of `remote` is ignored in comparisons. */
	struct why detail;
	int64_t first_wall_ms, last_wall_ms;
	uint64_t num; /* number of occurrences */
};

struct failures;
struct failures *failures_new(size_t max);
void failures_free(struct failures *failures);
/* `seen` is copied; its times and its number are ignored. */
void failures_add(struct failures *failures, const struct failure *seen, int64_t wall_ms);
/* Copies at most `max` failures to out, the most recent first; returns their number. */
size_t failures_copy(struct failures *failures, struct failure *out, size_t max);
uint64_t failures_num_left_out(struct failures *failures); /* entries that were replaced, since the start */
size_t failures_max(const struct failures *failures);
