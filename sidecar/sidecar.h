/* The composition root: makes every part of the data plane, introduces them to each other, and carries what identity
 * and discovery learn to the workers. One a process. */
#pragma once

#include "sidecar/config.h"

struct sidecar;

struct sidecar_options { /* borrowed all */
	const char *release;
	/* Reads the settings again, for SIGHUP; NULL: they are wrong (said so already) and the old ones stay. */
	struct sidecar_config *(*on_reload)(void *arg);
	void *arg;
};

/* Adopts config, also on failure. ERR_STATE_DAMAGED, ERR_DENIED (unsafe files), ERR_CONFIG, ERR_SYSTEM (a port is
 * taken). Listens when it returns. */
enum err sidecar_new(const struct sidecar_options *options, struct sidecar_config *config, struct sidecar **out,
	struct why *why) _must_use_;
void sidecar_run(struct sidecar *sidecar); /* until it is drained */
void sidecar_free(struct sidecar *sidecar);
