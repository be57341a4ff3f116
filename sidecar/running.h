/* The running sidecar, as a process that upgrades it finds it: at its admin socket. */
#pragma once

#include "base/core/buf.h"
#include "base/core/err.h"

/* A connection to it; the caller owns it. Refused is a process that could not take its place. ERR_NOT_FOUND,
 * ERR_REFUSED: none listens there. ERR_DENIED: it has another user, with whom the rules would redirect what this one
 * sends, and this one could not open its files. ERR_CONFLICT: it is of a service manager's unit, and this process is
 * not: the manager would take the unit for ended. Where /proc hides its cgroup, it is asked. ERR_LIMIT: this process
 * may have fewer open files. */
enum err running_connect(const char *path, int *out_fd, struct why *why) _must_use_;

/* What it was given (base/settings/command_line/given.h), GIVEN_MAX bytes at most. Nothing where it is of a unit, as
 * this process is: both have their variables and flags from there. ERR_CONFLICT: it is of one, and this process has no
 * NOTIFY_SOCKET and is not seen to be of the same: what the unit gave would be lost. Otherwise as running_connect(). */
enum err running_given(const char *path, struct buf *out, struct why *why) _must_use_;
/* The answer of one of a unit: another process may not see it in /proc, where those that are not dumpable can be hidden
 * (hidepid, ProtectProc=invisible). */
#define RUNNING_OF_UNIT span_of("", 1)

/* The innermost unit in the lines of /proc/PID/cgroup, "0::/system.slice/NAME.service"; "": none. A user's manager,
 * user@UID.service, is none: reloading it reloads no sidecar. */
void running_unit_of(const char *lines, char *out, size_t cap);
