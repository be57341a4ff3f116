/* Starts handfast-pkcs11 and makes its socket to the signer. Called while this process has one thread, and before it
 * restricts itself. */
#pragma once

#include "base/core/err.h"
#include <sys/types.h>

struct token_start_options {
	const char *program; /* "/usr/local/bin/handfast-pkcs11" */
	const char *key_folder;
	const char *module, *token, *key, *pin_file;
};
/* *out_fd: for the signer alone; it waits on it TOKEN_WAIT_MS at most. The process ends when both ends are closed. */
enum err token_start(
	const struct token_start_options *options, int *out_fd, pid_t *out_child, struct why *why) _must_use_;
