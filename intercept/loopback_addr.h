/* 169.254.15.6/32 and ::6/128 on lo: where the sidecar dials its workload from, so that nothing that comes through it
 * looks like 127.0.0.1 to an application that trusts that. Written by rtnetlink. */
#pragma once

#include "base/core/err.h"
#include <stdbool.h>

/* Whether this namespace has IPv6 on lo. */
bool loopback_addr_has_v6(void);

/* An address that is there (add) or is not (remove) is no mistake. family: AF_INET or AF_INET6. */
enum err loopback_addr_add(int family, struct why *why) _must_use_;
enum err loopback_addr_remove(int family, struct why *why) _must_use_;
