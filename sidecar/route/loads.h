/* What one more connection costs at each endpoint, as one worker observed it: the connections that the endpoint would
 * have with it, times how often 4 ms must be doubled to reach its slowest answer lately, and one. Pure: time is an
 * argument, in milliseconds. */
#pragma once

#include "base/core/addr.h"

struct loads;
struct load; /* of one endpoint */

/* An endpoint without a connection is forgotten when so many others were used later. Those with one are as many as
 * there are connections. */
#define LOADS_IDLE_MAX 1024

struct loads *loads_new(void);
void loads_free(struct loads *loads); /* every connection has been given back */
/* One connection more at the endpoint, from the try on. Valid until it is given back. */
struct load *loads_take(struct loads *loads, const struct addr *endpoint);
void loads_give_back(struct loads *loads, struct load *load); /* NULL: nothing happens */
/* The endpoint answered, so long after it was asked. The slowest answer counts; what is past halves each second. */
void load_answered(struct load *load, uint64_t took_ms, uint64_t now_ms);
/* To be compared. An endpoint that is not known is as a fast one without connections. */
uint64_t loads_cost(const struct loads *loads, const struct addr *endpoint, uint64_t now_ms);
