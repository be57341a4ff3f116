/* Who holds the other end of a TCP connection within this network namespace: the kernel's table of IPv4 sockets
 * (proc_pid_net(5), net/tcp). Its file is opened at the start of the program: later the sandbox may forbid it. */
#pragma once

#include "base/core/addr.h"
#include "base/core/err.h"
#include <sys/types.h>

int tcp_table_open(void); /* -1: /proc is not available */

/* The user of the established socket with the local address `near` and the remote address `far`, both IPv4, as this
 * process's user namespace names it; 65534: it has no name for it. ERR_NOT_FOUND: no process holds such a socket, or it
 * has closed it; ERR_UNSUPPORTED: no table, or an address that is not IPv4. */
enum err tcp_table_user(int table_fd, const struct addr *near, const struct addr *far, uid_t *out) _must_use_;
