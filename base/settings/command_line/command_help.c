/* --help: of the program, or of the command, or commands, that the words before it name. */
#include "base/json/json_put.h"
#include "base/settings/command_line/command_line_private.h"
#include <jansson.h>
#include <stdio.h>
#include <string.h>

/* "ca" begins "ca rotate"; "" each. */
static bool is_meant(const struct cli_command *command, const char *about)
{
	size_t len = strlen(about);
	return len == 0 || (strncmp(command->words, about, len) == 0 &&
				   (command->words[len] == ' ' || command->words[len] == '\0'));
}

void command_line_take_about(struct command_line *line, const char *const *words, unsigned num_words)
{
	char about[sizeof line->about] = "";
	size_t len = 0;
	for (unsigned num = 0; num < num_words; num++) {
		len += (size_t)snprintf(about + len, sizeof about - len, "%s%s", num == 0 ? "" : " ", words[num]);
		if (len >= sizeof about)
			return;
		for (size_t i = 0; i < line->program->num_commands; i++)
			if (is_meant(&line->program->commands[i], about))
				memcpy(line->about, about, sizeof about);
	}
}

/* --- text --- */

static enum err put_command(const char *before, const struct cli_command *command, struct buf *out)
{
	return buf_printf(out, "  %s%s%s%s\n      %s\n", before, command->words,
		command->arguments[0] == '\0' ? "" : " ", command->arguments, command->help);
}

static enum err put_usage(const struct cli_program *program, struct buf *out)
{
	RETURN_IF_ERR(buf_printf(out, "usage: %s%s [--FLAG VALUE]...\n\n%s\n", program->name,
		program->num_commands == 0         ? ""
		: program->default_command != NULL ? " [COMMAND]"
						   : " COMMAND",
		program->about));
	if (program->num_commands > 0)
		RETURN_IF_ERR(buf_append_str(out, "\ncommands:\n"));
	for (size_t i = 0; i < program->num_commands; i++)
		RETURN_IF_ERR(put_command("", &program->commands[i], out));
	return ERR_NONE;
}

static bool has_file(const struct cli_program *program)
{
	for (size_t i = 0; i < program->num_flags; i++)
		if (strcmp(program->flags[i].name, "config") == 0)
			return true;
	return false;
}

static enum err put_settings(const struct cli_program *program, struct buf *out)
{
	const struct setting_table *settings = program->settings;
	RETURN_IF_ERR(buf_printf(out,
		"\nsettings%s; each is %sa flag --KEY and a variable %s_KEY (in capitals, '_' for '.').\n"
		"A flag takes precedence over the environment%s. An empty variable counts as not\n"
		"set. --keys explains each setting:\n",
		has_file(program) ? " of the file" : "", has_file(program) ? "also " : "", settings->prefix,
		has_file(program) ? ", the environment over the file" : ""));
	for (size_t i = 0; i < settings->num_rows; i++)
		if (!setting_def_is_in_file_only(&settings->rows[i]))
			RETURN_IF_ERR(buf_printf(out, "  %s\n", settings->rows[i].key));
	return ERR_NONE;
}

static enum err put_flag(const struct cli_flag *flag, struct buf *out)
{
	const char *value = flag->value == NULL ? "" : flag->value;
	RETURN_IF_ERR(buf_printf(out, "  --%s%s%s", flag->name, flag->value == NULL ? "" : " ", value));
	if (flag->letter != '\0')
		RETURN_IF_ERR(buf_printf(out, ", -%c %s", flag->letter, value));
	return buf_printf(out, "\n      %s%s\n", flag->help, flag->may_repeat ? "; may be repeated" : "");
}

static enum err put_flags(const struct cli_program *program, struct buf *out)
{
	RETURN_IF_ERR(buf_append_str(out, "\nflags, anywhere, as --FLAG VALUE or --FLAG=VALUE:\n"));
	const struct cli_flag *flag;
	for (size_t i = 0; (flag = command_line_flag(program, i)) != NULL; i++)
		RETURN_IF_ERR(put_flag(flag, out));
	return program->settings == NULL ? ERR_NONE : put_settings(program, out);
}

static enum err put_exit_codes(struct buf *out)
{
	const char *text;
	int number;
	RETURN_IF_ERR(buf_append_str(out, "\nexit codes:\n"));
	for (size_t i = 0; (text = command_line_exit_code(i, &number)) != NULL; i++)
		RETURN_IF_ERR(buf_printf(out, "  %-3d %s\n", number, text));
	return ERR_NONE;
}

