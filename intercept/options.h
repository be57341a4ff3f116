/* What was asked of handfast-init: flags and HANDFAST_INIT_* as one struct, every error found at once. Pure. */
#pragma once

#include "base/settings/command_line/command_line.h"
#include "intercept/rules.h"

#define VARIABLE_MAX 128 /* a longer name is shown cut */

enum command { COMMAND_UP, COMMAND_DOWN, COMMAND_CHECK, COMMAND_CONFIRM };

enum profile { PROFILE_POD, PROFILE_HOST };

struct options {
	enum command command;
	enum profile profile;
	bool json;
	bool dry_run;
	unsigned confirm_within_s; /* host profile: the rules go again unless confirmed by then */
	struct rules rules;
	char unknown_variable[VARIABLE_MAX]; /* the first HANDFAST_INIT_* that is no setting, without its value */
	unsigned num_unknown_variables;
};

extern const struct setting_table init_settings; /* settings.def */
extern const struct cli_program options_program;

/* Flag beats environment. `environment` is environ's form; only HANDFAST_INIT_* is looked at. On ERR_CONFIG every
 * error is a line in line->errors. A variable that is no setting is no error; what Kubernetes sets for a Service
 * called handfast-init is passed over. */
enum err options_read(struct command_line *line, char *const *environment, struct options *out) _must_use_;
