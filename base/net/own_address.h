/* The source address of this network namespace's default route. */
#pragma once

#include "base/core/addr.h"
#include <stdbool.h>

/* The source that the kernel selects for the default route of that family; sends nothing. False: there is no route, or
 * only a link-local source. family: AF_INET or AF_INET6. */
bool own_address_find(int family, struct ip_addr *out) _must_use_;
