/* handfast-init check: proves that the rules of this namespace work.
 *
 * Outbound by real connections: one a family to an address that is nobody's (RFC 5737, RFC 3849), dialed as a user who
 * is not exempt, must arrive at 15001; the same from uid 1337 and from gid 1337 must not. Inbound cannot be dialed
 * from inside the namespace, so there the rules themselves are looked at. */
#pragma once

#include "intercept/report.h"
#include "intercept/rules.h"

/* `rules`: what these settings would write; a difference from what stands is a note. */
void check_run(const struct rules *rules, struct report *report);
