/* The addresses on lo that the sidecar connects to its workload from: 169.254.15.6/32, 100::6/128 and, for more ports,
 * 100::8/128 to 100::f/128. Connections through the sidecar so do not come from 127.0.0.1, which many applications
 * trust. 100::/64 is the discard prefix (RFC 6666): no packet on a network has such a source, and unlike fc00::/7 no
 * program treats it as its own network. Written by rtnetlink. */
#pragma once

#include "base/core/err.h"
#include <stdbool.h>

/* Whether lo of this network namespace has IPv6. */
bool loopback_addr_has_v6(void);

/* Idempotent: an address that exists (add) or does not exist (remove) is not an error. remove also removes ::6, which
 * 0.1.0 wrote. family: AF_INET or AF_INET6. */
enum err loopback_addr_add(int family, struct why *why) _must_use_;
enum err loopback_addr_remove(int family, struct why *why) _must_use_;
