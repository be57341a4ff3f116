/* How many connections this sidecar may have to one endpoint: counted over all workers, so that the number is exact.
 * Any thread. Where no limit is set there is none of these, and no lock is taken. */
#pragma once

#include "base/core/addr.h"

struct endpoint_limit;
struct endpoint_limit *endpoint_limit_new(size_t max);  /* at least 1 */
void endpoint_limit_free(struct endpoint_limit *limit); /* every connection has been given back */
bool endpoint_limit_take(struct endpoint_limit *limit, const struct addr *endpoint); /* false: it is full */
void endpoint_limit_give_back(struct endpoint_limit *limit, const struct addr *endpoint);
bool endpoint_limit_is_full(struct endpoint_limit *limit, const struct addr *endpoint); /* now; it may change at once */
size_t endpoint_limit_num_full(struct endpoint_limit *limit);                           /* now, of all destinations */
size_t endpoint_limit_max(const struct endpoint_limit *limit);
