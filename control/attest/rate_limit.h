/* How often somebody may try: token buckets in a table that never grows (a flood of names shares buckets, so it slows
 * itself down, not the memory). Pure. */
#pragma once

#include "base/core/addr.h"
#include "certs/spiffe_id.h"

struct rate_limit;

struct rate_limit *rate_limit_new(uint32_t per_second, uint32_t burst, uint64_t seed);
void rate_limit_free(struct rate_limit *limit);
/* IPv6 sources count by their /64: that is what one customer has. id NULL: whoever comes from there. */
bool rate_limit_take(
	struct rate_limit *limit, const struct ip_addr *source, const struct spiffe_id *id, uint64_t now_ms);
