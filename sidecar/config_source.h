/* identity.source and what goes with it: where the identity comes from when it is not the control plane. */
#pragma once

#include "sidecar/config.h"

/* After the kinds of attestation data, which another source makes useless. Errors go into `settings`. */
void config_source_read(struct settings *settings, struct sidecar_config *config);
void config_source_done(struct sidecar_config *config);
