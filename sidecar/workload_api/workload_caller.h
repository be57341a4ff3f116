/* Which processes may ask for the workload's identity over the Unix socket. Judged are only facts that the kernel has
 * of the connection, as of connect(): the user (SO_PEERCRED) and the network namespace. What a message has of its
 * sender, and the pid, which can be reused, count for nothing (abuse cases W2, W3). A process that passes a connected
 * descriptor on passes the identity on (W4). Pure but for workload_caller_of(). */
#pragma once

#include "base/core/err.h"
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* The user that the kernel reports where a user of another user namespace has no number in this one. */
#define WORKLOAD_OVERFLOW_UID 65534

struct workload_caller {
	uid_t uid;
	bool has_namespace; /* the kernel reports it */
	uint64_t network_namespace;
};
enum err workload_caller_of(
	int fd, struct workload_caller *out) _must_use_; /* a connected Unix socket, or a listener */

struct workload_rules {
	uid_t own;              /* the sidecar's user: it reads the attestation key anyway */
	bool allows_every_user; /* the socket's folder decides, as in a pod */
	const uid_t *uids;      /* borrowed; root is always allowed */
	size_t num_uids;
	bool has_namespace;
	uint64_t network_namespace; /* the sidecar's: its identity is that of the addresses in it */
};
/* ERR_DENIED, with the reason, unless this caller may have the identity. */
enum err workload_rules_judge(
	const struct workload_rules *rules, const struct workload_caller *caller, struct why *why) _must_use_;
