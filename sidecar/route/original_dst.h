/* Where a redirected connection wanted to go before the rules turned it to us. */
#pragma once

#include "base/core/addr.h"

struct original_dst {
	struct addr addr;
};

/* SO_ORIGINAL_DST of a connection from `peer`, whose family decides where the kernel knows it: on a dual-stack listener
 * the translation of an IPv4 client is known to the IPv4 side only. ERR_NOT_FOUND: the connection was not redirected.
 */
enum err original_dst_get(int fd, const struct addr *peer, struct original_dst *out) _must_use_;

/* The ports of this sidecar itself: nothing may be routed to them. */
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
	DESTINATION_NOT_JUDGED, /* the kernel could not be asked: no descriptor is free */
};
/* Outbound: anything but our own listeners. `local` is where the connection arrived: the kernel reports a direct
 * connection to our listener as its own original destination. */
enum destination_fault original_dst_check_outbound(
	const struct original_dst *dst, const struct addr *local, const struct own_ports *own);
/* Inbound plain: redirected, to this very address, which is no loopback, and to no port of ours. */
enum destination_fault original_dst_check_inbound(
	const struct original_dst *dst, const struct addr *local, const struct own_ports *own);
/* A tunnel's :authority: exactly the tunnel's own local IP, no port of ours, never loopback. */
enum destination_fault original_dst_check_authority(
	const struct original_dst *dst, const struct addr *tunnel_local, const struct own_ports *own);
/* Does this IP belong to an interface of this network namespace? ERR_FD_EXHAUSTED: that cannot be asked now. */
enum err original_dst_is_local(const struct ip_addr *ip, bool *out) _must_use_;
