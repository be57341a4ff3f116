#include "base/settings/command_line/command_line_private.h"
#include "base/settings/setting_nearest.h"
#include <stdio.h>
#include <string.h>

static const struct cli_flag common[] = {
	{"check", NULL, "read the command line and the settings, report every error, and end", false},
	{"completion", "bash|zsh|fish", "print the completion of this program for that shell", false},
	{"help", NULL, "print this help; after a command, the help of that command alone", false},
	{"keys", NULL, "print every setting: type, range, default, and when a change takes effect", false},
	{"man", NULL, "print the manual page", false},
	{"output", "text|json", "how the program's own output looks (text)", false},
	{"version", NULL, "print this release and the libraries inside", false},
};
#define NUM_COMMON (sizeof common / sizeof common[0])

const struct cli_flag *command_line_flag(const struct cli_program *program, size_t i)
{
	size_t at = i - program->num_flags; /* of the common ones, behind the program's */
	if (i < program->num_flags)
		return &program->flags[i];
	return at < NUM_COMMON ? &common[at] : NULL;
}

static const struct cli_flag *find_flag(const struct cli_program *program, struct span name)
{
	for (size_t i = 0; i < program->num_flags; i++)
		if (span_eq(span_of_str(program->flags[i].name), name))
			return &program->flags[i];
	for (size_t i = 0; i < NUM_COMMON; i++)
		if (span_eq(span_of_str(common[i].name), name))
			return &common[i];
	return NULL;
}

static const char *find_key(const struct cli_program *program, struct span name)
{
	const struct setting_def *def =
		program->settings == NULL ? NULL : setting_table_find_flag(program->settings, name);
	return def == NULL ? NULL : def->key;
}

/* "--KEY", "KEY" or "PREFIX_KEY", also of a key that another release had. */
static bool names_a_setting(const struct cli_program *program, const char *name)
{
	struct span bare = span_of_str(name);
	if (program->settings == NULL)
		return false;
	if (span_starts_with(bare, SPAN_LITERAL("--")))
		return find_flag(program, span_from(bare, 2)) == NULL;
	return find_key(program, bare) != NULL || span_starts_with(bare, span_of_str(program->settings->prefix));
}

/* The flags of the page that explains what is wrong, and the command before them: " token create --help". */
static void put_page_name(const struct command_line *line, const char *name, char out[80])
{
	bool may_be_setting = line->program->settings != NULL && strcmp(name, "flag") == 0;
	if (names_a_setting(line->program, name))
		snprintf(out, 80, " --keys");
	else if (line->about[0] == '\0' || may_be_setting)
		snprintf(out, 80, " --help");
	else
		snprintf(out, 80, " %s --help", line->about);
}

void command_line_error_text(struct command_line *line, const char *name, const char *expected, const char *problem)
{
	struct why why = {0};
	char page[80];
	put_page_name(line, name, page);
	(void)why_set(&why, ERR_CONFIG, "", "", "%s", problem); /* escapes what was given */
	/* Further errors than fit are left out. The list of all commands is longer than expected of struct why. */
	enum err full = buf_printf(&line->errors, "%s: %s; expected: %s; fix: see `%s%s`\n", name, why.got, expected,
		line->program->name, page);
	(void)full;
}

void command_line_error(struct command_line *line, const char *name, const char *expected, const char *value)
{
	char problem[300];
	snprintf(problem, sizeof problem, "'%s' is not valid", value);
	command_line_error_text(line, name, expected, problem);
}

static void flag_error(struct command_line *line, const char *flag, const char *expected, const char *value)
{
	char name[80];
	snprintf(name, sizeof name, "--%s", flag);
	command_line_error(line, name, expected, value);
}

static void flag_error_text(struct command_line *line, const char *flag, const char *expected, const char *problem)
{
	char name[80];
	snprintf(name, sizeof name, "--%s", flag);
	command_line_error_text(line, name, expected, problem);
}

/* --- flags --- */

static void add_value(struct command_line *line, const char *name, const char *text, bool may_repeat, bool is_key)
{
	for (unsigned i = 0; i < line->num_values && !may_repeat; i++)
		if (line->values[i].is_key == is_key && strcmp(line->values[i].name, name) == 0) {
			flag_error_text(line, name, "it once", "it is given twice");
			return;
		}
	if (line->num_values == CLI_VALUES_MAX)
		flag_error_text(line, name, "at most 64 flags", "more flags are given");
	else
		line->values[line->num_values++] = (struct cli_value){name, text, is_key};
}

/* The value of the flag at argv[*i], which moves to the last word used; NULL with an error: there is none. */
static const char *value_of(
	struct command_line *line, const char *name, const char *expected, int argc, char *const *argv, int *i)
{
	const char *equals = strchr(argv[*i], '=');
	if (equals != NULL)
		return equals + 1;
	if (*i + 1 < argc && strncmp(argv[*i + 1], "--", 2) != 0)
		return argv[++*i];
	flag_error_text(line, name, expected, "no value is given");
	return NULL;
}

