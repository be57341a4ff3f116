/* Variables that Kubernetes sets in each pod beside a Service ("service links"): for a Service named handfast-control
 * they begin as our own settings do. Pure. */
#pragma once

#include <stdbool.h>

/* `rest`: the variable's name behind HANDFAST_CONTROL_ or the like, `value`: behind its equals sign. The Service's name
 * may go on ("handfast-control-metrics"). */
bool service_link_is(const char *rest, const char *value);
