/* Endpoints that failed recently, as one worker observed it (outlier ejection): each is set aside, for 1 s at first and
 * twice as long after each further failure, up to 30 s. Then one connection tries it again while the others still use
 * other endpoints. This is a hint: when the table is full, of some thousand endpoints, an entry is overwritten, and
 * its endpoint is tried too early. Pure: time is an argument, in milliseconds. */
#pragma once

#include "base/core/addr.h"

struct outliers;

struct outliers *outliers_new(void); /* its table has 10 KiB from the first failure on, at most 160 */
void outliers_free(struct outliers *outliers);
bool outliers_has(const struct outliers *outliers, const struct addr *endpoint, uint64_t now_ms); /* set aside now */
/* It has failed and not served since, up to a minute after its pause. */
bool outliers_knows(const struct outliers *outliers, const struct addr *endpoint, uint64_t now_ms);
/* A connection tries this endpoint. If the endpoint failed recently, others do not use it until the result is known. */
void outliers_try(struct outliers *outliers, const struct addr *endpoint, uint64_t now_ms);
/* For how long it is set aside from now on; 0: it was already. was_open: it had accepted the connection. */
uint32_t outliers_failed(struct outliers *outliers, const struct addr *endpoint, bool was_open, uint64_t now_ms);
/* It has failed so recently: that it accepts a connection does not show that it serves. */
bool outliers_has_failed_open(const struct outliers *outliers, const struct addr *endpoint);
bool outliers_served(struct outliers *outliers, const struct addr *endpoint); /* it had failed recently */

/* At least as many as are set aside now, of all destinations; without a search. */
size_t outliers_num_at_most(const struct outliers *outliers, uint64_t now_ms);
typedef void outliers_each_fn(void *arg, const struct addr *endpoint, uint64_t for_ms);
/* Those that are set aside now, and for how long still. */
void outliers_each(const struct outliers *outliers, uint64_t now_ms, outliers_each_fn *each, void *arg);
