/* --watch: a command repeated until SIGINT or SIGTERM. Each run is a child process, so that a failure of one changes
 * nothing for the next. What a run prints is shown when it differs from what was shown last: on a terminal in its
 * place, else below a line with the time, and with --output json as one line. */
#pragma once

#include "base/settings/command_line/command_line.h"

/* Returns when interrupted, with CLI_DONE; a run that refuses its command line ends it, with that exit code. Failures
 * of runs are shown, and the next run follows after --interval (2 s). */
enum cli_exit watch_run(struct command_line *line, enum cli_exit (*function)(struct command_line *));
