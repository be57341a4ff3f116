/* What the program does where the image has no shell: ask a running sidecar. Each blocks and returns the exit code. */
#pragma once

#include "base/cli/command_line.h"
#include "sidecar/config.h"

enum cli_exit command_wait(const struct command_line *line, const struct sidecar_config *config,
	uint64_t timeout_ms); /* until it is ready; CLI_REFUSED: not in time */
enum cli_exit command_ask(
	const struct command_line *line, const struct sidecar_config *config); /* the command's word: "drain" */
