/* What leads the workload's answers back to its sidecar where the sidecar connects to it in its callers' names (mode
 * tproxy): packets with the mark of rules.h are routed to lo. Written by rtnetlink. */
#pragma once

#include "base/core/err.h"

/* Idempotent: what exists (add) or does not exist (remove) is not an error. family: AF_INET or AF_INET6. */
enum err source_route_add(int family, struct why *why) _must_use_;
enum err source_route_remove(int family, struct why *why) _must_use_;
