/* Shared by this folder's own files. */
#pragma once

#include "base/settings/command_line/command_line.h"

const struct cli_flag *command_line_common(size_t i); /* the flags that every program has; NULL: no more */
/* The program's, and behind them the common ones; NULL: no more. */
const struct cli_flag *command_line_flag(const struct cli_program *program, size_t i);
const char *command_line_exit_code(size_t i, int *out_number); /* what it means; NULL: no more */
