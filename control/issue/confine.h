/* The restrictions of the processes, so that neither can be used to reach the keys. */
#pragma once

#include "base/core/err.h"
#include "base/sandbox/landlock.h"
#include <stddef.h>

/* The signer: no core dumps, no ptrace, no new privileges, and no system calls but those for files and its one socket
 * (base/sandbox). Called before it reads a key. */
enum err confine_signer(struct why *why) _must_use_;

/* The process that runs an operator's command, and the command: no core dumps, no ptrace of this process, no new
 * privileges; every file but the key folder (Landlock), and no other file that lies directly in a folder above it and
 * is made later; every system call but those that only an attack makes, which get EPERM. ERR_UNSUPPORTED: as below. */
enum err confine_command(const char *key_folder, struct why *why) _must_use_;
/* The process that loads a PKCS#11 module: the same files, and an allow list of system calls that is wide enough for a
 * vendor's library, without other programs and new processes. Before it loads the module. */
enum err confine_module(const char *key_folder, struct why *why) _must_use_;

/* The network process: no core dumps, no ptrace, no new privileges; no access to files but those below the listed
 * paths, so not to the key folder (Landlock); no new process and no other program (base/sandbox). Existing threads are
 * not restricted: call it while there is one. ERR_UNSUPPORTED: the kernel cannot do it, or the folder can still be
 * opened afterwards; the process must not listen then. */
enum err confine_network(
	const char *key_folder, const struct landlock_path *paths, size_t num_paths, struct why *why) _must_use_;
