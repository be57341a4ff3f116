/* The composition root: all parts of the control plane, in the order of their start.
 *
 * settings -> loop -> store, locked and read -> signer (a child, while there is one thread) -> no access to the key
 * folder -> the store's thread -> ports -> the signer judges the store -> fencing epoch -> authorities -> own
 * certificate -> registry, distributor, trust -> listeners open. */
#pragma once

#include "base/core/err.h"
#include "base/settings/command_line/command_line.h"
#include "control/config/config.h"

struct control;

/* The sources of the settings; read again at SIGHUP. Borrowed. */
struct control_source {
	const char *path; /* NULL: no file */
	const struct command_line *line;
	char *const *environment;
};
/* A line for each error is appended to *errors. */
enum err control_read_settings(
	const struct control_source *source, struct buf *errors, struct control_config **out) _must_use_;

/* Adopts config. ERR_NONE: it runs until SIGTERM or SIGINT in control_run(). */
enum err control_new(const struct control_source *source, struct control_config *config, const char *release,
	struct control **out, struct why *why) _must_use_;
/* The command restore: adopts config; bans_from, a state folder or a store's file, may be NULL. */
enum err control_restore(const struct control_source *source, struct control_config *config, const char *bans_from,
	struct why *why) _must_use_;
/* The command keys (control_keys.c): mounted, the folder where the Secret is, may be empty. config is borrowed. */
enum err control_keys(const struct control_config *config, const char *mounted, struct why *why) _must_use_;
enum err control_run(struct control *control); /* ERR_NONE: stopped by a signal; else the error, which was logged */
void control_free(struct control *control);
DEFINE_CLEANUP(struct control *, control_free)
