/* What was asked of handfast-init: flags and HANDFAST_INIT_* as one struct, every mistake found at once. Pure. */
#pragma once

#include "intercept/rules.h"

enum command { COMMAND_NONE, COMMAND_UP, COMMAND_DOWN, COMMAND_CHECK, COMMAND_CONFIRM, COMMAND_HELP, COMMAND_VERSION };

enum profile { PROFILE_POD, PROFILE_HOST };

struct options {
	enum command command;
	enum profile profile;
	bool json;
	bool dry_run;
	unsigned confirm_within_s; /* host profile: the rules go again unless confirmed by then */
	struct rules rules;
};

#define OPTIONS_MISTAKES_MAX 8192

/* Flag beats environment. `environment` is environ's form; only HANDFAST_INIT_* is looked at. On ERR_CONFIG every
 * mistake is a line in *mistakes (whose maximum should be OPTIONS_MISTAKES_MAX). */
enum err options_parse(int argc, const char *const *argv, const char *const *environment, struct options *out,
	struct buf *mistakes) _must_use_;

const char *options_command_name(enum command command); /* "up" and so on; of the four that do something */

/* What --help prints. */
enum err options_help(struct buf *out) _must_use_;
