/* `handfast check` of a cluster: what its API server shows, read and judged. */
#pragma once

#include "base/settings/command_line/command_line.h"

bool cluster_check_is_wanted(const struct command_line *line);   /* its flags ask for a cluster */
bool cluster_check_is_possible(const struct command_line *line); /* a kubeconfig is there */
enum cli_exit cluster_check(struct command_line *line);
