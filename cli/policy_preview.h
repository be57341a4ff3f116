/* policy dry-run --file: which open connections of a sidecar a policy that is not in force yet would close. */
#pragma once

#include "base/settings/command_line/command_line.h"

/* Decides for each open inbound connection of the sidecar by --file alone, for the sidecar's own identity. Ends with
 * CLI_REFUSED if one would be closed. */
enum cli_exit policy_preview(struct command_line *line);
