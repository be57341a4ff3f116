/* 169.254.15.6/32, 100::6/128 and, for when its ports run out, 100::8/128 to 100::f/128 on lo: where the sidecar dials
 * its workload from, so that nothing that comes through it looks like 127.0.0.1 to an application that trusts that.
 * 100::/64 is for discarding (RFC 6666): no packet outside has such a source, and unlike fc00::/7 no program takes it
 * for its own network. Written by rtnetlink. */
#pragma once

#include "base/core/err.h"
#include <stdbool.h>

/* Whether this namespace has IPv6 on lo. */
bool loopback_addr_has_v6(void);

/* An address that is there (add) or is not (remove) is no error. remove also takes away ::6, which 0.1.0 wrote.
 * family: AF_INET or AF_INET6. */
enum err loopback_addr_add(int family, struct why *why) _must_use_;
enum err loopback_addr_remove(int family, struct why *why) _must_use_;
