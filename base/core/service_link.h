/* Recognizes the variables that Kubernetes sets in each pod for a Service ("service links"): those of a Service named
 * handfast-control have the prefix of the settings' variables. Pure. */
#pragma once

#include <stdbool.h>

/* `rest`: the variable's name after the prefix (HANDFAST_CONTROL_), `value`: its value. The Service may have a longer
 * name ("handfast-control-metrics"). */
bool service_link_is(const char *rest, const char *value);
