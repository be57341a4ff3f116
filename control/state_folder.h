/* The control plane's state on disk: <state_dir>/store (the database, ours) and <state_dir>/keys (the signer's). */
#pragma once

#include "base/core/err.h"
#include <stdbool.h>

struct state_folder { /* zeroed is valid to state_folder_done() */
	char *store_folder, *store_path, *key_folder;
};
/* Makes what is missing, 0700. ERR_CONFIG: others may look into it. */
enum err state_folder_open(const char *state_dir, struct state_folder *out, struct why *why) _must_use_;
void state_folder_done(struct state_folder *folder);
/* The folder of a path: "/run/handfast" of "/run/handfast/control.sock". The caller frees it. */
char *folder_of(const char *path);
bool folder_lies_in(const char *path, const char *folder); /* the same, or below; texts alone, both of one kind */
enum err folder_make(const char *path, unsigned mode, struct why *why) _must_use_; /* one level; there: fine */
