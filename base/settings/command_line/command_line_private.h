/* Shared by this folder's own files. */
#pragma once

#include "base/settings/command_line/command_line.h"
#include <jansson.h>

/* The program's, and behind them the common ones; NULL: no more. */
const struct cli_flag *command_line_flag(const struct cli_program *program, size_t i);
bool command_line_names_flag(
	const struct cli_command *command, const struct cli_flag *flag); /* is it one of its own? */
bool command_line_is_for_all(const struct cli_program *program, const struct cli_flag *flag); /* no command's own */
const struct cli_command *command_line_default(const struct cli_program *program); /* NULL: one must be given */
/* Refuses each flag that was given and that the command does not take, or not so. */
void command_line_check_flags(struct command_line *line);
/* Of the words before or after --help, as many as name a command or a group. */
void command_line_take_about(struct command_line *line, const char *const *words, unsigned num_words);
enum err command_line_put_json(json_t *object, struct buf *out) _must_use_; /* ends the object */
const char *command_line_exit_code(size_t i, int *out_number);              /* what it means; NULL: no more */
