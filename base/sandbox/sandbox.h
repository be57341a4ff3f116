/* The system calls that a process of ours may make: an allow list, held by the kernel (seccomp). Any other call ends
 * the whole process with SIGSYS, and the kernel's log names it ("type=1326 ... syscall=59"). */
#pragma once

#include "base/core/err.h"
#include <stdbool.h>

enum sandbox_role {
	SANDBOX_SIDECAR, /* the network, and files */
	SANDBOX_CONTROL, /* the same, and waits for the signer, which is its child */
	SANDBOX_SIGNER,  /* files, and the socket that it has; makes none and starts no thread */
};

/* False: a build with a sanitizer, which makes calls of its own at any time (threads that stop the others, other
 * programs that name addresses). sandbox_enter() then does nothing. */
bool sandbox_is_built_in(void);

/* For every thread of the process, for good. Sets no_new_privs. ERR_UNSUPPORTED: the kernel cannot, or a profile around
 * us forbids it. */
enum err sandbox_enter(enum sandbox_role role, struct why *why) _must_use_;
