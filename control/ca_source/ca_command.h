/* The operator's command as an authority: the process of command_runner.h is given a request and answers on the loop.
 */
#pragma once

#include "base/core/err.h"
#include "base/core/loop.h"
#include "base/core/span.h"

struct ca_command;

struct ca_command_options {
	struct loop *loop;
	const char *program; /* NULL: this program */
	const char *key_folder;
	char *const *words; /* at most RUNNER_WORDS_MAX; words[0] is an absolute path */
	size_t num_words;
	uint64_t timeout_ms;
};

/* Starts the process. Call while this one has one thread and before confine_network(). */
enum err ca_command_start(
	const struct ca_command_options *options, struct ca_command **out, struct why *why) _must_use_;
void ca_command_free(struct ca_command *command); /* the process ends; a request under way ends without a call */
DEFINE_CLEANUP(struct ca_command *, ca_command_free)

/* ERR_NONE with what the command printed, borrowed; else ERR_REFUSED: it failed; ERR_UNAVAILABLE: its process has
 * ended. */
typedef void ca_command_done_fn(void *arg, enum err err, struct span output, const struct why *why);
/* One at a time. on_done is never called from within this call. */
void ca_command_sign(struct ca_command *command, struct span request_pem, ca_command_done_fn *on_done, void *arg);
