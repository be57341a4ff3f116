/* `handfast inject`: prints what the webhook would make of the pods of a file's objects. */
#pragma once

#include "base/settings/command_line/command_line.h"

enum cli_exit cluster_inject(struct command_line *line);
