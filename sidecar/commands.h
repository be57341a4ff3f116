/* What the program does for who has no shell in the image: ask a running sidecar. Each blocks and returns the exit
 * code. */
#pragma once

#include "sidecar/config.h"

int command_wait(
	const struct sidecar_config *config, uint64_t timeout_ms);       /* until it is ready; 0, or 75 in time not */
int command_tell(const struct sidecar_config *config, const char *word); /* "drain", "quit", "release" */
