/* What the kernel has about the process that connected to a Unix socket, as facts for entries: its user, its group, its
 * cgroup and the unit of the system's systemd. Nothing that the process states itself. */
#pragma once

#include "control/config/workload_entry.h"
#include <sys/types.h>

/* ERR_UNSUPPORTED: no Unix socket, a process outside of this pid namespace, or a kernel without SO_PEERPIDFD (before
 * 6.5), where the number of a process may be another's by now. ERR_DENIED: the process has ended, or has another user
 * than it connected with. ERR_IO: /proc cannot be read. */
enum err unix_facts_read(int fd, struct selector_set *facts, struct why *why) _must_use_;

/* The parts; pure. */
/* /proc/PID/status: all of its users and groups (real, effective, saved, of files) are these. */
bool unix_status_is_of(struct span status, uid_t uid, gid_t gid);
/* /proc/PID/cgroup: adds "unix:cgroup:PATH", and "unix:unit:NAME" where the first part of the path that is no slice is
 * a service or a scope: the system's systemd alone makes those. */
void unix_facts_of_cgroup(struct span text, struct selector_set *facts);
