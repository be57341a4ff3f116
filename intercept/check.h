/* handfast-init check: verifies that the rules of this network namespace work.
 *
 * Outbound by real connections: one per family to a documentation address (RFC 5737, RFC 3849), from a user that is not
 * exempt, must arrive at 15001; from uid and gid 1337 it must not, from gid 1337 of
 * another user it must. Inbound connections cannot be made from
 * inside the namespace, so the inbound rules are read. On a host (exempt_ssh) a sidecar must listen where
 * they lead. */
#pragma once

#include "intercept/report.h"
#include "intercept/rules.h"

/* `rules`: the rules of the present settings; a difference from the installed rules is reported as a note. */
void check_run(const struct rules *rules, struct report *report);

/* Notes a control plane in this network namespace whose port these rules redirect: through the sidecar here, so that
 * other sidecars do not reach it, or appear under this one's address. */
void check_control_plane(const struct rules *rules, struct report *report);
