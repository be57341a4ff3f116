/* Endpoints that failed lately, as one worker has seen it: each is set aside for a while, 1 s at first and twice as
 * long after each further failure up to 30 s, then tried again by one connection while the others still go elsewhere
 * (outlier ejection). A hint and no more: where the table is full, one is forgotten, and is tried once too often.
 * Pure: time is an argument, in milliseconds. */
#pragma once

#include "base/core/addr.h"

struct outliers;

struct outliers *outliers_new(void); /* takes memory (10 KiB) only once something has failed */
void outliers_free(struct outliers *outliers);
bool outliers_has(const struct outliers *outliers, const struct addr *endpoint, uint64_t now_ms); /* set aside now */
/* A connection goes there. If it failed lately, the others wait for what becomes of this one. */
void outliers_try(struct outliers *outliers, const struct addr *endpoint, uint64_t now_ms);
void outliers_failed(struct outliers *outliers, const struct addr *endpoint, uint64_t now_ms);
void outliers_served(struct outliers *outliers, const struct addr *endpoint);
