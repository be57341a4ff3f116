/* The command line of all programs: one grammar, the same flags everywhere, one help, one way to report.
 *
 *	PROGRAM [COMMAND] [ARGUMENT]... [--FLAG VALUE | --FLAG=VALUE | --SWITCH]...
 *
 * Flags may stand anywhere; behind "--" all words are arguments. A value that begins with "--" needs the form with "=".
 * Every program has --help, --version, --output text|json (how its own output looks), --check (read the command line
 * and the settings, report every error, and end), --keys (every setting), --man and --completion SHELL. Every key of
 *the settings is a flag, also with '-' for '_'. */
#pragma once

#include "base/core/buf.h"
#include "base/settings/command_line/exit_code.h"
#include "base/settings/setting_table.h"
#include <stdbool.h>

#define CLI_WORDS_MAX  64 /* completion passes a whole line */
#define CLI_VALUES_MAX 64
#define CLI_ERRORS_MAX 16384

struct cli_command {
	const char *words;     /* "token create" */
	const char *arguments; /* "IP" or "[IP]", with the command's own flags; "", "[--": none */
	const char *help;      /* one line */
	const char *also;      /* further flags that it takes: "--socket --admin"; NULL: none */
	const char *without;   /* flags that an argument excludes: "--intermediate"; NULL: none */
};
struct cli_flag {          /* one that no command names is taken by all */
	const char *name;  /* "confirm-within" */
	const char *value; /* what help calls its value, "SECONDS"; NULL: a switch */
	const char *help;
	bool may_repeat;
	char letter; /* "-f VALUE" as well, where users know it from another program; '\0': none. With a value */
	const char
		*with; /* another flag, of which it is a part: taken by the same commands, and only together with it */
};
struct cli_values {           /* values that are known where the program's commands go */
	const char *argument; /* what the tables of commands and flags call them: "TOKEN-ID" */
	const char *name;     /* `PROGRAM completion values NAME` prints them */
};
struct cli_also {             /* what commands take besides, as the whole help has it */
	const char *commands; /* "that ask the control plane" */
	const char *flags;    /* as struct cli_command has them in `also` */
};
struct cli_program {                        /* static tables */
	const char *name;                   /* "handfast-init" */
	const char *about;                  /* sentences for help */
	const struct cli_command *commands; /* none: words is then an error */
	size_t num_commands;
	const char *default_command; /* where none is given; NULL: one must be given */
	const struct cli_flag *flags;
	size_t num_flags;
	const struct cli_values *values; /* NULL: none */
	size_t num_values;
	const struct cli_also *also; /* NULL: none */
	size_t num_also;
	const struct setting_table *settings;  /* NULL: none */
	const char *release;                   /* HANDFAST_VERSION */
	void (*put_versions)(struct buf *out); /* a line "NAME VERSION" for each library inside; may be NULL */
};

struct cli_value {
	const char *name; /* as in the table */
	const char *text; /* "true" for a switch */
	bool is_key;
};
struct command_line { /* zeroed is valid to command_line_done(); texts are borrowed from argv */
	const struct cli_program *program;
	const struct cli_command *command; /* NULL: none, or an error */
	const char *arguments[CLI_WORDS_MAX];
	unsigned num_arguments;
	struct cli_value values[CLI_VALUES_MAX];
	unsigned num_values;
	bool is_for_completion; /* of a line that is being typed: no other program is run for it */
	bool json, checks_only, wants_help, wants_keys, wants_man, wants_version;
	char about[64];         /* the words of a command, or of a group, that --help is about; "": the whole program */
	const char *completion; /* the shell that it is wanted for; NULL: it is not */
	struct buf errors;      /* a line each; none: all is well */
};

/* Reads all of it; errors are collected, none is returned. */
void command_line_parse(const struct cli_program *program, int argc, char *const *argv, struct command_line *out);
void command_line_done(struct command_line *line);
/* Parses, and does what --help, --keys and --version ask for. False: that was all, exit with 0. From here on a program
 * whose standard output could not be written ends with CLI_UNAVAILABLE in place of CLI_DONE. */
bool command_line_begin(const struct cli_program *program, int argc, char *const *argv, struct command_line *out);

bool command_line_is(const struct command_line *line, const char *words);           /* is this the command? */
const char *command_line_value(const struct command_line *line, const char *flag);  /* NULL: not given */
const char *command_line_setting(const struct command_line *line, const char *key); /* NULL: not given */
bool command_line_has(const struct command_line *line, const char *name);           /* a switch; true or false */
/* One more error: `value` (escaped) of `name` is not what was expected. */
void command_line_error(struct command_line *line, const char *name, const char *expected, const char *value);
/* The same where it is not the value that is wrong: `problem` is a clause, "no value is given". */
void command_line_error_text(struct command_line *line, const char *name, const char *expected, const char *problem);

/* --- reports, as text or JSON; each returns the exit code --- */
enum cli_exit command_line_refuse(struct command_line *line); /* prints the errors */
enum cli_exit command_line_fail(const struct command_line *line, enum err err, const struct why *why);
enum cli_exit command_line_answer(const struct command_line *line, const char *text); /* one sentence; CLI_DONE */
/* The same, and what is to be known beside it: each line of `notes`, which ends with '\n', is one on the standard
 * error, or an item of the member `name` in JSON; without any, there is no such member. */
enum cli_exit command_line_answer_with(
	const struct command_line *line, const char *text, const char *name, struct span notes);
/* What --help and --keys print. */
/* about: the commands that begin with these words, with their flags; "": the whole program. */
enum err command_line_help(const struct cli_program *program, const char *about, bool json, struct buf *out) _must_use_;
enum err command_line_keys(const struct cli_program *program, bool json, struct buf *out) _must_use_;
/* What --man prints: the manual page, in man(7). */
enum err command_line_man(const struct cli_program *program, struct buf *out) _must_use_;
/* What --completion prints: a script for "bash", "zsh" or "fish". ERR_NOT_FOUND: another shell. */
enum err command_line_completion(const struct cli_program *program, const char *shell, struct buf *out) _must_use_;
