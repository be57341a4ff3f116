/* status of a pod: what its sidecar is, and how it is. */
#pragma once

#include "base/settings/command_line/command_line.h"

enum cli_exit pod_status(struct command_line *line);
