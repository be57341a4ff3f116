/* The zone of a host, such as a data center: the 32-bit FNV-1a hash of its name, and 0: none. Both programs speak of
 * zones by that. Two names with one hash are one zone, which costs no more than a preference. */
#pragma once

#include "base/core/span.h"

uint32_t zone_of(struct span name); /* "": 0 */
