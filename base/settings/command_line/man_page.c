/* The manual page of a program (man(7)), from the same tables as --help. */
#include "base/settings/command_line/command_line_private.h"
#include <ctype.h>
#include <stdio.h>
#include <string.h>

/* A text as roff shows it: no control line by a '.' or an apostrophe at its start, no escape by a backslash, and each
 * '-' as the sign that is typed. */
static enum err put_text(const char *text, struct buf *out)
{
	if (text[0] == '.' || text[0] == '\'')
		RETURN_IF_ERR(buf_append_str(out, "\\&"));
	for (const char *at = text; *at != '\0'; at++) {
		if (*at == '\\')
			RETURN_IF_ERR(buf_append_str(out, "\\e"));
		else if (*at == '-')
			RETURN_IF_ERR(buf_append_str(out, "\\-"));
		else if (*at == '"')
			RETURN_IF_ERR(buf_append_str(out, "\\(dq"));
		else
			RETURN_IF_ERR(buf_append(out, span_of(at, 1)));
	}
	return ERR_NONE;
}

static enum err put_line(const char *before, const char *text, const char *after, struct buf *out)
{
	RETURN_IF_ERR(buf_append_str(out, before));
	RETURN_IF_ERR(put_text(text, out));
	return buf_append_str(out, after);
}

/* A tag and the text below it: `.TP`, `.B tag`. `rest` is not bold. */
static enum err put_item(const char *tag, const char *rest, const char *text, struct buf *out)
{
	RETURN_IF_ERR(put_line(".TP\n\\fB", tag, "\\fR", out));
	if (rest != NULL && rest[0] != '\0')
		RETURN_IF_ERR(put_line(" ", rest, "", out));
	return put_line("\n", text, "\n", out);
}

static unsigned section_of(const char *name)
{
	return strchr(name, '-') == NULL ? 1 : 8; /* handfast is for users, the others are daemons */
}

/* "HANDFAST\-SIDECAR" */
static enum err put_title(const struct cli_program *program, struct buf *out)
{
	char title[64];
	size_t len = 0;
	for (; len < sizeof title - 1 && program->name[len] != '\0'; len++)
		title[len] = (char)toupper((unsigned char)program->name[len]);
	title[len] = '\0';
	RETURN_IF_ERR(put_line(".TH ", title, "", out));
	return buf_printf(out, " %u \"\" \"Handfast %s\" \"Handfast\"\n", section_of(program->name), program->release);
}

static enum err put_synopsis(const struct cli_program *program, struct buf *out)
{
	bool has_commands = program->num_commands > 0;
	RETURN_IF_ERR(put_line(".SH NAME\n", program->name, " \\- ", out));
	RETURN_IF_ERR(put_text("part of the Handfast service mesh", out));
	RETURN_IF_ERR(put_line("\n.SH SYNOPSIS\n\\fB", program->name, "\\fR", out));
	if (has_commands)
		RETURN_IF_ERR(
			buf_printf(out, program->default_command != NULL ? " [\\fICOMMAND\\fR]" : " \\fICOMMAND\\fR"));
	return put_line(" [\\-\\-\\fIFLAG\\fR \\fIVALUE\\fR]...\n.SH DESCRIPTION\n", program->about, "\n", out);
}

static enum err put_commands(const struct cli_program *program, struct buf *out)
{
	if (program->num_commands > 0)
		RETURN_IF_ERR(buf_append_str(out, ".SH COMMANDS\n"));
	for (size_t i = 0; i < program->num_commands; i++) {
		const struct cli_command *command = &program->commands[i];
		RETURN_IF_ERR(put_item(command->words, command->arguments, command->help, out));
		if (command->also != NULL)
			RETURN_IF_ERR(put_line("Also takes ", command->also, ".\n", out));
	}
	return ERR_NONE;
}

static enum err put_flags(const struct cli_program *program, struct buf *out)
{
	const struct cli_flag *flag;
	RETURN_IF_ERR(buf_append_str(out, ".SH OPTIONS\nAnywhere, as \\-\\-FLAG VALUE or \\-\\-FLAG=VALUE.\n"));
	for (size_t i = 0; (flag = command_line_flag(program, i)) != NULL; i++) {
		char tag[96], help[1024];
		snprintf(tag, sizeof tag, "--%s", flag->name);
		snprintf(help, sizeof help, "%s%s", flag->help, flag->may_repeat ? "; may be repeated" : "");
		RETURN_IF_ERR(put_item(tag, flag->value, help, out));
	}
	return ERR_NONE;
}

static enum err put_settings(const struct setting_table *settings, struct buf *out)
{
	char rest[256];
	if (settings == NULL)
		return ERR_NONE;
	RETURN_IF_ERR(put_line(".SH SETTINGS\n",
		"Each is a key of the file that --config names, and, where it is no part of a list, a flag --KEY and a "
		"variable of the environment; a flag takes precedence over the environment, and the environment over "
		"the file.",
		"\n", out));
	for (size_t i = 0; i < settings->num_rows; i++) {
		const struct setting_def *def = &settings->rows[i];
		bool is_required = strcmp(def->otherwise, SETTING_REQUIRED) == 0;
		snprintf(rest, sizeof rest, "%s%s%s; %s%s", setting_type_text(def->type),
			def->range[0] == '\0' ? "" : ": ", def->range, is_required ? "" : "default ",
			def->otherwise[0] == '\0' ? "none" : def->otherwise);
		RETURN_IF_ERR(put_item(def->key, rest, def->help, out));
	}
	return ERR_NONE;
}

static enum err put_exit_codes(struct buf *out)
{
	RETURN_IF_ERR(buf_append_str(out, ".SH EXIT STATUS\n"));
	const char *text;
	int number;
	for (size_t i = 0; (text = command_line_exit_code(i, &number)) != NULL; i++) {
		char tag[12];
		snprintf(tag, sizeof tag, "%d", number);
		RETURN_IF_ERR(put_item(tag, NULL, text, out));
	}
	return ERR_NONE;
}

static enum err put_see_also(const struct cli_program *program, struct buf *out)
{
	static const char *const names[] = {
		"handfast", "handfast-cni", "handfast-control", "handfast-init", "handfast-sidecar"};
	bool is_first = true;
	RETURN_IF_ERR(buf_append_str(out, ".SH SEE ALSO\n"));
	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
		if (strcmp(names[i], program->name) == 0)
			continue;
		RETURN_IF_ERR(put_line(is_first ? "\\fB" : ",\n\\fB", names[i], "\\fR", out));
		RETURN_IF_ERR(buf_printf(out, "(%u)", section_of(names[i])));
		is_first = false;
	}
	return buf_append_str(out, "\n");
}

enum err command_line_man(const struct cli_program *program, struct buf *out)
{
	RETURN_IF_ERR(put_title(program, out));
	RETURN_IF_ERR(put_synopsis(program, out));
	RETURN_IF_ERR(put_commands(program, out));
	RETURN_IF_ERR(put_flags(program, out));
	RETURN_IF_ERR(put_settings(program->settings, out));
	RETURN_IF_ERR(put_exit_codes(out));
	return put_see_also(program, out);
}
