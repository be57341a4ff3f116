/* Commands to a running sidecar, for images without a shell. Each blocks and returns the exit code. */
#pragma once

#include "base/settings/command_line/command_line.h"
#include "sidecar/config.h"

enum cli_exit command_wait(const struct command_line *line, const struct sidecar_config *config,
	uint64_t timeout_ms); /* until the sidecar is ready, with --started until the workload may start, with
			       * --listening until it accepts connections; CLI_REFUSED: not in time. All answer with the
			       * sidecar's conditions, too: text on the standard error, `conditions` in JSON */
/* The new process serves with its settings: answers that, with what does not work yet, which undoes nothing. */
enum cli_exit command_upgraded(const struct command_line *line, const struct sidecar_config *config);
enum cli_exit command_send(const struct command_line *line,
	const struct sidecar_config *config); /* sends the command's keyword: "drain", "quit" or "release" */
/* Keeps the files of the identity, from the socket workload_api.socket or SPIFFE_ENDPOINT_SOCKET. */
enum cli_exit command_svid(struct command_line *line, const struct sidecar_config *config);
