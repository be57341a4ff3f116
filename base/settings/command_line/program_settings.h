/* What a program does first with its settings: the file that --config names, the environment, the flags. */
#pragma once

#include "base/settings/command_line/command_line.h"
#include "base/settings/settings.h"

/* All three, of which each overrides the ones before; warnings are logged, errors stay in the settings. The caller
 * frees. The program has settings (line->program->settings). */
struct settings *program_settings_read(const struct command_line *line, char *const *environment);
