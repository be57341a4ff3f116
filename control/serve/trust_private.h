/* The parts of the trust state: trust.c has the epoch, trust_bundles.c the roots and what is withdrawn. Private to
 * control/serve. */
#pragma once

#include "control/serve/trust.h"

/* The own trust domain comes first; a partner that cannot be used is logged and left out. */
enum err trust_make_bundles(const struct trust_options *options, struct bundle_set **out, struct why *why) _must_use_;
