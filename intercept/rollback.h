/* Automatic rollback on a host: a guard process restores the former rules unless they are confirmed in time, so that an
 * operator whose own connection the rules cut does not stay locked out.
 *
 * The guard listens at an abstract Unix socket. Such names belong to the network namespace, like the rules, and end
 * with the process: no file can be left over or be replaced. Only root, or the user that started the guard, can
 * confirm. */
#pragma once

#include "base/core/buf.h"
#include <sys/types.h>

/* Called without a confirmation in time, in the guard process. */
typedef void rollback_fn(void *arg);

/* Starts the guard. ERR_EXISTS: one is running. *out_guard may be killed until rules have been changed. */
enum err rollback_arm(
	unsigned seconds, rollback_fn *on_deadline, void *arg, pid_t *out_guard, struct why *why) _must_use_;

/* Ends the guard; the rules stay. ERR_NOT_FOUND: none is running. */
enum err rollback_confirm(struct why *why) _must_use_;