/* What each group of commands takes besides; beside each command it would be most of the page. */
static enum err put_also(const struct cli_program *program, struct buf *out)
{
	if (program->num_commands == 0)
		return ERR_NONE;
	RETURN_IF_ERR(buf_append_str(out, "\n"));
	for (size_t i = 0; i < program->num_also; i++)
		RETURN_IF_ERR(buf_printf(out, "%s %s%s%s%s\n", i == 0 ? "Commands" : "those", program->also[i].commands,
			" also take ", program->also[i].flags, i + 1 < program->num_also ? ";" : "."));
	return buf_printf(out, "`%s COMMAND --help` lists the flags of one command.\n", program->name);
}

static bool is_flag_of(const struct cli_program *program, const char *about, const struct cli_flag *flag)
{
	for (size_t i = 0; i < program->num_commands; i++)
		if (is_meant(&program->commands[i], about) && command_line_names_flag(&program->commands[i], flag))
			return true;
	return command_line_is_for_all(program, flag);
}

static enum err put_command_with_also(const char *before, const struct cli_command *command, struct buf *out)
{
	RETURN_IF_ERR(put_command(before, command, out));
	return command->also == NULL ? ERR_NONE : buf_printf(out, "      also takes %s\n", command->also);
}

static enum err put_command_help(const struct cli_program *program, const char *about, struct buf *out)
{
	const struct cli_flag *flag;
	char before[64];
	snprintf(before, sizeof before, "%s ", program->name);
	RETURN_IF_ERR(buf_append_str(out, "usage:\n"));
	for (size_t i = 0; i < program->num_commands; i++)
		if (is_meant(&program->commands[i], about))
			RETURN_IF_ERR(put_command_with_also(before, &program->commands[i], out));
	RETURN_IF_ERR(buf_append_str(out, "\nflags, anywhere, as --FLAG VALUE or --FLAG=VALUE:\n"));
	for (size_t i = 0; (flag = command_line_flag(program, i)) != NULL; i++)
		if (is_flag_of(program, about, flag))
			RETURN_IF_ERR(put_flag(flag, out));
	return buf_printf(out, "\nother commands%s, and exit codes: %s --help\n",
		program->settings == NULL ? "" : ", settings", program->name);
}

static enum err put_text_help(const struct cli_program *program, const char *about, struct buf *out)
{
	if (about[0] != '\0')
		return put_command_help(program, about, out);
	RETURN_IF_ERR(put_usage(program, out));
	RETURN_IF_ERR(put_flags(program, out));
	RETURN_IF_ERR(put_exit_codes(out));
	return put_also(program, out);
}

/* --- JSON --- */

/* The names of those that it takes; the common ones are in none. */
static json_t *json_flags_of(const struct cli_program *program, const struct cli_command *command)
{
	json_t *list = json_array();
	for (size_t i = 0; i < program->num_flags; i++)
		if (command_line_names_flag(command, &program->flags[i]) ||
			command_line_is_for_all(program, &program->flags[i]))
			json_array_append_new(list, json_string(program->flags[i].name));
	return list;
}

static json_t *json_help(const struct cli_program *program, const char *about)
{
	json_t *commands = json_array(), *flags = json_array(), *keys = json_array(), *codes = json_object();
	const struct cli_flag *flag;
	for (size_t i = 0; i < program->num_commands; i++)
		if (is_meant(&program->commands[i], about))
			json_array_append_new(commands,
				json_pack("{s:s, s:s, s:s, s:o}", "words", program->commands[i].words, "arguments",
					program->commands[i].arguments, "help", program->commands[i].help, "flags",
					json_flags_of(program, &program->commands[i])));
	for (size_t i = 0; (flag = command_line_flag(program, i)) != NULL; i++)
		if (about[0] == '\0' || is_flag_of(program, about, flag))
			json_array_append_new(
				flags, json_pack("{s:s, s:s?, s:s, s:b}", "name", flag->name, "value", flag->value,
					       "help", flag->help, "may_repeat", flag->may_repeat));
	for (size_t i = 0; program->settings != NULL && i < program->settings->num_rows; i++)
		if (!setting_def_is_in_file_only(&program->settings->rows[i]))
			json_array_append_new(keys, json_string(program->settings->rows[i].key));
	const char *text;
	int code;
	for (size_t i = 0; (text = command_line_exit_code(i, &code)) != NULL; i++) {
		char number[12];
		snprintf(number, sizeof number, "%d", code);
		json_object_set_new(codes, number, json_string(text));
	}
	return json_pack("{s:s, s:s, s:o, s:o, s:o, s:o}", "program", program->name, "about", program->about,
		"commands", commands, "flags", flags, "settings", keys, "exit_codes", codes);
}

enum err command_line_help(const struct cli_program *program, const char *about, bool json, struct buf *out)
{
	return json ? command_line_put_json(json_help(program, about), out) : put_text_help(program, about, out);
}
