/* zsh: a function for compinit. "--output=json" is one word there. */
#include "base/settings/command_line/completion_private.h"
#include <string.h>

static void put_word_text(struct completion *script, struct span text)
{
	for (size_t i = 0; i < text.len; i++)
		completion_emit(script, text.ptr[i] == ':' ? "\\:" : "%c", text.ptr[i]);
}

/* 'token:help', for _describe. */
static void put_described(struct completion *script, const char *dashes, struct span word, const char *help)
{
	completion_emit(script, " '%s", dashes);
	put_word_text(script, word);
	if (help[0] != '\0')
		completion_emit(script, ":");
	completion_put_quoted(script, help, "'\\''");
	completion_emit(script, "'");
}

static void put_next(struct completion *script, struct span word, const char *help)
{
	put_described(script, "", word, help);
}

static void put_flag(struct completion *script, const struct completion_flag *flag)
{
	put_described(script, "--", span_of_str(flag->name), flag->help);
}

static void put_value(struct completion *script, const struct completion_flag *flag)
{
	if (flag->kind == COMPLETION_SWITCH)
		return;
	completion_emit(script, "\t(--%s", flag->name);
	if (flag->letter != '\0')
		completion_emit(script, "|-%c", flag->letter);
	completion_emit(script, ") ");
	if (flag->kind == COMPLETION_WORDS)
		completion_emit(script, "compadd -- %s; ", flag->words);
	else if (flag->kind == COMPLETION_VALUES)
		completion_emit(script, "%s_values %s; ", script->function, flag->words);
	else if (flag->kind == COMPLETION_FILE)
		completion_emit(script, "_files; ");
	completion_emit(script, "return ;;\n");
}

static void put_pattern(struct completion *script, const struct completion_flag *flag)
{
	if (flag->kind == COMPLETION_SWITCH)
		return;
	completion_emit(script, "|--%s", flag->name);
	if (flag->letter != '\0')
		completion_emit(script, "|-%c", flag->letter);
}

static void put_path(struct completion *script, struct span path, const struct cli_command *command)
{
	(void)command;
	if (path.len > 0)
		completion_emit(script, "|'%.*s'", (int)path.len, (const char *)path.ptr);
}

static void put_case(struct completion *script, struct span path, const struct cli_command *command)
{
	char words[256], values[256];
	bool is_file = completion_of_argument(command, words);
	completion_emit(script, "\t('%.*s') next=(%s", (int)path.len, (const char *)path.ptr, words);
	completion_each_next(script, path, put_next);
	completion_emit(script, ") flags=(");
	if (command != NULL)
		completion_each_flag(script, command, put_flag);
	completion_values_of_argument(script, command, values);
	completion_emit(script, ") files=%s values=(%s) ;;\n", is_file ? "1" : "", values);
}

static void put_values(struct completion *script)
{
	if (script->program->num_values == 0)
		return;
	completion_emit(script,
		"%s_values() {\n\tlocal -a found\n"
		"\tfound=(${(f)\"$(\"${words[1]}\" completion values $1 -- \"${(@)words[2,CURRENT]}\" "
		"2>/dev/null)\"})\n"
		"\t((${#found})) && compadd -a found\n}\n",
		script->function);
}

void completion_zsh(struct completion *script)
{
	const char *name = script->program->name;
	completion_emit(script, "#compdef %s\n# zsh completion of %s; made by %s --completion zsh\n", name, name, name);
	put_values(script);
	completion_emit(script,
		"%s() {\n"
		"\tlocal cur=${words[CURRENT]} prev=${words[CURRENT-1]} at= skip= word files=\n"
		"\tlocal -a next flags every values\n"
		"\tfor word in \"${(@)words[2,CURRENT-1]}\"; do\n"
		"\t\tif [[ -n $skip ]]; then skip=; continue; fi\n\t\tcase $word in\n\t\t('='",
		script->function);
	completion_every_flag(script, put_pattern);
	completion_emit(script, ") skip=1 ;;\n\t\t(-*) ;;\n\t\t(*) case \"${at:+$at }$word\" in\n\t\t\t(''");
	completion_each_path(script, put_path);
	completion_emit(script,
		") at=\"${at:+$at }$word\" ;;\n\t\t\tesac ;;\n\t\tesac\n\tdone\n"
		"\tif [[ $cur == --*=* ]]; then prev=${cur%%%%=*}; compset -P '*='; fi\n\tcase $prev in\n");
	completion_every_flag(script, put_value);
	completion_emit(script, "\tesac\n\tcase $at in\n");
	completion_each_path(script, put_case);
	completion_emit(script, "\tesac\n\tif [[ $cur == -* ]]; then\n\t\tevery=(");
	completion_each_flag(script, NULL, put_flag);
	completion_emit(script,
		")\n\t\t_describe -o flag flags -- every\n\telse\n\t\t((${#next})) && _describe command next\n"
		"\t\t[[ -n $files ]] && _files\n"
		"\t\tfor word in $values; do %s_values $word; done\n\tfi\n\treturn 0\n}\n"
		"if [[ $funcstack[1] == %s ]]; then %s \"$@\"; else compdef %s %s; fi\n",
		script->function, script->function, script->function, script->function, name);
}
