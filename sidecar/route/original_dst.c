#include "sidecar/route/original_dst.h"
#include "base/core/check.h"
#include "base/net/own_address.h"
#include <linux/netfilter_ipv4.h>
#include <linux/netfilter_ipv6/ip6_tables.h>

static uint32_t scope_of(const struct sockaddr_storage *sa)
{
	struct sockaddr_in6 in6;
	if (sa->ss_family != AF_INET6)
		return 0;
	memcpy(&in6, sa, sizeof(in6));
	return in6.sin6_scope_id;
}

static enum err original_at(int fd, int level, struct original_dst *out)
{
	struct sockaddr_storage sa = {0};
	socklen_t len = sizeof(sa);
	if (getsockopt(fd, level, SO_ORIGINAL_DST, &sa, &len) < 0)
		return ERR_NOT_FOUND;
	out->scope = scope_of(&sa);
	return addr_from_sockaddr((const struct sockaddr *)&sa, len, &out->addr);
}

enum err original_dst_get(int fd, const struct addr *peer, struct original_dst *out)
{
	return original_at(fd, peer->ip.family == AF_INET6 ? SOL_IPV6 : SOL_IP, out);
}

void own_ports_add(struct own_ports *own, uint16_t port)
{
	CHECK(port != 0 && own->num < sizeof(own->ports) / sizeof(own->ports[0]));
	own->ports[own->num++] = port;
}

bool own_ports_has(const struct own_ports *own, uint16_t port)
{
	for (unsigned i = 0; i < own->num; i++)
		if (own->ports[i] == port)
			return true;
	return false;
}

static enum destination_fault check_own_port(const struct original_dst *dst)
{
	const struct ip_addr *ip = &dst->addr.ip;
	bool is_ours = true;
	if (ip_addr_is_loopback(ip) || ip_addr_is_unspecified(ip))
		return DESTINATION_IS_OURS;
	if (own_address_has(ip, dst->scope, &is_ours) != ERR_NONE)
		return DESTINATION_NOT_CHECKED;
	return is_ours ? DESTINATION_IS_OURS : DESTINATION_FINE;
}

enum destination_fault original_dst_check_outbound(
	const struct original_dst *dst, const struct addr *local, const struct own_ports *own)
{
	if (addr_eq(&dst->addr, local))
		return DESTINATION_NOT_REDIRECTED;
	return own_ports_has(own, dst->addr.port) ? check_own_port(dst) : DESTINATION_FINE;
}

/* The sidecar's source address on lo is link-local, and no other host may reach it. */
static bool is_link_local_v4(const struct ip_addr *ip)
{
	return ip->family == AF_INET && ip_addr_is_link_local(ip);
}

enum destination_fault original_dst_check_inbound(
	const struct original_dst *dst, const struct addr *local, const struct own_ports *own)
{
	if (addr_eq(&dst->addr, local))
		return DESTINATION_NOT_REDIRECTED;
	if (own_ports_has(own, dst->addr.port))
		return DESTINATION_IS_OURS;
	bool is_ours = false;
	if (ip_addr_is_loopback(&dst->addr.ip) || ip_addr_is_unspecified(&dst->addr.ip) ||
		is_link_local_v4(&dst->addr.ip))
		return DESTINATION_NOT_LOCAL;
	if (own_address_has(&dst->addr.ip, dst->scope, &is_ours) != ERR_NONE)
		return DESTINATION_NOT_CHECKED;
	return is_ours ? DESTINATION_FINE : DESTINATION_NOT_LOCAL;
}

enum destination_fault original_dst_check_authority(
	const struct original_dst *dst, const struct addr *tunnel_local, const struct own_ports *own)
{
	if (!ip_addr_eq(&dst->addr.ip, &tunnel_local->ip) || ip_addr_is_loopback(&dst->addr.ip))
		return DESTINATION_NOT_LOCAL;
	if (own_ports_has(own, dst->addr.port))
		return DESTINATION_IS_OURS;
	return DESTINATION_FINE;
}
