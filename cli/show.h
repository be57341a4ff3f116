/* How a result is shown: text for people, or one JSON object for programs. */
#pragma once

#include "base/core/err.h"
#include "base/core/span.h"
#include <stdbool.h>
#include <stdint.h>

enum cli_exit {
	CLI_FINE = 0,
	CLI_REFUSED = 1,      /* told no, or the check found something */
	CLI_USAGE = 64,       /* flags */
	CLI_UNAVAILABLE = 69, /* nobody answers */
	CLI_DENIED = 77,      /* not allowed to us */
};

struct cli_options {
	bool json;
	const char *socket, *admin; /* where control plane and sidecar listen */
	const char *id, *ttl;
	const char *networks[16];
	unsigned num_networks;
	const char *const *words; /* what is left: the command's own arguments */
	unsigned num_words;
};

int show_failure(const struct cli_options *options, enum err err, const struct why *why); /* returns the exit code */
void show_time(int64_t ms, char out[32]); /* "2026-01-02T03:04:05Z", "-" for 0 */
