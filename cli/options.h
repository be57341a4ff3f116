/* The command line, read. Flags may stand anywhere. Pure. */
#pragma once

#include "cli/show.h"

#define OPTIONS_WORDS_MAX 8

struct command_line {
	struct cli_options options;
	const char *words[OPTIONS_WORDS_MAX]; /* "token", "create" */
	unsigned num_words;
	bool wants_help, wants_version;
};
enum err command_line_parse(int argc, char *const *argv, struct command_line *out, struct why *why) _must_use_;
