/* What completion of a shell needs of a program's tables; shared by completion*.c. */
#pragma once

#include "base/settings/command_line/command_line_private.h"

enum completion_kind { COMPLETION_SWITCH, COMPLETION_ANY, COMPLETION_FILE, COMPLETION_WORDS, COMPLETION_VALUES };

struct completion_flag {
	const char *name, *help;
	char letter; /* '\0': none */
	enum completion_kind kind;
	char words[256]; /* separated by spaces; COMPLETION_VALUES: their name (cli_values) */
};

struct completion { /* a script under construction */
	const struct cli_program *program;
	char function[64]; /* "_handfast_sidecar" */
	struct span at;    /* fish: the beginning that lines are for */
	struct buf *out;
	enum err err; /* the first failure */
};
/* At most EMIT_MAX bytes at once. After a failure nothing more is written. */
#define EMIT_MAX 4096
void completion_emit(struct completion *script, const char *format, ...) _printf_(2, 3);

/* Each beginning of a command, once: "", "token", "token create"; command: where it is a whole one, else NULL. */
typedef void completion_path_fn(struct completion *script, struct span path, const struct cli_command *command);
void completion_each_path(struct completion *script, completion_path_fn *each);
/* The words that may follow; help: of the command, where it is whole then, else "". */
typedef void completion_word_fn(struct completion *script, struct span word, const char *help);
void completion_each_next(struct completion *script, struct span path, completion_word_fn *each);
/* Those of a command; NULL: those of every command, and the settings. */
typedef void completion_flag_fn(struct completion *script, const struct completion_flag *flag);
void completion_each_flag(struct completion *script, const struct cli_command *command, completion_flag_fn *each);
void completion_every_flag(struct completion *script, completion_flag_fn *each); /* of the program, each once */
/* The words that an argument of the command may be ("bash zsh fish"), "" for others; true: it may be a file. */
bool completion_of_argument(const struct cli_command *command, char words[256]);
/* The names of the values that an argument of the command may be, separated by spaces. */
void completion_values_of_argument(const struct completion *script, const struct cli_command *command, char names[256]);
/* A text within single quotes of the shell: `quote` stands for a quote in it. */
void completion_put_quoted(struct completion *script, const char *text, const char *quote);

void completion_bash(struct completion *script);
void completion_zsh(struct completion *script);
void completion_fish(struct completion *script);
