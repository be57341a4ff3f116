/* An allow list of system calls, enforced by the kernel (seccomp). Any other call ends the process with SIGSYS, and the
 * kernel's log names it ("type=1326 ... syscall=59"). Which process has which role: processes.def. */
#pragma once

#include "base/core/err.h"
#include <stdbool.h>

enum sandbox_role {
	SANDBOX_SIDECAR,  /* the network, and files */
	SANDBOX_CONTROL,  /* the same, and waiting for the signer, its child process */
	SANDBOX_SIGNER,   /* files, and its existing socket; no new sockets, no threads */
	SANDBOX_AGENT,    /* the agent of a node, and what waits for a child process: as the control plane */
	SANDBOX_COMMAND,  /* a command of an operator, and the CNI plugin: as the sidecar */
	SANDBOX_NOTIFIER, /* the same, and signals to the process of a pid file */
	SANDBOX_RULES,    /* the network and its rules, a process that guards them, and the caller's user */
	SANDBOX_PARENT,   /* starts processes of ours, which restrict themselves: execve(), no new namespace */
	SANDBOX_STARTER,  /* the same for handfast-init in another network namespace, with what that may */
	SANDBOX_FOREIGN, /* runs a program of the operator's, whose calls are not known: all, but EPERM for what only an
			    attack calls and for new namespaces, ENOSYS for clone3(); in each architecture of the
			    kernel's. The other roles end with a call of another one. */
	SANDBOX_MODULE,  /* with a vendor's library: wide, no other program and no new process. What is unknown gets
			    ENOSYS, what only an attack calls ends the process. */
};

struct sandbox_version { /* of libseccomp */
	unsigned major, minor, micro;
};
struct sandbox_version sandbox_library_version(void);

/* False: a build with a sanitizer, whose run-time library makes other calls at any time (stopping threads, running a
 * symbolizer). sandbox_enter() then does nothing. */
bool sandbox_is_built_in(void);

/* For every thread of the process, irrevocably. Sets no_new_privs. ERR_UNSUPPORTED: the kernel does not support it, or
 * an outer seccomp profile forbids it. */
enum err sandbox_enter(enum sandbox_role role, struct why *why) _must_use_;
/* No core dumps, no other process of the user that attaches or takes a descriptor, no new privileges. */
enum err sandbox_close(struct why *why) _must_use_;
/* For the calling thread. Before sandbox_enter(). */
enum err sandbox_drop_capabilities(struct why *why) _must_use_;
