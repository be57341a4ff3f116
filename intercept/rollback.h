/* The way back on a host: a guard process that takes the rules away again unless somebody confirms them in time, so
 * that rules which cut off their own author mend themselves.
 *
 * The guard waits at an abstract Unix socket. Such names belong to the network namespace, as the rules do, and are gone
 * with the process: there is no file that could be left over or be somebody else's. Only root, or the user that made
 * the guard, can confirm. */
#pragma once

#include "base/core/buf.h"
#include <sys/types.h>

/* What the guard does when nobody confirms; runs in the guard process. */
typedef void rollback_fn(void *arg);

/* Starts the guard. ERR_EXISTS: one waits already. *out_guard can be killed as long as nothing was changed. */
enum err rollback_arm(
	unsigned seconds, rollback_fn *on_deadline, void *arg, pid_t *out_guard, struct why *why) _must_use_;

/* Ends the guard, the rules stay. ERR_NOT_FOUND: none waits. */
enum err rollback_confirm(struct why *why) _must_use_;
