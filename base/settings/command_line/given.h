/* What a process was given besides the text of its settings file: working folder, path of the file, variables and
 * flags. A process that takes its place, started by hand, begins with the same (decision 102). On the wire: records
 * that end with NUL: the folder, the path (empty: no file), NAME=VALUE for each setting from a variable or a flag, and
 * an empty record. Settings have the paths of secrets, never a secret. */
#pragma once

#include "base/settings/command_line/command_line.h"

#define GIVEN_MAX 65536

/* `also`: variables that the program reads besides those of its settings; NULL ends it. ERR_LIMIT: more than GIVEN_MAX.
 */
enum err given_encode(const struct command_line *line, const char *const *also, struct buf *out) _must_use_;

struct given { /* zeroed is valid to given_done(); the line borrows from it */
	struct buf bytes;
	char *paths[CLI_VALUES_MAX + 1]; /* of the settings file and of flags, absolute */
	size_t num_paths;
};
void given_done(struct given *given);
/* given->bytes becomes this process's: what neither its line nor its environment has (an empty variable counts, and
 * keeps a setting out) is put into the environment, and logged by name; the line without --config gets the path; the
 * process goes to the folder. Relative paths are then those of the other process, but those of the line's own --config
 * and settings and of the environment's, which are made absolute before. Variables that are no settings of this program
 * are left out, with a warning. ERR_MALFORMED: nothing has changed.
 */
enum err given_take(struct given *given, const char *const *also, struct command_line *line) _must_use_;
