/* Completion for shells, from the tables of a program: which words, flags and values may come next. */
#include "base/settings/command_line/completion_private.h"
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

void completion_emit(struct completion *script, const char *format, ...)
{
	char text[EMIT_MAX];
	va_list arguments;
	if (script->err != ERR_NONE)
		return;
	va_start(arguments, format);
	int len = vsnprintf(text, sizeof text, format, arguments);
	va_end(arguments);
	script->err =
		len < 0 || (size_t)len >= sizeof text ? ERR_LIMIT : buf_append(script->out, span_of(text, (size_t)len));
}

/* --- commands --- */

/* Bytes of the first `depth` words; 0: there are fewer. */
static size_t prefix_len(const char *words, unsigned depth)
{
	size_t len = 0;
	for (unsigned i = 0; i < depth; i++) {
		if (words[len] == '\0')
			return 0;
		len += (size_t)(words[len] == ' ');
		len += strcspn(words + len, " ");
	}
	return len;
}

static bool has_prefix(const struct cli_command *command, struct span prefix)
{
	return strncmp(command->words, (const char *)prefix.ptr, prefix.len) == 0 &&
	       (prefix.len == 0 || command->words[prefix.len] == ' ' || command->words[prefix.len] == '\0');
}

/* The first command that begins so; the table has one. */
static size_t first_with(const struct cli_program *program, struct span prefix)
{
	size_t i = 0;
	while (i < program->num_commands && !has_prefix(&program->commands[i], prefix))
		i++;
	return i;
}

static const struct cli_command *whole_command(const struct cli_program *program, struct span words)
{
	for (size_t i = 0; i < program->num_commands; i++)
		if (span_eq(span_of_str(program->commands[i].words), words))
			return &program->commands[i];
	return NULL;
}

void completion_each_path(struct completion *script, completion_path_fn *each)
{
	const struct cli_program *program = script->program;
	each(script, SPAN_LITERAL(""), command_line_default(program));
	for (size_t i = 0; i < program->num_commands; i++) {
		size_t len;
		for (unsigned depth = 1; (len = prefix_len(program->commands[i].words, depth)) != 0; depth++) {
			struct span path = span_of(program->commands[i].words, len);
			if (first_with(program, path) == i)
				each(script, path, whole_command(program, path));
		}
	}
}

void completion_each_next(struct completion *script, struct span path, completion_word_fn *each)
{
	const struct cli_program *program = script->program;
	for (size_t i = 0; i < program->num_commands; i++) {
		const char *words = program->commands[i].words;
		if (!has_prefix(&program->commands[i], path) || words[path.len] == '\0')
			continue;
		size_t from = path.len + (words[path.len] == ' '), len = strcspn(words + from, " ");
		struct span whole = span_of(words, from + len);
		if (first_with(program, whole) != i)
			continue;
		const struct cli_command *command = whole_command(program, whole);
		each(script, span_of(words + from, len), command == NULL ? "" : command->help);
	}
}

/* --- flags --- */

static bool is_part_of_name(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-';
}

/* "text|json", "off, auto, require": lower-case words alone. */
static bool read_words(const char *text, char out[256])
{
	size_t len = 0;
	out[0] = '\0';
	if (strpbrk(text, "|,") == NULL || strlen(text) >= 256)
		return false;
	for (const char *at = text; *at != '\0'; at++) {
		bool is_separator = *at == '|' || *at == ',';
		if (!is_separator && *at != ' ' && !is_part_of_name(*at) && *at != '_')
			return false;
		if (is_separator)
			out[len++] = ' ';
		else if (*at != ' ')
			out[len++] = *at;
	}
	out[len] = '\0';
	return true;
}

static bool is_file(const char *value)
{
	static const char *const names[] = {"FILE", "PATH", "DIR", "FOLDER", "PROGRAM"};
	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
		if (strcmp(value, names[i]) == 0)
			return true;
	return false;
}

static const struct cli_values *values_called(const struct cli_program *program, struct span argument)
{
	for (size_t i = 0; i < program->num_values; i++)
		if (span_eq(span_of_str(program->values[i].argument), argument))
			return &program->values[i];
	return NULL;
}

