/* The original destination of a redirected connection: the address that the caller dialed. */
#pragma once

#include "base/core/addr.h"

struct original_dst {
	struct addr addr;
	uint32_t scope; /* the interface of a link-local address of IPv6; 0: none, or not known */
};

/* SO_ORIGINAL_DST of a connection from `peer`. The family of `peer` selects the socket option: on a dual-stack listener
 * the kernel has the translation of an IPv4 client at SOL_IP only. ERR_NOT_FOUND: the connection was not redirected. */
enum err original_dst_get(int fd, const struct addr *peer, struct original_dst *out) _must_use_;

/* The ports of this sidecar: no connection may be routed to them. */
struct own_ports {
	uint16_t ports[8];
	unsigned num;
};
void own_ports_add(struct own_ports *own, uint16_t port);
bool own_ports_has(const struct own_ports *own, uint16_t port);

enum destination_fault {
	DESTINATION_FINE,
	DESTINATION_IS_OURS,
	DESTINATION_NOT_REDIRECTED,
	DESTINATION_NOT_LOCAL,
	DESTINATION_NOT_CHECKED, /* no descriptor is free for the query to the kernel */
};
/* Outbound: any destination but the sidecar's own listeners. `local` is the local address of the connection: for a
 * direct connection to a listener, the kernel reports the listener's address as original destination. */
enum destination_fault original_dst_check_outbound(
	const struct original_dst *dst, const struct addr *local, const struct own_ports *own);
/* Inbound plaintext: redirected, to an address of this host other than loopback, and to no port of the sidecar. */
enum destination_fault original_dst_check_inbound(
	const struct original_dst *dst, const struct addr *local, const struct own_ports *own);
/* The :authority of a stream: exactly the tunnel's local IP, no port of the sidecar, never loopback. */
enum destination_fault original_dst_check_authority(
	const struct original_dst *dst, const struct addr *tunnel_local, const struct own_ports *own);
