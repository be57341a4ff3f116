/* The command line of handfast-init: flags and HANDFAST_INIT_* as one struct, with all errors reported at once. Pure.
 */
#pragma once

#include "base/settings/command_line/command_line.h"
#include "intercept/rules.h"

#define VARIABLE_MAX 128 /* a longer name is cut */

enum command { COMMAND_UP, COMMAND_DOWN, COMMAND_CHECK, COMMAND_CONFIRM };

enum profile { PROFILE_POD, PROFILE_HOST };

struct options {
	enum command command;
	enum profile profile;
	bool json;
	bool dry_run;
	unsigned confirm_within_s; /* host profile: the former rules are restored unless confirmed by then */
	struct rules rules;
	char unknown_variable[VARIABLE_MAX]; /* the first HANDFAST_INIT_* that is not a setting, without its value */
	unsigned num_unknown_variables;
};

extern const struct setting_table init_settings; /* settings.def */
extern const struct cli_program options_program;

/* Flags override the environment. `environment` has the form of environ; only HANDFAST_INIT_* is read. On ERR_CONFIG
 * line->errors has one line per error. An unknown variable is not an error; those that Kubernetes sets for a Service
 * called handfast-init are ignored. */
enum err options_read(struct command_line *line, char *const *environment, struct options *out) _must_use_;
