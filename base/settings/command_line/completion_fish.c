/* fish: a condition that compares the words so far, and a line per word and flag. */
#include "base/settings/command_line/completion_private.h"

static void put_pattern(struct completion *script, const struct completion_flag *flag)
{
	if (flag->kind == COMPLETION_SWITCH)
		return;
	completion_emit(script, " --%s", flag->name);
	if (flag->letter != '\0')
		completion_emit(script, " -%c", flag->letter);
}

static void put_path(struct completion *script, struct span path, const struct cli_command *command)
{
	(void)command;
	if (path.len > 0)
		completion_emit(script, " '%.*s'", (int)path.len, (const char *)path.ptr);
}

static void put_help(struct completion *script, const char *help)
{
	if (help[0] == '\0')
		return;
	completion_emit(script, " -d '");
	completion_put_quoted(script, help, "\\'");
	completion_emit(script, "'");
}

static void put_condition(struct completion *script)
{
	completion_emit(script, "complete -c %s -n '_%s_at \"%.*s\"'", script->program->name, script->function,
		(int)script->at.len, (const char *)script->at.ptr);
}

static void put_next(struct completion *script, struct span word, const char *help)
{
	put_condition(script);
	completion_emit(script, " -a '%.*s'", (int)word.len, (const char *)word.ptr);
	put_help(script, help);
	completion_emit(script, "\n");
}

static void put_rest_of_flag(struct completion *script, const struct completion_flag *flag)
{
	completion_emit(script, " -l '%s'", flag->name);
	if (flag->letter != '\0')
		completion_emit(script, " -s %c", flag->letter);
	if (flag->kind == COMPLETION_FILE)
		completion_emit(script, " -r -F");
	else if (flag->kind == COMPLETION_WORDS)
		completion_emit(script, " -x -a '%s'", flag->words);
	else if (flag->kind == COMPLETION_VALUES)
		completion_emit(script, " -x -a '(_%s_values %s)'", script->function, flag->words);
	else if (flag->kind == COMPLETION_ANY)
		completion_emit(script, " -x");
	put_help(script, flag->help);
	completion_emit(script, "\n");
}

static void put_flag(struct completion *script, const struct completion_flag *flag)
{
	put_condition(script);
	put_rest_of_flag(script, flag);
}

static void put_flag_of_all(struct completion *script, const struct completion_flag *flag)
{
	completion_emit(script, "complete -c %s", script->program->name);
	put_rest_of_flag(script, flag);
}

static void put_command(struct completion *script, struct span path, const struct cli_command *command)
{
	char words[256], values[256];
	bool is_file = completion_of_argument(command, words);
	script->at = path;
	completion_each_next(script, path, put_next);
	if (command == NULL)
		return;
	completion_each_flag(script, command, put_flag);
	if (words[0] != '\0' || is_file) {
		put_condition(script);
		completion_emit(script, is_file ? " -F\n" : " -a '%s'\n", words);
	}
	completion_values_of_argument(script, command, values);
	if (values[0] == '\0')
		return;
	put_condition(script);
	completion_emit(script, " -a '(_%s_values %s)'\n", script->function, values);
}

static void put_values(struct completion *script)
{
	if (script->program->num_values == 0)
		return;
	completion_emit(script,
		"function _%s_values\n\tset -l words (commandline -opc)\n\tset -l program $words[1]\n"
		"\tset -e words[1]\n\ttype -q $program; or return\n\tfor name in $argv\n"
		"\t\t$program completion values $name -- $words (commandline -ct) 2>/dev/null\n\tend\nend\n",
		script->function);
}

void completion_fish(struct completion *script)
{
	const char *name = script->program->name;
	completion_emit(script,
		"# fish completion of %s; made by %s --completion fish\nfunction _%s_at\n"
		"\tset -l at ''\n\tset -l skip 0\n\tset -l before (commandline -opc)\n\tset -e before[1]\n"
		"\tfor word in $before\n\t\tif test $skip = 1\n\t\t\tset skip 0\n\t\t\tcontinue\n\t\tend\n"
		"\t\tswitch $word\n\t\t\tcase =",
		name, name, script->function);
	completion_every_flag(script, put_pattern);
	completion_emit(script,
		"\n\t\t\t\tset skip 1\n\t\t\tcase '-*'\n\t\t\tcase '*'\n"
		"\t\t\t\tset -l longer (string trim -- \"$at $word\")\n\t\t\t\tswitch $longer\n\t\t\t\t\tcase ''");
	completion_each_path(script, put_path);
	completion_emit(
		script, "\n\t\t\t\t\t\tset at $longer\n\t\t\t\tend\n\t\tend\n\tend\n\ttest \"$at\" = $argv[1]\nend\n");
	put_values(script);
	completion_emit(script, "complete -c %s -f\n", name);
	completion_each_path(script, put_command);
	completion_each_flag(script, NULL, put_flag_of_all);
}
