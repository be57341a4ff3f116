/* The commands. Each parses its arguments, runs, prints the result and returns the exit code. */
#pragma once

#include "base/core/fixed_ports.h"
#include "base/settings/command_line/command_line.h"

#define COMMANDS_SOCKET "/run/handfast/control.sock"              /* unless --socket is given */
#define COMMANDS_ADMIN  "127.0.0.1:" FIXED_TEXT(FIXED_PORT_ADMIN) /* unless --admin is given */

/* The single argument of the command. NULL, with an error added: none or several. */
const char *command_argument(struct command_line *line, const char *expected);

#define COMMAND(words, arguments, help, function, also, without) enum cli_exit function(struct command_line *line);
#include "cli/commands.def"
#undef COMMAND
