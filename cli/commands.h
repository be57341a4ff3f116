/* The commands. Each parses what is its own, does it, shows it, and returns the exit code. */
#pragma once

#include "cli/show.h"

int command_token_create(const struct cli_options *options);
int command_status(const struct cli_options *options);
int command_ban(const struct cli_options *options);
int command_entry_release(const struct cli_options *options);
int command_certs(const struct cli_options *options);
int command_check(const struct cli_options *options);
