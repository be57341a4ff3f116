/* bash: one function for `complete -F`. '=' is a word of its own there: "--output=json" are three. */
#include "base/settings/command_line/completion_private.h"

static void put_pattern(struct completion *script, const struct completion_flag *flag)
{
	if (flag->kind == COMPLETION_SWITCH)
		return;
	completion_emit(script, " | --%s", flag->name);
	if (flag->letter != '\0')
		completion_emit(script, " | -%c", flag->letter);
}

static void put_value(struct completion *script, const struct completion_flag *flag)
{
	if (flag->kind == COMPLETION_SWITCH)
		return;
	completion_emit(script, "\t--%s", flag->name);
	if (flag->letter != '\0')
		completion_emit(script, " | -%c", flag->letter);
	if (flag->kind == COMPLETION_WORDS)
		completion_emit(script, ") COMPREPLY=($(compgen -W '%s' -- \"$cur\")); return ;;\n", flag->words);
	else if (flag->kind == COMPLETION_VALUES)
		completion_emit(script, ") %s_values %s; return ;;\n", script->function, flag->words);
	else if (flag->kind == COMPLETION_FILE)
		completion_emit(script, ") COMPREPLY=($(compgen -f -- \"$cur\")); return ;;\n");
	else
		completion_emit(script, ") return ;;\n");
}

static void put_path(struct completion *script, struct span path, const struct cli_command *command)
{
	(void)command;
	if (path.len > 0)
		completion_emit(script, " | '%.*s'", (int)path.len, (const char *)path.ptr);
}

static void put_word(struct completion *script, struct span word, const char *help)
{
	(void)help;
	completion_emit(script, "%.*s ", (int)word.len, (const char *)word.ptr);
}

static void put_flag(struct completion *script, const struct completion_flag *flag)
{
	completion_emit(script, "--%s ", flag->name);
}

static void put_case(struct completion *script, struct span path, const struct cli_command *command)
{
	char words[256], values[256];
	bool is_file = completion_of_argument(command, words);
	completion_emit(script, "\t'%.*s')\n\t\tnext='", (int)path.len, (const char *)path.ptr);
	completion_each_next(script, path, put_word);
	completion_emit(script, "%s' flags='", words);
	if (command != NULL)
		completion_each_flag(script, command, put_flag);
	completion_values_of_argument(script, command, values);
	completion_emit(script, "' files=%s values='%s' ;;\n", is_file ? "1" : "", values);
}

/* A ':' is a word of its own, too, and only what is behind it is replaced. */
static void put_values(struct completion *script)
{
	if (script->program->num_values == 0)
		return;
	completion_emit(script,
		"%s_values() {\n\tlocal -a found=()\n\tlocal colons=\n"
		"\t[[ $COMP_WORDBREAKS == *:* ]] && colons=${cur%%\"${cur##*:}\"}\n"
		"\tmapfile -t found < <(\"${COMP_WORDS[0]}\" completion values \"$1\" -- "
		"\"${before[@]}\" \"$cur\" 2>/dev/null)\n"
		"\tcompopt +o filenames 2>/dev/null\n\tCOMPREPLY+=(\"${found[@]#\"$colons\"}\")\n}\n",
		script->function);
}

void completion_bash(struct completion *script)
{
	const char *function = script->function, *name = script->program->name;
	completion_emit(script, "# bash completion of %s; made by %s --completion bash\n", name, name);
	put_values(script);
	completion_emit(script,
		"%s() {\n\tlocal cur prev= at= skip= word next= flags= files= values= i\n\tlocal -a before=()\n"
		"\tfor ((i = 1; i <= COMP_CWORD; i++)); do\n\t\tword=${COMP_WORDS[i]}\n"
		"\t\tif ((i > 1)) && [[ $word == :* || ${before[-1]} == *: ]]; then before[-1]+=$word; "
		"else before+=(\"$word\"); fi\n\tdone\n"
		"\tcur=${before[-1]}\n\tunset 'before[-1]'\n"
		"\t((${#before[@]} > 0)) && prev=${before[-1]}\n"
		"\tif [[ $cur == = ]]; then cur=; elif [[ $prev == = && ${#before[@]} -gt 1 ]]; then "
		"prev=${before[-2]}; fi\n"
		"\tfor word in \"${before[@]}\"; do\n"
		"\t\tif [[ -n $skip ]]; then [[ $word == = ]] || skip=; continue; fi\n"
		"\t\tcase \"$word\" in\n\t\t",
		function);
	completion_emit(script, "=");
	completion_every_flag(script, put_pattern);
	completion_emit(script, ") skip=1 ;;\n\t\t-*) ;;\n\t\t*) case \"${at:+$at }$word\" in\n\t\t\t''");
	completion_each_path(script, put_path);
	completion_emit(script, ") at=\"${at:+$at }$word\" ;;\n\t\t\tesac ;;\n\t\tesac\n\tdone\n\tcase \"$prev\" in\n");
	completion_every_flag(script, put_value);
	completion_emit(script, "\tesac\n\tcase \"$at\" in\n");
	completion_each_path(script, put_case);
	completion_emit(script, "\tesac\n\tif [[ $cur == -* ]]; then\n\t\tCOMPREPLY=($(compgen -W \"$flags ");
	completion_each_flag(script, NULL, put_flag);
	completion_emit(script,
		"\" -- \"$cur\"))\n\telse\n\t\tCOMPREPLY=($(compgen -W \"$next\" -- \"$cur\")"
		" ${files:+$(compgen -f -- \"$cur\")})\n"
		"\t\tfor word in $values; do %s_values \"$word\"; done\n\tfi\n}\ncomplete -o filenames -F %s %s\n",
		function, function, name);
}
