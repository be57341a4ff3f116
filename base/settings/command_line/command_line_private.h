/* Shared by this folder's own files. */
#pragma once

#include "base/settings/command_line/command_line.h"

const struct cli_flag *command_line_common(size_t i); /* the flags that every program has; NULL: no more */
