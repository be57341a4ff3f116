/* Checks, before any change, that this network namespace and kernel have the required features, and reports what is
 * missing with a fix. Changes nothing. */
#pragma once

#include "base/core/span.h"
#include "intercept/report.h"

/* Adds a finding per missing feature, a note when IPv6 is off, and one where preflight_kernel_has_socket() was false.
 * ERR_DENIED: a capability is missing;
 * ERR_UNSUPPORTED: a feature of the kernel or the namespace is. */
enum err preflight_run(bool kernel_has_socket, struct report *report) _must_use_;

/* Whether a rule may look up the socket of a packet. Optional: see struct rules. False without CAP_NET_ADMIN. */
bool preflight_kernel_has_socket(void);

/* Whether this process may read and write rules. */
bool preflight_has_net_admin(void);

/* Pure: whether /proc/PID/status lists the capability in the effective set. */
bool preflight_status_has_capability(struct span status, unsigned capability);
