/* The exit codes of all programs. */
#pragma once

#include "base/core/err.h"

enum cli_exit {
#define EXIT_CODE(symbol, number, text) symbol = (number),
#include "base/settings/command_line/exit_codes.def"
#undef EXIT_CODE
};

enum cli_exit cli_exit_of(enum err err);
