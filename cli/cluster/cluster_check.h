/* `handfast check` of a cluster: what its API server shows, read and judged. */
#pragma once

#include "base/settings/command_line/command_line.h"

bool cluster_check_is_wanted(const struct command_line *line); /* its flags ask for a cluster */
enum cli_exit cluster_check(struct command_line *line);