static void take_switch(struct command_line *line, const struct cli_flag *flag, const char *equals)
{
	if (equals != NULL && strcmp(equals + 1, "true") != 0 && strcmp(equals + 1, "false") != 0)
		flag_error(line, flag->name, "true or false, or no value", equals + 1);
	else
		add_value(line, flag->name, equals == NULL ? "true" : equals + 1, false, false);
}

static bool begins_a_command(const struct cli_program *program, const char *word)
{
	size_t len = strlen(word);
	for (size_t i = 0; i < program->num_commands; i++)
		if (strcspn(program->commands[i].words, " ") == len &&
			strncmp(program->commands[i].words, word, len) == 0)
			return true;
	return false;
}

/* The value of a flag of 0.1.0 is no command: one error for both. */
static void skip_value(const struct cli_program *program, int argc, char *const *argv, int *i)
{
	if (strchr(argv[*i], '=') == NULL && *i + 1 < argc && strncmp(argv[*i + 1], "--", 2) != 0 &&
		!begins_a_command(program, argv[*i + 1]))
		++*i;
}

static void unknown_flag_error(struct command_line *line, struct span name, int argc, char *const *argv, int *i)
{
	char expected[160];
	const struct setting_table *settings = line->program->settings;
	const struct setting_renamed *renamed =
		settings == NULL ? NULL : setting_renamed_find(settings->renamed, (const char *)name.ptr, name.len);
	char nearest[SETTING_NEAREST_MAX];
	if (renamed == NULL) {
		bool is_near = settings != NULL && setting_nearest(settings, name, false, nearest) != NULL;
		snprintf(expected, sizeof expected, "one that --help lists%s%s", is_near ? ", such as --" : "",
			is_near ? nearest : "");
		command_line_error(line, "flag", expected, argv[*i]);
		return;
	}
	snprintf(expected, sizeof expected, "the name --%s", renamed->new_key);
	flag_error_text(line, renamed->old_key, expected, "this is its name in 0.1.0");
	skip_value(line->program, argc, argv, i);
}

static void take_flag(struct command_line *line, int argc, char *const *argv, int *i)
{
	const char *equals = strchr(argv[*i], '=');
	struct span name = span_from(span_of_str(argv[*i]), 2);
	if (equals != NULL)
		name.len = (size_t)(equals - argv[*i]) - 2;
	const struct cli_flag *flag = find_flag(line->program, name);
	if (flag != NULL && flag->value == NULL) {
		take_switch(line, flag, equals);
		return;
	}
	const char *key = flag != NULL ? NULL : find_key(line->program, name);
	if (flag == NULL && key == NULL) {
		unknown_flag_error(line, name, argc, argv, i);
		return;
	}
	const char *text =
		value_of(line, flag != NULL ? flag->name : key, flag != NULL ? flag->value : "a value", argc, argv, i);
	if (text != NULL)
		add_value(line, flag != NULL ? flag->name : key, text, flag != NULL && flag->may_repeat, flag == NULL);
}

/* --- words --- */

/* How many words of the line the command is; 0: it is another one. */
static unsigned num_matching(const struct cli_command *command, const char *const *words, unsigned num_words)
{
	const char *rest = command->words;
	unsigned num = 0;
	while (*rest != '\0') {
		size_t len = strcspn(rest, " ");
		if (num == num_words || !span_eq(span_of_str(words[num]), span_of(rest, len)))
			return 0;
		rest += len + (rest[len] == ' ');
		num++;
	}
	return num;
}

static bool has_first_word(const struct cli_command *command, const char *word, size_t len)
{
	return strncmp(command->words, word, len) == 0 && (command->words[len] == ' ' || command->words[len] == '\0');
}

static bool is_listed(const struct cli_program *program, size_t at)
{
	size_t len = strcspn(program->commands[at].words, " ");
	for (size_t i = 0; i < at; i++)
		if (has_first_word(&program->commands[i], program->commands[at].words, len))
			return true;
	return false;
}

/* The commands that begin with `first`, whole; NULL: the first words of all. */
static void list_commands(const struct cli_program *program, const char *first, char *out, size_t cap)
{
	size_t len = 0;
	out[0] = '\0';
	for (size_t i = 0; i < program->num_commands; i++) {
		const char *words = program->commands[i].words;
		if (first == NULL ? is_listed(program, i)
				  : !has_first_word(&program->commands[i], first, strlen(first)))
			continue;
		int more = (int)(first == NULL ? strcspn(words, " ") : strlen(words));
		if (len + (size_t)more + 3 > cap)
			return;
		len += (size_t)snprintf(out + len, cap - len, "%s%.*s", len == 0 ? "" : ", ", more, words);
	}
}

/* "IP", "[pod/NAME]"; not "", "--id ID", "[--timeout DURATION]". */
static bool takes_words(const struct cli_command *command)
{
	const char *first = command->arguments + (command->arguments[0] == '[');
	return first[0] != '\0' && first[0] != '-';
}

