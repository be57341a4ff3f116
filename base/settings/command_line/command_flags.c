/* Which flags a command takes. What help, the manual page and completion show comes from the same tables. */
#include "base/settings/command_line/command_line_private.h"
#include <stdio.h>
#include <string.h>

static bool is_part_of_name(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-';
}

/* "[--ttl 1h] [--once]"; NULL: no flag. */
static bool is_named_in(const char *text, const char *flag)
{
	size_t len = strlen(flag);
	for (const char *at = text; at != NULL && (at = strstr(at, "--")) != NULL; at += 2)
		if (strncmp(at + 2, flag, len) == 0 && !is_part_of_name(at[2 + len]))
			return true;
	return false;
}

/* The flag by which the tables of commands name it. */
static const char *name_of(const struct cli_flag *flag)
{
	return flag->with != NULL ? flag->with : flag->name;
}

bool command_line_names_flag(const struct cli_command *command, const struct cli_flag *flag)
{
	return is_named_in(command->arguments, name_of(flag)) || is_named_in(command->also, name_of(flag));
}

bool command_line_is_for_all(const struct cli_program *program, const struct cli_flag *flag)
{
	for (size_t i = 0; i < program->num_commands; i++)
		if (command_line_names_flag(&program->commands[i], flag))
			return false;
	return true;
}

const struct cli_command *command_line_default(const struct cli_program *program)
{
	for (size_t i = 0; program->default_command != NULL && i < program->num_commands; i++)
		if (strcmp(program->commands[i].words, program->default_command) == 0)
			return &program->commands[i];
	return NULL;
}

/* --- what was given --- */

static const struct cli_flag *flag_called(const struct cli_program *program, const char *name)
{
	const struct cli_flag *flag;
	for (size_t i = 0; (flag = command_line_flag(program, i)) != NULL; i++)
		if (strcmp(flag->name, name) == 0)
			return flag;
	return NULL;
}

static void list_takers(const struct cli_program *program, const struct cli_flag *flag, char out[160])
{
	size_t len = (size_t)snprintf(out, 160, "a command that takes it: ");
	bool is_first = true;
	for (size_t i = 0; i < program->num_commands; i++) {
		const char *words = program->commands[i].words;
		if (!command_line_names_flag(&program->commands[i], flag))
			continue;
		if (len + strlen(words) + sizeof ", and others" > 160) {
			snprintf(out + len, 160 - len, ", and others");
			return;
		}
		len += (size_t)snprintf(out + len, 160 - len, "%s%s", is_first ? "" : ", ", words);
		is_first = false;
	}
}

static void check_flag(struct command_line *line, const struct cli_flag *flag)
{
	char name[80], expected[160], problem[200];
	const char *words = line->command->words;
	snprintf(name, sizeof name, "--%s", flag->name);
	if (!command_line_names_flag(line->command, flag) && !command_line_is_for_all(line->program, flag)) {
		list_takers(line->program, flag, expected);
		snprintf(problem, sizeof problem, "the command %s does not take it", words);
	} else if (flag->with != NULL && command_line_value(line, flag->with) == NULL) {
		snprintf(expected, sizeof expected, "--%s together with it", flag->with);
		snprintf(problem, sizeof problem, "it is given without --%s", flag->with);
	} else if (line->num_arguments > 0 && is_named_in(line->command->without, flag->name)) {
		snprintf(expected, sizeof expected, "one of the two");
		snprintf(problem, sizeof problem, "the command %s takes it, or '%.100s', not both", words,
			line->arguments[0]);
	} else {
		return;
	}
	command_line_error_text(line, name, expected, problem);
}

void command_line_check_flags(struct command_line *line)
{
	for (unsigned i = 0; line->command != NULL && i < line->num_values; i++)
		if (!line->values[i].is_key)
			check_flag(line, flag_called(line->program, line->values[i].name));
}
