/* This network namespace's own addresses. */
#pragma once

#include "base/core/addr.h"
#include <stdbool.h>

/* The source that the kernel selects for the default route of that family; sends nothing. False: there is no route, or
 * only a link-local source. family: AF_INET or AF_INET6. */
bool own_address_find(int family, struct ip_addr *out) _must_use_;
/* Whether a program of this network namespace has this address: that of an interface, or in a local route of IPv4.
 * scope: the interface of a link-local address of IPv6, without which it has none. It sends nothing, and
 * net.ipv4.ip_nonlocal_bind makes no difference. ERR_FD_EXHAUSTED: no descriptor for the query. */
enum err own_address_has(const struct ip_addr *ip, uint32_t scope, bool *out) _must_use_;
