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
struct keys_file {
	const char *path;            /* sealed; NULL: none */
	const char *passphrase_file; /* its first line */
};
struct restore_source {
	struct keys_file backup; /* path NULL: the state folder as it lies there */
	const char *bans_from;   /* a state folder or a store's file; NULL: none */
	bool is_confirmed;       /* of several control planes with one etcd another one has begun the new incarnation */
};
/* The command restore: adopts config. */
enum err control_restore(const struct control_source *source, struct control_config *config,
	const struct restore_source *from, struct why *why) _must_use_;
struct keys_source {
	const char *mounted; /* the folder where the Secret is; may be empty */
	bool adopts;         /* keys that no record names, too */
};
/* The command keys (control_keys.c). config is borrowed. */
enum err control_keys(
	const struct control_config *config, const struct keys_source *source, struct why *why) _must_use_;
/* The commands keys export and keys import (control_keys_carry.c): see control/issue/passphrase.h for the errors.
 * ERR_EXISTS: the key folder has keys. config is borrowed. */
enum err control_keys_export(
	const struct control_config *config, const struct keys_file *file, struct why *why) _must_use_;
enum err control_keys_import(
	const struct control_config *config, const struct keys_file *file, struct why *why) _must_use_;
/* The command backup (control_backup.c), of keys and store; the control plane may run. config is borrowed.
 * ERR_UNSUPPORTED: the state is in Kubernetes or in etcd. */
enum err control_backup(const struct control_config *config, const struct keys_file *file, struct why *why) _must_use_;
enum err control_run(struct control *control); /* ERR_NONE: stopped by a signal; else the error, which was logged */
void control_free(struct control *control);
DEFINE_CLEANUP(struct control *, control_free)
