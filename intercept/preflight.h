/* Looks, before anything is changed, whether this namespace and this kernel can do what we need, and names what is
 * missing with what to do about it. Changes nothing. */
#pragma once

#include "base/core/span.h"
#include "intercept/report.h"

/* Adds a finding for everything that is missing, and a note when IPv6 is off. ERR_DENIED: a capability is missing,
 * ERR_UNSUPPORTED: something of the kernel or of the namespace is. */
enum err preflight_run(struct report *report) _must_use_;

/* Whether a rule may look up the socket of a packet. Optional: see struct rules. False without CAP_NET_ADMIN. */
bool preflight_kernel_has_socket(void);

/* Whether this process may read and write rules. */
bool preflight_has_net_admin(void);

/* Pure: whether /proc/PID/status says that the effective set holds the capability. */
bool preflight_status_has_capability(struct span status, unsigned capability);
