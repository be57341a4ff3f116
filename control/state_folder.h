/* The control plane's state on disk: <state_dir>/store (the network process's database) and <state_dir>/keys (the
 * signer's). */
#pragma once

#include "base/core/err.h"
#include <stdbool.h>

struct state_folder { /* zeroed is valid to state_folder_done() */
	char *store_folder, *store_path, *key_folder;
};
/* Makes missing folders, 0700. ERR_DENIED: other users have access, or it is another user's. */
enum err state_folder_open(const char *state_dir, struct state_folder *out, struct why *why) _must_use_;
/* The folder itself alone; the same errors. */
enum err state_folder_own(const char *state_dir, struct why *why) _must_use_;
void state_folder_done(struct state_folder *folder);
/* The folder of a path: "/run/handfast" of "/run/handfast/control.sock". The caller frees it. */
char *folder_of(const char *path);
bool folder_lies_in(
	const char *path, const char *folder); /* the same, or below; compares texts, both absolute or both relative */
enum err folder_make(
	const char *path, unsigned mode, struct why *why) _must_use_; /* one level; ERR_NONE if it exists */
