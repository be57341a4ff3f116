/* The settings of interception and of listeners, as part of sidecar/config.h. Pure. */
#pragma once

#include "sidecar/config.h"

/* After the ports: what conflicts with them is an error. */
void config_listeners_read(struct settings *settings, struct sidecar_config *config);
