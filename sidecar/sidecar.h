/* The composition root: creates all parts of the data plane, connects them, and passes what the clients of the control
 * plane receive to the workers. One per process. */
#pragma once

#include "sidecar/config.h"

struct sidecar;

enum { SIDECAR_TAKE_OVER_MAX_MS = 240000 };
struct sidecar_options { /* all borrowed */
	const char *release;
	const char *settings_file; /* which stays readable, for on_reload; NULL: none */
	/* Reads the settings again, for SIGHUP; NULL: they have errors, which it has logged, and the old ones stay. */
	struct sidecar_config *(*on_reload)(void *arg);
	struct span given;     /* what another process begins with that upgrades this one by hand (given.h) */
	bool takes_over;       /* from the sidecar that answers at the admin socket */
	bool uses_its_output;  /* standard output and error become those of that sidecar */
	uint64_t take_over_ms; /* it serves within this time, SIDECAR_TAKE_OVER_MAX_MS at most, or fails, and changes
				  nothing */
	void (*on_serving)(void *arg); /* it accepts connections; may be NULL */
	void *arg;
};

/* Adopts config, also on failure. ERR_STATE_DAMAGED, ERR_DENIED (unsafe files), ERR_CONFIG, ERR_SYSTEM (a port is in
 * use). The listeners are open when it returns. */
enum err sidecar_new(const struct sidecar_options *options, struct sidecar_config *config, struct sidecar **out,
	struct why *why) _must_use_;
enum err sidecar_run(struct sidecar *sidecar); /* until it is drained. ERR_TIMEOUT: it has not taken over */
void sidecar_free(struct sidecar *sidecar);
