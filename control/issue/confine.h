/* What the two processes give up so that neither can be used to get at the keys. */
#pragma once

#include "base/core/err.h"
#include <stdbool.h>
#include <stddef.h>

/* The signer: no dumps, no ptrace, no new privileges, and no system call beyond those for files and the one socket that
 * it has (base/sandbox). Before it reads a key. */
enum err confine_signer(struct why *why) _must_use_;

/* The network process: no dumps, no ptrace, no new privileges, and it may touch nothing below the paths listed but
 * those, so not the key folder (Landlock); no new process and no other program (base/sandbox). Threads made before are
 * not bound: call it while there is one. ERR_UNSUPPORTED: the kernel cannot, or the folder can still be opened
 * afterwards; the process must not go on to listen. */
struct confine_path {
	const char *path;
	bool may_write;
};
enum err confine_network(
	const char *key_folder, const struct confine_path *paths, size_t num_paths, struct why *why) _must_use_;