static void take_command(struct command_line *line, const char *const *words, unsigned num_words)
{
	const struct cli_program *program = line->program;
	char known[400], given[200];
	unsigned num = 0;
	if (num_words == 0 && program->default_command != NULL)
		words = &program->default_command, num_words = 1;
	for (size_t i = 0; i < program->num_commands; i++) { /* the longest: "ban list" before "ban" */
		unsigned matching = num_matching(&program->commands[i], words, num_words);
		if (matching <= num)
			continue;
		num = matching;
		line->command = &program->commands[i];
	}
	bool is_group = num_words > 0 && begins_a_command(program, words[0]);
	list_commands(program, is_group ? words[0] : NULL, known, sizeof known);
	if (line->command == NULL && (program->num_commands > 0 || num_words > 0)) {
		const char *expected = program->num_commands == 0 ? "flags only" : known;
		if (num_words == 0)
			command_line_error_text(line, "command", expected, "no command is given");
		else {
			snprintf(given, sizeof given, "%s%s%s", words[0], is_group && num_words > 1 ? " " : "",
				is_group && num_words > 1 ? words[1] : "");
			command_line_error(line, "command", expected, given);
		}
		return;
	}
	for (; num < num_words; num++)
		if (!takes_words(line->command))
			command_line_error(line, line->command->words, "no further word", words[num]);
		else
			line->arguments[line->num_arguments++] = words[num];
}

static void take_common(struct command_line *line)
{
	const char *output = command_line_value(line, "output");
	line->json = output != NULL && strcmp(output, "json") == 0;
	if (output != NULL && !line->json && strcmp(output, "text") != 0)
		flag_error(line, "output", "text or json", output);
	line->checks_only = command_line_has(line, "check");
	line->wants_help = command_line_has(line, "help");
	line->wants_keys = command_line_has(line, "keys");
	line->wants_man = command_line_has(line, "man");
	line->completion = command_line_value(line, "completion");
	line->wants_version = command_line_has(line, "version");
}

/* "-f VALUE", where the program's table has the letter. */
static void take_letter(struct command_line *line, int argc, char *const *argv, int *i)
{
	const struct cli_program *program = line->program;
	for (size_t at = 0; at < program->num_flags; at++) {
		const struct cli_flag *flag = &program->flags[at];
		if (flag->letter == '\0' || flag->letter != argv[*i][1] || argv[*i][2] != '\0')
			continue;
		if (*i + 1 < argc)
			add_value(line, flag->name, argv[++*i], flag->may_repeat, false);
		else
			flag_error_text(line, flag->name, flag->value, "no value is given");
		return;
	}
	command_line_error(line, "flag", "flags with two dashes", argv[*i]);
}

/* Takes the flags; returns how many words there are besides. */
static unsigned take_flags(struct command_line *out, int argc, char *const *argv, const char *words[CLI_WORDS_MAX])
{
	unsigned num_words = 0;
	bool flags_end = false;
	for (int i = 1; i < argc; i++) {
		if (!flags_end && strcmp(argv[i], "--") == 0)
			flags_end = true;
		else if (!flags_end && argv[i][0] == '-' && argv[i][1] == '-')
			take_flag(out, argc, argv, &i);
		else if (!flags_end && argv[i][0] == '-' && argv[i][1] != '\0')
			take_letter(out, argc, argv, &i);
		else if (num_words < CLI_WORDS_MAX)
			words[num_words++] = argv[i];
		else
			command_line_error(out, "command", "at most 64 words", argv[i]);
	}
	return num_words;
}

/* Errors name the help of the command, which may stand behind the flag that is wrong. */
static void find_about(struct command_line *out, int argc, char *const *argv)
{
	const char *words[CLI_WORDS_MAX];
	_cleanup_(command_line_done) struct command_line line = {
		.program = out->program, .errors = BUF_INIT(CLI_ERRORS_MAX)};
	unsigned num_words = take_flags(&line, argc, argv, words);
	command_line_take_about(out, words, num_words);
}

void command_line_parse(const struct cli_program *program, int argc, char *const *argv, struct command_line *out)
{
	const char *words[CLI_WORDS_MAX];
	*out = (struct command_line){.program = program, .errors = BUF_INIT(CLI_ERRORS_MAX)};
	find_about(out, argc, argv);
	unsigned num_words = take_flags(out, argc, argv, words);
	take_common(out);
	if (!out->wants_help && !out->wants_keys && !out->wants_version && !out->wants_man && out->completion == NULL)
		take_command(out, words, num_words);
	command_line_check_flags(out);
}

void command_line_done(struct command_line *line)
{
	buf_done(&line->errors);
}

bool command_line_is(const struct command_line *line, const char *words)
{
	return line->command != NULL && strcmp(line->command->words, words) == 0;
}

static const char *find_value(const struct command_line *line, const char *name, bool is_key)
{
	for (unsigned i = 0; i < line->num_values; i++)
		if (line->values[i].is_key == is_key && strcmp(line->values[i].name, name) == 0)
			return line->values[i].text;
	return NULL;
}

const char *command_line_value(const struct command_line *line, const char *flag)
{
	return find_value(line, flag, false);
}

const char *command_line_setting(const struct command_line *line, const char *key)
{
	return find_value(line, key, true);
}

bool command_line_has(const struct command_line *line, const char *name)
{
	const char *text = command_line_value(line, name);
	return text != NULL && strcmp(text, "true") == 0;
}
