/* The mark of answers to connections that a sidecar makes in its callers' names (mode tproxy): a routing rule of the
 * network namespace leads packets with it to lo. handfast-init writes the rule; any program there can read it. */
#pragma once

#include "base/core/err.h"
#include <stdbool.h>

#define SOURCE_MARK 1337

/* Whether there is a routing rule of that family for the mark. An error: the kernel gives no answer. family: AF_INET or
 * AF_INET6. */
enum err source_mark_is_routed(int family, bool *out_is) _must_use_;