static void flag_make(const struct cli_program *program, const struct cli_flag *flag, struct completion_flag *out)
{
	const struct cli_values *values = flag->value == NULL ? NULL : values_called(program, span_of_str(flag->value));
	*out = (struct completion_flag){.name = flag->name, .help = flag->help, .letter = flag->letter};
	if (flag->value == NULL)
		out->kind = COMPLETION_SWITCH;
	else if (values != NULL) {
		out->kind = COMPLETION_VALUES;
		snprintf(out->words, sizeof out->words, "%s", values->name);
	} else if (read_words(flag->value, out->words))
		out->kind = COMPLETION_WORDS;
	else
		out->kind = is_file(flag->value) ? COMPLETION_FILE : COMPLETION_ANY;
}

static void key_make(const struct setting_def *def, struct completion_flag *out)
{
	*out = (struct completion_flag){.name = def->key, .help = def->help, .kind = COMPLETION_ANY};
	if ((def->type == SETTING_TYPE_KEYWORD || def->type == SETTING_TYPE_BOOL) && read_words(def->range, out->words))
		out->kind = COMPLETION_WORDS;
}

static void each_key(struct completion *script, completion_flag_fn *each)
{
	const struct setting_table *settings = script->program->settings;
	struct completion_flag made;
	for (size_t i = 0; settings != NULL && i < settings->num_rows; i++) {
		if (setting_def_is_in_file_only(&settings->rows[i]))
			continue;
		key_make(&settings->rows[i], &made);
		each(script, &made);
	}
}

void completion_each_flag(struct completion *script, const struct cli_command *command, completion_flag_fn *each)
{
	const struct cli_flag *flag;
	struct completion_flag made;
	for (size_t i = 0; (flag = command_line_flag(script->program, i)) != NULL; i++) {
		bool is_shown = command != NULL ? command_line_names_flag(command, flag)
						: command_line_is_for_all(script->program, flag);
		if (!is_shown)
			continue;
		flag_make(script->program, flag, &made);
		each(script, &made);
	}
	if (command == NULL)
		each_key(script, each);
}

void completion_every_flag(struct completion *script, completion_flag_fn *each)
{
	const struct cli_flag *flag;
	struct completion_flag made;
	for (size_t i = 0; (flag = command_line_flag(script->program, i)) != NULL; i++) {
		flag_make(script->program, flag, &made);
		each(script, &made);
	}
	each_key(script, each);
}

bool completion_of_argument(const struct cli_command *command, char words[256])
{
	const char *text = command == NULL ? "" : command->arguments;
	char first[256];
	size_t len = strcspn(text, " .[]");
	snprintf(first, sizeof first, "%.*s", (int)len, text);
	(void)read_words(first, words);
	return is_file(first);
}

/* "[pod/NAME] --from ID": a word behind a flag is the flag's value. */
void completion_values_of_argument(const struct completion *script, const struct cli_command *command, char names[256])
{
	const char *at = command == NULL ? "" : command->arguments;
	bool is_of_flag = false;
	names[0] = '\0';
	while (*(at += strspn(at, " []|.")) != '\0') {
		struct span word = span_of(at, strcspn(at, " []|"));
		const struct cli_values *values = is_of_flag ? NULL : values_called(script->program, word);
		size_t len = strlen(names);
		if (values != NULL)
			snprintf(names + len, 256 - len, "%s%s", len == 0 ? "" : " ", values->name);
		at += word.len;
		is_of_flag = span_starts_with(word, SPAN_LITERAL("--")) && *at == ' ';
	}
}

void completion_put_quoted(struct completion *script, const char *text, const char *quote)
{
	for (const char *at = text; *at != '\0'; at++)
		if (*at == '\'')
			completion_emit(script, "%s", quote);
		else
			completion_emit(script, "%c", *at);
}

/* --- scripts --- */

enum err command_line_completion(const struct cli_program *program, const char *shell, struct buf *out)
{
	static const struct {
		const char *shell;
		void (*make)(struct completion *script);
	} shells[] = {{"bash", completion_bash}, {"zsh", completion_zsh}, {"fish", completion_fish}};
	struct completion script = {.program = program, .out = out};
	snprintf(script.function, sizeof script.function, "_%s", program->name);
	for (char *at = script.function; *at != '\0'; at++)
		*at = (char)(*at == '-' ? '_' : *at);
	for (size_t i = 0; i < sizeof shells / sizeof shells[0]; i++)
		if (strcmp(shells[i].shell, shell) == 0) {
			shells[i].make(&script);
			return script.err;
		}
	return ERR_NOT_FOUND;
}
