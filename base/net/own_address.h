/* The address from which this namespace would speak to the world. */
#pragma once

#include "base/core/addr.h"
#include <stdbool.h>

/* The source that the kernel would choose for that family's default route; nothing is sent. False: no route leads out,
 * or only a link-local source would do. family: AF_INET or AF_INET6. */
bool own_address_find(int family, struct ip_addr *out) _must_use_;
