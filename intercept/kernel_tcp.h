/* Reads /proc/net/tcp and tcp6: the TCP connections of this network namespace. */
#pragma once

#include "base/core/addr.h"

/* Pure: whether the table (the file's text) has a connection to local_port from that remote address and port. Also
 * finds IPv4 connections of dual-stack listeners, which are v4-mapped in tcp6. */
bool kernel_tcp_table_has(struct span table, uint16_t local_port, const struct addr *remote);

/* Pure: whether the table has a listener at that port, of any address. */
bool kernel_tcp_table_listens(struct span table, uint16_t port);

/* The same for this network namespace now. */
bool kernel_tcp_listens(uint16_t port);
bool kernel_tcp_has(uint16_t local_port, const struct addr *remote);
