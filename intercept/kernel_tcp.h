/* Reads /proc/net/tcp and tcp6: which TCP connections end at a port of this namespace. */
#pragma once

#include "base/core/addr.h"

/* Pure: whether the table (the file's text) has a connection to local_port from that remote address and port.
 * IPv4 connections of dual-stack listeners stand in tcp6 in their mapped form and are found too. */
bool kernel_tcp_table_has(struct span table, uint16_t local_port, const struct addr *remote);

/* The same, of this namespace now. */
bool kernel_tcp_has(uint16_t local_port, const struct addr *remote);
